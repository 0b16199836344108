"""Slice and 3D views drawn by Slicer's own displayable managers, to look at what a user would see, and to click in.

With ``VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow`` in the environment no X server is needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import vtk
import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2
from vtk.util.numpy_support import vtk_to_numpy

_ = (vtkmodules.vtkInteractionStyle, vtkmodules.vtkRenderingFreeType, vtkmodules.vtkRenderingOpenGL2)
_SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)


def _factory(kind: str, managers: tuple[str, ...]):
    factory = getattr(slicer, kind).GetInstance()
    factory.SetMRMLApplicationLogic(slicer._appLogic)
    for manager in managers:
        if not factory.IsDisplayableManagerRegistered(manager):
            factory.RegisterDisplayableManager(manager)
    return factory


class _View:
    """A renderer in a window, with the mouse of a user.

    window - the render window; None: one of its own, offscreen.
    """

    def __init__(self, size: tuple[int, int], window=None) -> None:
        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow() if window is None else window
        if window is None:
            self.window.SetOffScreenRendering(1)
        self.window.SetSize(*size)
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())  # VTK's own would take the clicks
        self.interactor.Initialize()
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.style = None

    def _take_events(self, style) -> None:
        """Let Slicer's displayable managers have the mouse and the keys."""
        self.style = style
        style.SetDisplayableManagers(self.group)
        style.SetInteractor(self.interactor)

    def event(self, name: str, x: int, y: int, *, shift: bool = False, ctrl: bool = False) -> None:
        """One event ("MouseMoveEvent", ...) at a pixel, counted from the lower left."""
        self.interactor.SetEventInformation(int(x), int(y), int(ctrl), int(shift))
        self.interactor.InvokeEvent(name)

    def resize(self, width: int, height: int) -> None:
        self.window.SetSize(width, height)

    def pixels(self) -> np.ndarray:
        """The picture as it is now: uint8 (rows, columns, 3), the first row on top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.SetInputBufferTypeToRGB()
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 3)[::-1]

    def save(self, path: Path) -> None:
        """Render, and write a PNG."""
        pixels = np.ascontiguousarray(self.pixels()[::-1])
        image = vtk.vtkImageData()
        image.SetDimensions(pixels.shape[1], pixels.shape[0], 1)
        image.GetPointData().SetScalars(vtk.util.numpy_support.numpy_to_vtk(pixels.reshape(-1, 3), deep=1))
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputData(image)
        writer.Write()

    def close(self) -> None:
        """Take the view out of the application and its nodes out of the scene."""
        if self.style is not None:
            self.style.SetInteractor(None)
        self.style = self.group = None  # the managers stop to observe the scene
        self.window.Finalize()


class SliceView(_View):
    """A slice view ("Axial", "Sagittal", "Coronal") of a volume through a point in RAS mm.

    volume_node, ras - None: what the scene's slice nodes already say.
    """

    def __init__(
        self,
        scene,
        name: str,
        orientation: str,
        volume_node=None,
        ras=None,
        size=(512, 512),
        field_mm=None,
        window=None,
    ) -> None:
        super().__init__(size, window)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.group.Initialize(_factory("vtkMRMLSliceViewDisplayableManagerFactory", _SLICE_MANAGERS), self.renderer)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(slicer._appLogic)
        slicer._appLogic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(orientation)
        self.group.SetMRMLDisplayableNode(self.node)
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(self.logic)
        self._take_events(style)
        if volume_node is not None:
            self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume_node.GetID())
        self.logic.ResizeSliceNode(*size)
        self.logic.FitSliceToBackground()
        if field_mm:
            self.node.SetFieldOfView(field_mm, field_mm * size[1] / size[0], self.node.GetFieldOfView()[2])
        if ras is not None:
            self.node.JumpSliceByCentering(*ras)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._background = vtk.vtkActor2D()
        self._background.SetMapper(self._mapper)
        self._background.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._background)
        self._tag = self.logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._connect)
        self._connect()

    def _connect(self, *_event) -> None:
        """The picture of the layers; there is none while no volume is chosen."""
        connection = self.logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._background.SetVisibility(connection is not None)

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def xy(self, ras) -> tuple[int, int]:
        """The pixel, from the lower left, that shows the point nearest to `ras` in this slice."""
        inverse = vtk.vtkMatrix4x4()
        inverse.DeepCopy(self.node.GetXYToRAS())
        inverse.Invert()
        x, y = inverse.MultiplyPoint((*(float(value) for value in ras), 1.0))[:2]
        return round(x), round(y)

    def click(self, ras, *, shift: bool = False, ctrl: bool = False) -> None:
        """Move the mouse to a point in RAS mm and click: in place mode Slicer's markups place a point there.

        The slice is the one that is shown; a point in front of it or behind it is clicked where it lies in the picture.
        A ValueError where the point lies outside of the picture.
        """
        x, y = self.xy(ras)
        width, height = self.window.GetSize()
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"{tuple(ras)} is not in the picture of {self.node.GetName()}: pixel ({x}, {y}).")
        for event in ("EnterEvent", "MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
            self.event(event, x, y, shift=shift, ctrl=ctrl)

    def close(self) -> None:
        super().close()
        self.logic.RemoveObserver(self._tag)
        scene = self.logic.GetMRMLScene()
        nodes = (self.logic.GetSliceCompositeNode(), self.logic.GetSliceDisplayNode(), self.node)
        slicer._appLogic.GetSliceLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        _remove(scene, nodes)


class ThreeDView(_View):
    """A 3D view of everything that the scene shows in 3D."""

    def __init__(self, scene, name: str = "View1", size=(512, 512), window=None) -> None:
        super().__init__(size, window)
        self.group.Initialize(_factory("vtkMRMLThreeDViewDisplayableManagerFactory", _THREE_D_MANAGERS), self.renderer)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(slicer._appLogic)
        slicer._appLogic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddViewNode(name)
        self.group.SetMRMLDisplayableNode(self.node)
        self._take_events(slicer.vtkMRMLThreeDViewInteractorStyle())
        self.window.Render()
        self.reset()

    def reset(self) -> None:
        """Look at everything."""
        self.renderer.ResetCamera()
        self.renderer.ResetCameraClippingRange()

    def close(self) -> None:
        super().close()
        scene = self.logic.GetMRMLScene()
        camera = scene.GetSingletonNode(self.node.GetLayoutName(), "vtkMRMLCameraNode")
        slicer._appLogic.GetViewLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        _remove(scene, (camera, self.node))


def _remove(scene, nodes) -> None:
    for node in nodes:
        if node is not None and scene.IsNodePresent(node):
            scene.RemoveNode(node)


def click_in_slice(view, ras, shift: bool = False, ctrl: bool = False) -> None:
    """Click at a point in RAS mm in a slice view: a SliceView, or a slice widget of ``window``."""
    getattr(view, "harness_view", view).click(ras, shift=shift, ctrl=ctrl)
