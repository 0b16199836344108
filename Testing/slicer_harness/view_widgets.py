"""Widgets of the views, with the application's names: they show what ``views`` renders, and hand the mouse over.

A view is rendered offscreen (EGL) and painted into its widget, which works on every Qt platform; or, where Qt has an X
server (``xcb``), VTK draws straight into the widget's window (``native=True``).
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, Qt

from .qmrml_widgets import qMRMLWidget
from .views import SliceView, ThreeDView

BAR_PX = 22
# Slicer's colours of the views, by layout name.
COLORS = {"Red": "#f34a33", "Yellow": "#edd54c", "Green": "#6eb04b", "1": "#7478be"}
_BUTTONS = {
    Qt.MouseButton.LeftButton: "LeftButton",
    Qt.MouseButton.RightButton: "RightButton",
    Qt.MouseButton.MiddleButton: "MiddleButton",
}


class _Canvas(QtWidgets.QWidget):
    """Shows one view and gives it the events of Qt."""

    def __init__(self, make_view, native: bool) -> None:
        super().__init__()
        self.setMinimumSize(80, 80)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._native = native
        self._image, self._dirty, self._paused = None, True, 0
        window = None
        if native:
            for attribute in ("WA_NativeWindow", "WA_PaintOnScreen", "WA_NoSystemBackground", "WA_OpaquePaintEvent"):
                self.setAttribute(getattr(Qt.WidgetAttribute, attribute))
            window = vtk.vtkRenderWindow()
            window.SetWindowInfo(str(int(self.winId())))
        self.view = make_view(window)
        self._tags = [(self.view.group, self.view.group.AddObserver(vtk.vtkCommand.UpdateEvent, self._changed))]
        watched = [self.view.node, self.view.logic]
        if isinstance(self.view, SliceView):
            watched.append(self.view.logic.GetSliceCompositeNode())
        for caller in watched:
            self._tags.append((caller, caller.AddObserver(vtk.vtkCommand.ModifiedEvent, self._changed)))

    def paintEngine(self):
        return None if self._native else super().paintEngine()

    def _changed(self, *_event) -> None:
        self._dirty = True
        self.update()

    def resizeEvent(self, event) -> None:
        size = event.size()
        self.view.resize(max(size.width(), 2), max(size.height(), 2))
        self._changed()

    def render(self) -> None:
        """Draw now what has changed."""
        if not self._dirty or self._paused:
            return
        self._dirty = False
        if self._native:
            self.view.window.Render()
            return
        pixels = self.view.pixels()
        rows, columns, _ = pixels.shape
        image = QtGui.QImage(pixels.tobytes(), columns, rows, 3 * columns, QtGui.QImage.Format.Format_RGB888)
        self._image = image.copy()

    def paintEvent(self, _event) -> None:
        self.render()
        if self._image is not None and not self._native:
            QtGui.QPainter(self).drawImage(0, 0, self._image)

    def _event(self, name: str, event, position) -> None:
        # An event of entering knows no keys.
        modifiers = event.modifiers() if hasattr(event, "modifiers") else QtGui.QGuiApplication.keyboardModifiers()
        self.view.event(
            name,
            int(position.x()),
            self.view.window.GetSize()[1] - 1 - int(position.y()),
            shift=bool(modifiers & Qt.KeyboardModifier.ShiftModifier),
            ctrl=bool(modifiers & Qt.KeyboardModifier.ControlModifier),
        )

    def mousePressEvent(self, event) -> None:
        self._event(_BUTTONS.get(event.button(), "LeftButton") + "PressEvent", event, event.position())

    def mouseReleaseEvent(self, event) -> None:
        self._event(_BUTTONS.get(event.button(), "LeftButton") + "ReleaseEvent", event, event.position())

    def mouseMoveEvent(self, event) -> None:
        self._event("MouseMoveEvent", event, event.position())

    def wheelEvent(self, event) -> None:
        forward = event.angleDelta().y() > 0
        self._event("MouseWheelForwardEvent" if forward else "MouseWheelBackwardEvent", event, event.position())

    def enterEvent(self, event) -> None:
        self._event("EnterEvent", event, event.position())

    def leaveEvent(self, _event) -> None:
        self.view.interactor.InvokeEvent("LeaveEvent")

    def close_view(self) -> None:
        for caller, tag in self._tags:
            caller.RemoveObserver(tag)
        self._tags = []
        self.view.close()

    # What Slicer's views offer

    def renderWindow(self):
        return self.view.window

    def interactor(self):
        return self.view.interactor

    def interactorStyle(self):
        return self.view.style

    def interactorObserver(self):
        return self.view.style

    def scheduleRender(self) -> None:
        self._changed()

    def forceRender(self) -> None:
        self._dirty = True
        self.render()
        self.repaint()

    def setRenderPaused(self, pause: bool) -> None:
        self._paused = max(self._paused + (1 if pause else -1), 0)

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    def displayableManagerByClassName(self, name: str):
        group = self.view.group
        managers = (group.GetNthDisplayableManager(n) for n in range(group.GetDisplayableManagerCount()))
        return next((manager for manager in managers if manager.IsA(name)), None)

    def setViewCursor(self, cursor) -> None:
        self.setCursor(cursor)

    def unsetViewCursor(self) -> None:
        self.unsetCursor()

    setDefaultViewCursor = setViewCursor


class qMRMLSliceView(_Canvas):
    def mrmlSliceNode(self):
        return self.view.node

    def sliceViewInteractorStyle(self):
        return self.view.style

    def convertDeviceToXYZ(self, xy):
        return [float(xy[0]), float(xy[1]), 0.0]

    def convertRASToXYZ(self, ras):
        inverse = vtk.vtkMatrix4x4()
        inverse.DeepCopy(self.view.node.GetXYToRAS())
        inverse.Invert()
        return list(inverse.MultiplyPoint((*ras, 1.0))[:3])

    def convertXYZToRAS(self, xyz):
        return list(self.view.node.GetXYToRAS().MultiplyPoint((*xyz, 1.0))[:3])


class qMRMLThreeDView(_Canvas):
    def mrmlViewNode(self):
        return self.view.node

    def cameraNode(self):
        return slicer.mrmlScene.GetSingletonNode(self.view.node.GetLayoutName(), "vtkMRMLCameraNode")

    def resetFocalPoint(self) -> None:
        self.view.reset()
        self._changed()

    def resetCamera(
        self, resetRotation: bool = True, resetTranslation: bool = True, resetDistance: bool = True
    ) -> None:
        self.view.reset()
        self._changed()


class _Bar(QtWidgets.QWidget):
    """The coloured bar above a view, with its slider where it has one."""

    def __init__(self, letter: str, color: str) -> None:
        super().__init__()
        self.setFixedHeight(BAR_PX)
        self._color = QtGui.QColor(color)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(4)
        label = QtWidgets.QLabel(letter)
        font = label.font
        font.setBold(True)
        label.setFont(font)
        label.setFixedWidth(14)
        label.setStyleSheet("color: black")
        layout.addWidget(label)
        self.slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self.text = QtWidgets.QLabel()
        self.text.setStyleSheet("color: black")
        self.text.setFixedWidth(90)
        self.text.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self.slider, 1)
        layout.addStretch(0)
        layout.addWidget(self.text)

    def paintEvent(self, _event) -> None:
        QtGui.QPainter(self).fillRect(self.rect, self._color)


class _ViewWidget(qMRMLWidget):
    def __init__(self, view, letter: str, color: str) -> None:
        super().__init__()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._view, self._bar = view, _Bar(letter, color)
        self.viewLabel = letter
        layout.addWidget(self._bar)
        layout.addWidget(view, 1)

    @property
    def harness_view(self):
        """The view itself (``views.SliceView``, ``views.ThreeDView``)."""
        return self._view.view

    def viewWidget(self):
        return self._view

    def logic(self):
        return self._view.view.logic

    def mrmlAbstractViewNode(self):
        return self._view.view.node

    def controllerWidget(self):
        return self._bar


class qMRMLSliceWidget(_ViewWidget):
    def __init__(self, scene, name: str, orientation: str, native: bool) -> None:
        def make(window):
            return SliceView(scene, name, orientation, size=(200, 200), window=window)

        super().__init__(qMRMLSliceView(make, native), name[0], COLORS.get(name, "#888888"))
        self.setMRMLScene(scene)
        self._sliding = False
        self._bar.slider.valueChanged.connect(self._slid)
        node, logic = self.mrmlSliceNode(), self.logic()
        self._tags = [(node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._moved))]
        self._tags.append((logic, logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._moved)))
        self._moved()

    def _moved(self, *_event) -> None:
        bounds, offset = [0.0, -1.0] * 3, self.mrmlSliceNode().GetSliceOffset()
        self.logic().GetLowestVolumeSliceBounds(bounds)
        self._sliding = True
        if bounds[4] < bounds[5]:
            self._bar.slider.setRange(round(10 * bounds[4]), round(10 * bounds[5]))
            self._bar.slider.setValue(round(10 * offset))
        self._sliding = False
        axis = {"Axial": "IS"[offset > 0], "Sagittal": "LR"[offset > 0], "Coronal": "PA"[offset > 0]}
        letter = axis.get(self.mrmlSliceNode().GetOrientation(), "")
        self._bar.text.setText(f"{letter}: {abs(offset):.2f}mm" if letter else f"{offset:.2f}mm")

    def _slid(self, value: int) -> None:
        if not self._sliding:
            self.logic().SetSliceOffset(value / 10)

    def sliceView(self):
        return self._view

    def sliceController(self):
        return self._bar

    def sliceLogic(self):
        return self.logic()

    def mrmlSliceNode(self):
        return self._view.view.node

    def mrmlSliceCompositeNode(self):
        return self.logic().GetSliceCompositeNode()

    def interactorStyle(self):
        return self._view.view.style

    def imageDataConnection(self):
        return self.logic().GetImageDataConnection()

    def fitSliceToBackground(self) -> None:
        self.logic().FitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceViewName = Property(str, lambda self: self.mrmlSliceNode().GetLayoutName())
    sliceOrientation = Property(
        str,
        lambda self: self.mrmlSliceNode().GetOrientation(),
        lambda self, value: self.mrmlSliceNode().SetOrientation(value),
    )

    def close_view(self) -> None:
        for caller, tag in self._tags:
            caller.RemoveObserver(tag)
        self._tags = []
        self._view.close_view()


class qMRMLThreeDWidget(_ViewWidget):
    def __init__(self, scene, native: bool) -> None:
        super().__init__(
            qMRMLThreeDView(lambda window: ThreeDView(scene, "1", size=(200, 200), window=window), native),
            "1",
            COLORS["1"],
        )
        self._bar.slider.hide()
        self.setMRMLScene(scene)

    def threeDView(self):
        return self._view

    def threeDController(self):
        return self._bar

    def viewLogic(self):
        return self.logic()

    def mrmlViewNode(self):
        return self._view.view.node

    def close_view(self) -> None:
        self._view.close_view()
