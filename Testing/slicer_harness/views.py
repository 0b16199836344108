"""Slice and 3D views drawn offscreen by Slicer's own displayable managers, to look at what a user would see.

With ``VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow`` in the environment no X server is needed.
"""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk
import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2

_ = (vtkmodules.vtkInteractionStyle, vtkmodules.vtkRenderingFreeType, vtkmodules.vtkRenderingOpenGL2)
_SLICE_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)
_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
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
    def __init__(self, size: tuple[int, int]) -> None:
        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetSize(*size)
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        self.group = slicer.vtkMRMLDisplayableManagerGroup()

    def save(self, path: Path) -> None:
        """Render, and write a PNG."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.SetInputBufferTypeToRGB()
        grab.ReadFrontBufferOff()
        grab.Update()
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputConnection(grab.GetOutputPort())
        writer.Write()


class SliceView(_View):
    """A slice view ("Axial", "Sagittal", "Coronal") of `volume_node` through a point in RAS mm."""

    def __init__(self, scene, name: str, orientation: str, volume_node, ras, size=(512, 512), field_mm=None) -> None:
        super().__init__(size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.group.Initialize(_factory("vtkMRMLSliceViewDisplayableManagerFactory", _SLICE_MANAGERS), self.renderer)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(slicer._appLogic)
        slicer._appLogic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(orientation)
        self.group.SetMRMLDisplayableNode(self.node)
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume_node.GetID())
        self.logic.ResizeSliceNode(*size)
        self.logic.FitSliceToBackground()
        if field_mm:
            self.node.SetFieldOfView(field_mm, field_mm * size[1] / size[0], self.node.GetFieldOfView()[2])
        self.node.JumpSliceByCentering(*ras)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(self.logic.GetImageDataConnection())
        background = vtk.vtkActor2D()
        background.SetMapper(mapper)
        background.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(background)


class ThreeDView(_View):
    """A 3D view of everything that the scene shows in 3D."""

    def __init__(self, scene, name: str = "View1", size=(512, 512)) -> None:
        super().__init__(size)
        self.group.Initialize(_factory("vtkMRMLThreeDViewDisplayableManagerFactory", _THREE_D_MANAGERS), self.renderer)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(slicer._appLogic)
        slicer._appLogic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddViewNode(name)
        self.group.SetMRMLDisplayableNode(self.node)
        self.window.Render()
        self.renderer.ResetCamera()
