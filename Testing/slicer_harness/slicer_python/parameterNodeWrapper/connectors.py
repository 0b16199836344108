"""Widgets bound to parameters; which widget can show which type is as in Slicer, where only the exact class counts."""

from __future__ import annotations

import ctk
import qt
import slicer

from .validators import Choice, Maximum, Minimum, WithinRange

_LARGEST_INT = 2**31 - 1


class Decimals:
    """Annotation: decimals of a spin box or a slider."""

    def __init__(self, value: int):
        self.value = value


class SingleStep:
    """Annotation: step of a spin box or a slider."""

    def __init__(self, value):
        self.value = value


class GuiConnector:
    """Reads and writes one widget, and calls back when the user changes it."""

    signal = ""

    def __init__(self, widget, parameter=None) -> None:
        self._widget, self._callback = widget, None

    def widget(self):
        return self._widget

    def onChanged(self, callback) -> None:
        if self._callback is not None:
            self._widget.disconnect(self.signal, self._changed)
        self._callback = callback
        if callback is not None:
            self._widget.connect(self.signal, self._changed)

    def _changed(self) -> None:
        if self._callback is not None:
            self._callback()

    def read(self):
        raise NotImplementedError

    def write(self, value) -> None:
        raise NotImplementedError


class _Checked(GuiConnector):
    signal = "toggled(bool)"

    def read(self):
        return self._widget.checked

    def write(self, value) -> None:
        self._widget.checked = value


class _Number(GuiConnector):
    signal = "valueChanged(double)"

    def __init__(self, widget, parameter) -> None:
        super().__init__(widget)
        low, high = _bounds(parameter)
        if type(widget) in (ctk.ctkSliderWidget, qt.QSlider) and (low is None or high is None):
            raise RuntimeError("A slider needs a parameter that is bounded on both sides.")
        widget.minimum = self.lowest if low is None else low
        widget.maximum = self.highest if high is None else high

    lowest, highest = float("-inf"), float("inf")

    def read(self):
        return self._widget.value

    def write(self, value) -> None:
        self._widget.value = value


class _Whole(_Number):
    signal = "valueChanged(int)"
    lowest, highest = -_LARGEST_INT - 1, _LARGEST_INT


class _Text(GuiConnector):
    signal = "textChanged(QString)"

    def read(self):
        return self._widget.text

    def write(self, value) -> None:
        self._widget.text = value


class _PlainText(GuiConnector):
    signal = "textChanged()"

    def read(self):
        return self._widget.toPlainText()

    def write(self, value) -> None:
        self._widget.setPlainText(value)


class _Label(GuiConnector):
    """A label shows; it never changes by itself."""

    def onChanged(self, callback) -> None:
        self._callback = callback

    def read(self):
        return self._widget.text

    def write(self, value) -> None:
        self._widget.text = value


class _Choice(GuiConnector):
    signal = "currentIndexChanged(int)"

    def __init__(self, widget, parameter) -> None:
        super().__init__(widget)
        choice = next((entry for entry in parameter.validators if isinstance(entry, Choice)), None)
        if choice is None:
            raise RuntimeError("A combo box needs a parameter with the annotation Choice.")
        self._choices = choice.choices
        widget.clear()
        for value in self._choices:
            widget.addItem(str(value))

    def read(self):
        return self._choices[self._widget.currentIndex]

    def write(self, value) -> None:
        if value not in self._choices:
            raise ValueError(f"Unable to find value {value} in choices {self._choices}")
        self._widget.currentIndex = self._choices.index(value)


class _Node(GuiConnector):
    signal = "currentNodeChanged(vtkMRMLNode*)"

    def __init__(self, widget, parameter) -> None:
        super().__init__(widget)
        widget.nodeTypes = [parameter.kind.__name__]

    def read(self):
        return self._widget.currentNode()

    def write(self, value) -> None:
        self._widget.setCurrentNode(value)


def _bounds(parameter):
    low = high = None
    for validator in parameter.validators:
        if isinstance(validator, (WithinRange, Minimum)):
            low = validator.minimum
        if isinstance(validator, (WithinRange, Maximum)):
            high = validator.maximum
    return low, high


def createGuiConnector(widget, parameter) -> GuiConnector:
    """The connector for a widget and a parameter; a RuntimeError where Slicer has none either."""
    kinds = {
        qt.QCheckBox: {bool: _Checked},
        qt.QPushButton: {bool: _Checked},
        qt.QSpinBox: {int: _Whole},
        qt.QSlider: {int: _Whole},
        qt.QDoubleSpinBox: {float: _Number, int: _Number},
        ctk.ctkSliderWidget: {float: _Number, int: _Number},
        qt.QComboBox: dict.fromkeys((str, int, float, bool), _Choice),
        qt.QLineEdit: {str: _Text},
        qt.QTextEdit: {str: _PlainText},
        qt.QLabel: {str: _Label},
    }
    if type(widget) is slicer.qMRMLNodeComboBox and parameter.is_node:
        return _Node(widget, parameter)
    found = kinds.get(type(widget), {}).get(parameter.kind)
    if found is None:
        raise RuntimeError(
            f"Unable to create GUI connector from datatype '{parameter.kind}' to widget type '{type(widget)}'"
        )
    return found(widget, parameter)
