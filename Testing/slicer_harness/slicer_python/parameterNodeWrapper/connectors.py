"""Widgets bound to parameters; which widget can show which type is as in Slicer."""

from __future__ import annotations

import ctk
import qt
import slicer

from .validators import Choice, WithinRange


class _Connector:
    signal = ""

    def __init__(self, widget) -> None:
        self.widget = widget
        self._callback = None

    def on_changed(self, callback) -> None:
        self._callback = lambda: callback(self.read())
        self.widget.connect(self.signal, self._callback)

    def disconnect(self) -> None:
        if self._callback is not None:
            self.widget.disconnect(self.signal, self._callback)


class _Checked(_Connector):
    signal = "toggled(bool)"

    def read(self):
        return self.widget.checked

    def write(self, value) -> None:
        self.widget.checked = value


class _Number(_Connector):
    signal = "valueChanged(double)"

    def read(self):
        return self.widget.value

    def write(self, value) -> None:
        self.widget.value = value


class _Whole(_Number):
    signal = "valueChanged(int)"


class _Text(_Connector):
    signal = "textChanged(QString)"

    def read(self):
        return self.widget.text

    def write(self, value) -> None:
        if self.widget.text != value:
            self.widget.text = value


class _Choice(_Connector):
    signal = "currentIndexChanged(int)"

    def read(self):
        return self.widget.currentText

    def write(self, value) -> None:
        self.widget.setCurrentIndex(self.widget.findText(value))


class _Node(_Connector):
    signal = "currentNodeChanged(vtkMRMLNode*)"

    def read(self):
        return self.widget.currentNode()

    def write(self, value) -> None:
        self.widget.setCurrentNode(value)


def connector_for(widget, parameter):
    """The connector for a widget and a parameter; a ValueError where Slicer has none either."""
    validators = {type(validator): validator for validator in parameter.validators}
    if parameter.is_node and isinstance(widget, slicer.qMRMLNodeComboBox):
        return _Node(widget)
    if parameter.kind is bool and isinstance(widget, (qt.QCheckBox, qt.QPushButton)):
        return _Checked(widget)
    if parameter.kind in (float, int) and isinstance(widget, (qt.QDoubleSpinBox, ctk.ctkSliderWidget)):
        if WithinRange in validators:
            widget.minimum, widget.maximum = validators[WithinRange].minimum, validators[WithinRange].maximum
        return _Number(widget)
    if parameter.kind is int and isinstance(widget, (qt.QSpinBox, qt.QSlider)):
        return _Whole(widget)
    if parameter.kind is str and isinstance(widget, qt.QComboBox) and Choice in validators:
        widget.clear()
        widget.addItems(validators[Choice].choices)
        return _Choice(widget)
    if parameter.kind is str and isinstance(widget, qt.QLineEdit):
        return _Text(widget)
    raise ValueError(f"No connector for {widget.className()} and {parameter.kind}")
