"""Stand-ins for the ctk widgets that the panel uses, on PySide6.

Only what the panel uses is here; a class that is missing makes loading the .ui fail, which is the moment to add it.
"""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, QEvent, Qt, Signal

from .properties import stored

_HEADER_PX = 24


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header that hides its children when it is collapsed."""

    contentsCollapsed = Signal(bool)
    collapsedHeight = stored(int, "collapsedHeight", 14)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)

    def __init__(self, text="", parent=None) -> None:
        if isinstance(text, QtWidgets.QWidget):
            text, parent = "", text
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.setText(text)
        self.setContentsMargins(2, _HEADER_PX + 2, 2, 2)
        self.toggled.connect(lambda _on: self._show_children())

    def _show_children(self) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(self.isChecked())
        self.contentsCollapsed.emit(not self.isChecked())
        self.updateGeometry()

    def childEvent(self, event) -> None:
        polished = event.type() == QEvent.Type.ChildPolished
        if polished and isinstance(event.child(), QtWidgets.QWidget) and not self.isChecked():
            event.child().setVisible(False)
        super().childEvent(event)

    collapsed = Property(
        bool,
        lambda self: not self.isChecked(),
        lambda self, value: self.setChecked(not value),
        notify=contentsCollapsed,
    )

    def paintEvent(self, _event) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(
            0, 0, self.property("width") or QtWidgets.QWidget.size.fget(self).width(), _HEADER_PX
        )
        option.text = ("▾ " if self.isChecked() else "▸ ") + str(self.property("text"))
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButton, option)

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        hint = layout.totalSizeHint() if layout is not None and self.isChecked() else QtCore.QSize(100, _HEADER_PX)
        return QtCore.QSize(max(hint.width(), 120), max(hint.height(), _HEADER_PX))

    def minimumSizeHint(self) -> QtCore.QSize:
        return self.sizeHint()

    def hitButton(self, position) -> bool:
        return position.y() <= _HEADER_PX


class ctkComboBox(QtWidgets.QComboBox):
    defaultText = stored(str, "defaultText", "")


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box; the spin box holds the value."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    tracking = stored(bool, "tracking", True)
    pageStep = stored(float, "pageStep", 1.0)
    _STEPS = 1000

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, self._STEPS)
        self._box = QtWidgets.QDoubleSpinBox()
        self._box.setRange(0.0, 99.0)
        self._following = False
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self._box_moved)
        self._slider.valueChanged.connect(self._slider_moved)

    def _follow(self) -> None:
        low, high = self._box.property("minimum"), self._box.property("maximum")
        self._following = True
        self._slider.setValue(round(self._STEPS * (self._box.property("value") - low) / ((high - low) or 1.0)))
        self._following = False

    def _box_moved(self, value: float) -> None:
        self._follow()
        self.valueChanged.emit(value)

    def _slider_moved(self, step: int) -> None:
        if not self._following:
            low, high = self._box.property("minimum"), self._box.property("maximum")
            self._box.setValue(low + (high - low) * step / self._STEPS)

    def _of_box(name, kind, notify=None):
        def read(self):
            return self._box.property(name)

        def write(self, value) -> None:
            getattr(self._box, "set" + name[0].upper() + name[1:])(kind(value))
            self._follow()

        return Property(kind, read, write, notify=notify) if notify else Property(kind, read, write)

    value = _of_box("value", float, valueChanged)
    minimum = _of_box("minimum", float)
    maximum = _of_box("maximum", float)
    singleStep = _of_box("singleStep", float)
    decimals = _of_box("decimals", int)
    suffix = _of_box("suffix", str)
    del _of_box

    def setValue(self, value: float) -> None:
        self.value = value


class ctkMessageBox(QtWidgets.QMessageBox):
    """Never waits for a user: it remembers what it would have shown, and answers what the test wants."""

    dontShowAgain = stored(bool, "dontShowAgain", False)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")
    shown: list[tuple[str, str]] = []  # noqa: RUF012 (shared on purpose: dialogs are made deep inside slicer.util)
    answer = QtWidgets.QMessageBox.StandardButton.Ok

    def exec(self):
        ctkMessageBox.shown.append((str(self.property("windowTitle")), str(self.property("text"))))
        return ctkMessageBox.answer

    exec_ = exec


WIDGETS = {name: value for name, value in list(globals().items()) if name.startswith("ctk") and isinstance(value, type)}
