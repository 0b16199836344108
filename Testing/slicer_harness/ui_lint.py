"""Static check of a panel against Slicer's real API: what a stand-in accepts, the application must have too.

Looked at: the classes, properties and connections in the .ui, and every ``self.ui.<widget>.<attribute>`` in the Python
file. The API comes from a manifest of names and signatures of Slicer 5.12.3's widgets; ``api/`` holds the part of it
that this product uses, see :func:`extract`.
"""

from __future__ import annotations

import ast
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PySide6 import QtCore, QtWidgets

MANIFEST = Path(__file__).with_name("api") / "slicer_5.12.3.json"
# What PythonQt gives every object.
_ALWAYS = {
    "name", "connect", "disconnect", "className", "delete", "parent", "children", "setParent", "findChild",
    "findChildren", "property", "setProperty", "inherits", "blockSignals", "deleteLater", "objectName", "setObjectName",
    "installEventFilter", "metaObject",
}  # fmt: skip


def load_manifest(path: Path = MANIFEST) -> dict:
    """Classes by name: bases, properties, signals, slots and invokable methods."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content.get("widgets_and_qt_classes", content)


def extract(manifest: dict, names: set[str]) -> dict:
    """The classes `names` with all that they derive from, names and types only."""
    wanted, kept = list(names), {}
    while wanted:
        name = wanted.pop()
        if name not in manifest or name in kept:
            continue
        described = manifest[name]
        kept[name] = {
            "bases": described["bases"],
            "properties": [{key: p[key] for key in ("name", "type")} for p in described["properties"]],
            "signals": [{key: s[key] for key in ("name", "args")} for s in described["signals"]],
            "public_slots": [{"name": s["name"]} for s in described["public_slots"]],
            "invokable": [{"name": m["name"]} for m in described["invokable"]],
            "public_methods": [],
        }
        wanted += described["bases"]
    return dict(sorted(kept.items()))


def members(manifest: dict, class_name: str) -> set[str]:
    """Names that PythonQt offers on a class: properties, signals, slots and invokable methods, inherited ones too."""
    if class_name in manifest:
        described = manifest[class_name]
        found = {
            entry["name"]
            for kind in ("properties", "signals", "public_slots", "invokable")
            for entry in described[kind]
        }
        for base in described["bases"]:
            found |= members(manifest, base)
        return found
    plain = getattr(QtWidgets, class_name, None) or getattr(QtCore, class_name, None)
    if plain is None:
        return set()
    meta = plain.staticMetaObject
    found = {meta.property(index).name() for index in range(meta.propertyCount())}
    found |= {bytes(meta.method(index).name().data()).decode() for index in range(meta.methodCount())}
    return found | {name for name in dir(plain) if not name.startswith("_")}


def lint(python: Path, ui: Path, manifest: dict | None = None) -> list[str]:
    """Every finding as a sentence; an empty list is a clean panel."""
    manifest = load_manifest() if manifest is None else manifest
    root = ElementTree.parse(ui).getroot()
    widgets = {element.get("name"): element.get("class") for element in root.iter("widget")}
    return [*_lint_ui(root, widgets, manifest, ui.name), *_lint_python(python, widgets, manifest)]


def _lint_ui(root, widgets: dict[str, str], manifest: dict, file: str) -> list[str]:
    found = []
    for element in root.iter("widget"):
        name, class_name = element.get("name"), element.get("class")
        if class_name not in manifest and not hasattr(QtWidgets, class_name):
            found.append(f"{file}: {name} has the unknown class {class_name}")
            continue
        known = members(manifest, class_name)
        for entry in element.findall("property"):
            if entry.get("stdset") != "0" and entry.get("name") not in known:
                found.append(f"{file}: {name} ({class_name}) has no property {entry.get('name')!r}")
    for connection in root.iter("connection"):
        for end, member in (("sender", "signal"), ("receiver", "slot")):
            class_name = widgets.get(connection.findtext(end))
            wanted = connection.findtext(member).partition("(")[0]
            if class_name is None:
                found.append(f"{file}: the {end} {connection.findtext(end)!r} is no widget")
            elif wanted not in members(manifest, class_name):
                found.append(f"{file}: {class_name} has no {member} {wanted}")
    return found


def _lint_python(python: Path, widgets: dict[str, str], manifest: dict) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(python.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Attribute) or not _is_ui(node.value):
            if isinstance(node, ast.Call):
                found += _lint_connect(node, python.name, widgets, manifest)
            continue
        name = node.value.attr
        if name not in widgets:
            found.append(f"{python.name}:{node.lineno}: ui.{name} is not in the .ui file")
        elif node.attr not in members(manifest, widgets[name]) | _ALWAYS:
            found.append(f"{python.name}:{node.lineno}: {name} ({widgets[name]}) has no {node.attr!r}")
    return found


def _is_ui(node) -> bool:
    """Whether a node is ``<anything>.ui.<name>``."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "ui"


def _lint_connect(call: ast.Call, file: str, widgets: dict[str, str], manifest: dict) -> list[str]:
    """``ui.<widget>.connect("signal(...)", ...)`` must name a signal; keyword arguments PythonQt does not know."""
    if not isinstance(call.func, ast.Attribute) or not _is_ui(call.func.value):
        return []
    name = call.func.value.attr
    found = []
    if call.keywords:
        found.append(f"{file}:{call.lineno}: {name}.{call.func.attr} is called with keyword arguments")
    if call.func.attr == "connect" and call.args and isinstance(call.args[0], ast.Constant) and name in widgets:
        signal = call.args[0].value.partition("(")[0]
        if signal not in members(manifest, widgets[name]):
            found.append(f"{file}:{call.lineno}: {name} ({widgets[name]}) has no signal {signal!r}")
    return found
