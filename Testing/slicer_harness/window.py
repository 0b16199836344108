"""A whole window as in the application, for pictures and for clicks: the panel on the left, the views on the right.

    from slicer_harness.window import MainWindow, picture_of_panel, picture_of_window

    picture_of_panel(opened, "panel.png", width=420, dark=True)
    picture_of_window(opened, "window.png")

    window = MainWindow(opened)        # slicer.util.mainWindow() and slicer.app.layoutManager() are there from now on
    window.show_volume(ct_node)
    click_in_slice(window.slice_widget("Red"), ras)
    window.close()

Needs EGL (``VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow`` before VTK draws; ``why_no_views()`` says why a view cannot
be rendered). With ``QT_QPA_PLATFORM=xcb`` and an X server (Xvfb), ``MainWindow(opened, native=True)`` lets VTK draw
straight into the window.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, QObject, Qt, Signal
from vtkmodules.vtkCommonCore import vtkCollection

from .ctk_widgets import ctkCollapsibleButton
from .modules import OpenModule
from .view_widgets import qMRMLSliceWidget, qMRMLThreeDWidget
from .views import click_in_slice

__all__ = ["MainWindow", "click_in_slice", "cut_off", "picture_of_panel", "picture_of_window", "why_no_views"]

PANEL_PX = 420
_SLICES = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class _ModuleSelector(QObject):
    """The list of modules in the tool bar."""

    moduleSelected = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._selected = ""

    def selectModule(self, name: str) -> None:
        self._selected = name
        self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda self: self._selected)


class LayoutManager(QObject):
    """``slicer.app.layoutManager()``: the views by name."""

    layoutChanged = Signal(int)

    def __init__(self, slices: dict, three_d: list) -> None:
        super().__init__()
        self._slices, self._three_d = slices, three_d

    threeDViewCount = Property(int, lambda self: len(self._three_d))
    tableViewCount = Property(int, lambda self: 0)
    plotViewCount = Property(int, lambda self: 0)
    layout = Property(int, lambda self: slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def sliceViewNames(self):
        return tuple(self._slices)

    def sliceWidget(self, name: str):
        return self._slices.get(name)

    def threeDWidget(self, which):
        return self._three_d[which] if isinstance(which, int) and which < len(self._three_d) else None

    def viewWidget(self, node):
        widgets = (*self._slices.values(), *self._three_d)
        return next((widget for widget in widgets if widget.mrmlAbstractViewNode() is node), None)

    def viewWidgets(self):
        return [*self._slices.values(), *self._three_d]

    def mrmlScene(self):
        return slicer.mrmlScene

    def mrmlSliceLogics(self):
        found = vtkCollection()
        for widget in self._slices.values():
            found.AddItem(widget.sliceLogic())
        return found

    def mrmlViewLogics(self):
        found = vtkCollection()
        for widget in self._three_d:
            found.AddItem(widget.viewLogic())
        return found

    def activeMRMLThreeDViewNode(self):
        return self._three_d[0].mrmlViewNode()

    def activeThreeDRenderer(self):
        return self._three_d[0].harness_view.renderer

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._three_d:
            widget.threeDView().resetFocalPoint()

    def setRenderPaused(self, pause: bool) -> None:
        for widget in self.viewWidgets():
            widget.viewWidget().setRenderPaused(pause)

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)


class MainWindow(QtWidgets.QMainWindow):
    """Panel, three slice views and a 3D view in Slicer's four-up layout.

    panel - an OpenModule, a panel's Python object, a widget, or None.
    """

    def __init__(self, panel=None, size=(1600, 1000), dark: bool = False, native: bool = False) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer")
        set_style(dark)
        self._panel = _widget_of(panel)
        self._scroll = None
        self._selector = _ModuleSelector()
        self._slices = {
            name: qMRMLSliceWidget(slicer.mrmlScene, name, orientation, native) for name, orientation in _SLICES.items()
        }
        self._three_d = qMRMLThreeDWidget(slicer.mrmlScene, native)
        self._manager = LayoutManager(self._slices, [self._three_d])
        self._previous = slicer.app._layout
        slicer.app._layout = self._manager
        self.setCentralWidget(self._views())
        self._add_tool_bar(_title_of(panel))
        if self._panel is not None:
            self._add_dock()
        self.resize(*size)
        self.show()
        slicer.app.processEvents()

    def moduleSelector(self):
        return self._selector

    def _views(self) -> QtWidgets.QWidget:
        frame = QtWidgets.QWidget()
        grid = QtWidgets.QGridLayout(frame)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        places = (self._slices["Red"], self._three_d, self._slices["Green"], self._slices["Yellow"])
        for number, widget in enumerate(places):
            grid.addWidget(widget, number // 2, number % 2)
            grid.setRowStretch(number // 2, 1)
            grid.setColumnStretch(number % 2, 1)
        return frame

    def _add_tool_bar(self, title: str) -> None:
        bar = QtWidgets.QToolBar()
        bar.setMovable(False)
        bar.addWidget(QtWidgets.QLabel(" Modules:  "))
        modules = QtWidgets.QComboBox()
        modules.addItem(title)
        modules.setMinimumWidth(230)
        bar.addWidget(modules)
        self.addToolBar(bar)

    def _add_dock(self) -> None:
        inside = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(inside)
        column.setContentsMargins(4, 4, 4, 4)
        column.setSpacing(4)
        help_button = ctkCollapsibleButton("Help && Acknowledgement")
        help_button.collapsed = True
        column.addWidget(help_button)
        column.addWidget(self._panel, 1)
        self._scroll = QtWidgets.QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(inside)
        dock = QtWidgets.QDockWidget()
        dock.setTitleBarWidget(QtWidgets.QWidget())
        dock.setWidget(self._scroll)
        dock.setFixedWidth(PANEL_PX)
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self._panel.show()

    def slice_widget(self, name: str = "Red") -> qMRMLSliceWidget:
        """The slice view "Red" (axial), "Yellow" (sagittal) or "Green" (coronal)."""
        return self._slices[name]

    def three_d_widget(self) -> qMRMLThreeDWidget:
        return self._three_d

    def show_volume(self, node) -> None:
        """Show a volume in the slice views, as loading it does."""
        slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(node.GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection(1)
        self._manager.resetSliceViews()

    def scroll_to(self, widget) -> None:
        """Bring a part of the panel into view."""
        if self._scroll is not None:
            slicer.app.processEvents()
            self._scroll.ensureWidgetVisible(widget, 0, 40)

    def save(self, path) -> None:
        """A picture of all of it."""
        for _ in range(3):  # layouts that depend on each other settle
            slicer.app.processEvents()
        for widget in self._manager.viewWidgets():
            widget.viewWidget().forceRender()
        slicer.app.processEvents()
        if slicer.app.platformName == "xcb":
            picture = self.screen().grabWindow(self.winId())
        else:
            picture = self.grab()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not picture.save(str(path)):
            raise OSError(f"The picture {path} could not be written.")

    def close(self) -> None:
        """Give the panel back, take the views out of the scene and the window out of the application."""
        if self._panel is not None:
            self._panel.hide()
            self._panel.setParent(None)
            self._panel = None
        slicer.app._layout = self._previous
        for widget in self._manager.viewWidgets():
            widget.close_view()
        self.setObjectName("")
        super().close()
        self.deleteLater()
        slicer.app.processEvents()
        set_style(False)


def _widget_of(panel):
    if panel is None or isinstance(panel, QtWidgets.QWidget):
        return panel
    return panel.parent  # OpenModule, or the panel's Python object


def _title_of(panel) -> str:
    return panel.module.title if isinstance(panel, OpenModule) else ""


def why_no_views() -> str:
    """Why views cannot be rendered here, as a sentence; empty where they can."""
    if os.environ.get("DISPLAY"):
        return ""
    if os.environ.get("VTK_DEFAULT_OPENGL_WINDOW") != "vtkEGLRenderWindow":
        return "VTK_DEFAULT_OPENGL_WINDOW is not vtkEGLRenderWindow, and there is no X server"
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return "libEGL.so.1 is not installed (apt package libegl1), and there is no X server"
    return ""


def picture_of_window(panel, path, size=(1600, 1000), dark: bool = False) -> None:
    """A picture of the panel beside the views of the scene as it is."""
    window = MainWindow(panel, size, dark)
    try:
        volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        if volume is not None:
            window.show_volume(volume)
        slicer.app.layoutManager().resetThreeDViews()
        window.save(path)
    finally:
        window.close()


def picture_of_panel(panel, path, width: int = PANEL_PX, dark: bool = False) -> list[str]:
    """A picture of the whole panel at a width; returns what is cut off in it, see :func:`cut_off`."""
    widget = _widget_of(panel)
    set_style(dark)
    shown = widget.isVisible()
    widget.show()
    for _ in range(3):
        slicer.app.processEvents()
        layout = widget.layout()
        tall = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
        widget.setFixedSize(width, max(tall, 40))  # a panel in its dock gets no more, whatever it asks for
    slicer.app.processEvents()
    picture = widget.grab()
    found = cut_off(widget)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path)):
        raise OSError(f"The picture {path} could not be written.")
    widget.setVisible(shown)
    widget.setMinimumSize(0, 0)
    widget.setMaximumSize(16777215, 16777215)
    set_style(False)
    return found


def cut_off(widget) -> list[str]:
    """Names and texts of visible labels, buttons and check boxes that are narrower than their text needs."""
    found = []
    kinds = (QtWidgets.QLabel, QtWidgets.QPushButton, QtWidgets.QCheckBox, QtWidgets.QRadioButton)
    for child in widget.findChildren(QtWidgets.QWidget):
        if not child.isVisible():
            continue
        edge = child.mapTo(widget, QtCore.QPoint(child.size.width(), 0)).x()
        narrow = isinstance(child, kinds) and child.size.width() < child.minimumSizeHint().width()
        low = (
            isinstance(child, QtWidgets.QLabel)
            and child.wordWrap
            and child.size.height() < child.heightForWidth(child.size.width())
        )
        if edge > widget.size.width() or narrow or low:
            text = child.property("text")
            found.append(f"{child.objectName or type(child).__name__}: {text if text else ''}".strip())
    return found


def set_style(dark: bool) -> None:
    """Qt's Fusion with colours near those of Slicer's light and dark style."""
    application = slicer.app
    application.setStyle("Fusion")
    role, group = QtGui.QPalette.ColorRole, QtGui.QPalette.ColorGroup
    colors = _DARK if dark else _LIGHT
    palette = QtGui.QPalette()
    for name, color in colors.items():
        palette.setColor(getattr(role, name), QtGui.QColor(color))
    grey = QtGui.QColor("#7f7f7f" if dark else "#9a9a9a")
    for name in ("WindowText", "Text", "ButtonText"):
        palette.setColor(group.Disabled, getattr(role, name), grey)
    application.setPalette(palette)
    font = application.font()
    font.setPointSize(9)
    application.setFont(font)


_LIGHT = {
    "Window": "#efefef",
    "WindowText": "#000000",
    "Base": "#ffffff",
    "AlternateBase": "#f5f5f5",
    "Text": "#000000",
    "Button": "#efefef",
    "ButtonText": "#000000",
    "Highlight": "#308cc6",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#ffffdc",
    "ToolTipText": "#000000",
    "PlaceholderText": "#808080",
    "Link": "#0057ae",
}
_DARK = {
    "Window": "#323232",
    "WindowText": "#e6e6e6",
    "Base": "#242424",
    "AlternateBase": "#2b2b2b",
    "Text": "#e6e6e6",
    "Button": "#3c3c3c",
    "ButtonText": "#e6e6e6",
    "Highlight": "#678db2",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#3c3c3c",
    "ToolTipText": "#e6e6e6",
    "PlaceholderText": "#8c8c8c",
    "Link": "#7db6ee",
}
