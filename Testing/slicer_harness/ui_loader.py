"""``qt.QUiLoader`` with the stand-ins: loads a .ui as the application does."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import ctk_widgets, qmrml_widgets

_OURS = ctk_widgets.WIDGETS | qmrml_widgets.WIDGETS


class UiLoader(QtUiTools.QUiLoader):
    """Loads a .ui with the stand-ins; a class without one is an error, not an empty widget."""

    def createWidget(self, class_name, parent=None, name=""):
        made = stand_in(class_name)
        widget = made(parent) if parent is not None else made()
        widget.setObjectName(name)
        return widget

    def load(self, file, parent=None):
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        for element in root.iter("widget"):  # now, because an error inside createWidget does not get out of Qt
            stand_in(element.get("class"))
            _numbers_for_enums(element)
        wires = []
        connections = root.find("connections")
        for connection in list(connections) if connections is not None else []:
            wires.append([connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")])
            connections.remove(connection)  # they name types of VTK, which PySide6 does not know: wired below
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        for sender, signal, receiver, slot in wires:
            source, target = (_named(widget, name) for name in (sender, receiver))
            getattr(source, signal.partition("(")[0]).connect(getattr(target, slot.partition("(")[0]))
        return widget


def stand_in(class_name: str) -> type:
    """The class that stands for a widget class of the application; a LookupError where there is none."""
    found = _OURS.get(class_name) or getattr(QtWidgets, class_name, None)
    if found is None:
        raise LookupError(f"The harness has no stand-in for {class_name}.")
    return found


def _numbers_for_enums(element) -> None:
    """Enums of ctk in a .ui: our classes keep numbers, so Qt's form builder gets numbers."""
    made = _OURS.get(element.get("class"))
    if made is None:
        return
    for entry in element.findall("property"):
        value = entry.find("set") if entry.find("set") is not None else entry.find("enum")
        if value is None or not isinstance(getattr(made, entry.get("name"), None), QtCore.Property):
            continue
        number = 0
        for name in value.text.split("|"):
            number |= _enum_value(made, name)
        entry.remove(value)
        ElementTree.SubElement(entry, "number").text = str(number)


def _enum_value(made: type, name: str) -> int:
    owner, _, member = name.rpartition("::")
    for scope in (
        made,
        getattr(QtWidgets, owner.partition("::")[0], None),
        getattr(QtCore, owner.partition("::")[0], None),
    ):
        found = getattr(scope, member, None)
        if found is not None:
            return int(getattr(found, "value", found))
    raise LookupError(f"The .ui names {name}, which {made.__name__} does not know.")


def _named(widget, name: str):
    found = widget if widget.objectName == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise LookupError(f"A connection in the .ui names {name!r}, which is no widget in it.")
    return found
