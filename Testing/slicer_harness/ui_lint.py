"""Static check of a panel against Slicer's real API: what a stand-in accepts, the application must have too.

``lint_panel(folder)`` looks at every .ui of a module and at every Python file of it:

* classes, properties and connections in the .ui;
* ``<anything>.ui.<widget>.<attribute>`` against the .ui that the file names (all of them where it names none), also
  through a local name (``button = self.ui.applyButton``) and in a loop over widgets;
* attributes of objects that the file makes itself (``self._timer = qt.QTimer()``);
* ``connect``: the signal with its argument types, because PythonQt connects by the exact signature;
* keyword arguments in calls of Qt, which PythonQt does not know;
* names of ``qt``: enums with their scope (``qt.Qt.ItemFlag.ItemIsEnabled``), which PythonQt has not, and what exists in
  only one of Qt 5.15 and Qt 6.

The API of ctk and qMRML comes from a manifest of names and signatures of Slicer 5.12.3; ``api/`` holds the part of it
that this product uses, see :func:`extract`. Qt's own comes from PySide6.
"""

from __future__ import annotations

import ast
import enum
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

MANIFEST = Path(__file__).with_name("api") / "slicer_5.12.3.json"
_QT = (QtWidgets, QtCore, QtGui, QtUiTools)
_UI_NAME = re.compile(r"UI/(\w+\.ui)")
# What PythonQt gives every object.
_ALWAYS = {
    "name", "connect", "disconnect", "className", "delete", "parent", "children", "setParent", "findChild",
    "findChildren", "property", "setProperty", "inherits", "blockSignals", "deleteLater", "objectName", "setObjectName",
    "installEventFilter", "metaObject", "exec_",
}  # fmt: skip
# In Qt 6, but not in the Qt 5.15 of Slicer's binaries: names of ``qt``, and attributes of any object.
_QT6_NAMES = {"QStringConverter", "QStringEncoder", "QStringDecoder", "QPermission", "QMediaDevices"}
_QT6_ATTRIBUTES = {
    "checkStateChanged", "colorScheme", "globalPosition", "scenePosition", "setColorScheme",
}  # fmt: skip
# In Qt 5.15, but gone in Qt 6.
_QT5_NAMES = {
    "QDesktopWidget", "QRegExp", "QRegExpValidator", "QTextCodec", "QMatrix", "QStringRef", "QSound", "QGLWidget",
    "QSignalMapper.mapped", "Qt.MidButton", "QPalette.Background", "QPalette.Foreground",
}  # fmt: skip
_QT5_ATTRIBUTES = {"setResizeMode", "screenGeometry", "delta"}
# Names of the facade itself, and of PythonQt.
_OF_PYTHONQT = {"QT_VERSION_STR", "BoolResult", "QUiLoader"}


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
            "public_slots": sorted({s["name"] for s in described["public_slots"]}),
            "invokable": sorted({m["name"] for m in described["invokable"]}),
        }
        wanted += described["bases"]
    return dict(sorted(kept.items()))


def write_extract(whole: Path, names: set[str], path: Path = MANIFEST) -> None:
    """Make the table in ``api/`` anew from the whole manifest."""
    content = extract(load_manifest(whole), names)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _names(entries) -> set[str]:
    return {entry if isinstance(entry, str) else entry["name"] for entry in entries}


def members(manifest: dict, class_name: str) -> set[str]:
    """Names that PythonQt offers on a class: properties, signals, slots and invokable methods, inherited ones too."""
    if class_name in manifest:
        described = manifest[class_name]
        found = set().union(
            *(_names(described[kind]) for kind in ("properties", "signals", "public_slots", "invokable"))
        )
        for base in described["bases"]:
            found |= members(manifest, base)
        return found
    plain = _qt_class(class_name)
    if plain is None:
        return set()
    found = {name for name in dir(plain) if not name.startswith("_")}
    meta = getattr(plain, "staticMetaObject", None)
    if meta is not None:
        found |= {meta.property(index).name() for index in range(meta.propertyCount())}
        found |= {bytes(meta.method(index).name().data()).decode() for index in range(meta.methodCount())}
    return found


def signals(manifest: dict, class_name: str) -> set[str]:
    """Signatures of the signals of a class, with types alone: ``currentNodeChanged(vtkMRMLNode*)``."""
    if class_name in manifest:
        described = manifest[class_name]
        found = {f"{signal['name']}({_types(signal['args'])})" for signal in described["signals"]}
        for base in described["bases"]:
            found |= signals(manifest, base)
        return found
    plain = _qt_class(class_name)
    meta = getattr(plain, "staticMetaObject", None)
    if meta is None:
        return set()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    kind = QtCore.QMetaMethod.MethodType.Signal
    return {bytes(method.methodSignature().data()).decode() for method in methods if method.methodType() == kind}


def _types(arguments: str) -> str:
    types = []
    for argument in arguments.split(","):
        text = argument.partition("=")[0].replace("const ", "").replace("&", "").strip()
        match = re.fullmatch(r"(.*?[\s*])\s*\w+", text)
        types.append((match.group(1) if match else text).replace(" ", ""))
    return ",".join(types)


def _normalised(signal: str) -> str:
    name, _, arguments = signal.replace(" ", "").partition("(")
    return f"{name}({arguments.rstrip(')').replace('const', '').replace('&', '')})"


def _qt_class(name: str):
    return next((getattr(module, name) for module in _QT if hasattr(module, name)), None)


def lint_panel(folder: Path, manifest: dict | None = None) -> list[str]:
    """Every finding in the .ui files and the Python files of a module; an empty list is a clean panel."""
    manifest = load_manifest() if manifest is None else manifest
    uis = {path.name: path for path in sorted((folder / "Resources" / "UI").glob("*.ui"))}
    found = [finding for path in uis.values() for finding in lint_ui(path, manifest)]
    sections = set()
    for python in sorted(folder.rglob("*.py")):
        found += lint_python(python, uis, manifest)
        if python.name.endswith("_section.py"):
            sections |= set(_UI_NAME.findall(python.read_text(encoding="utf-8")))
    return found + _lint_names_between({name: path for name, path in uis.items() if name in sections})


def lint(python: Path, ui: Path, manifest: dict | None = None) -> list[str]:
    """Every finding in one Python file and its .ui."""
    manifest = load_manifest() if manifest is None else manifest
    return [*lint_ui(ui, manifest), *lint_python(python, {ui.name: ui}, manifest)]


def _widgets(ui: Path) -> dict[str, str]:
    return {element.get("name"): element.get("class") for element in ElementTree.parse(ui).getroot().iter("widget")}


def _lint_names_between(uis: dict[str, Path]) -> list[str]:
    """A name in the files of two sections would be one attribute of the panel's common ``ui``."""
    seen: dict[str, str] = {}
    found = []
    for file, path in uis.items():
        for name in _widgets(path):
            if name in seen:
                found.append(f"{file}: the name {name} is in {seen[name]} too")
            seen[name] = file
    return found


def lint_ui(ui: Path, manifest: dict) -> list[str]:
    """Classes, properties, names and connections of a .ui."""
    root, found, file = ElementTree.parse(ui).getroot(), [], ui.name
    widgets: dict[str, str] = {}
    for element in root.iter("widget"):
        name, class_name = element.get("name"), element.get("class")
        if name in widgets:
            found.append(f"{file}: the name {name} is given twice")
        widgets[name] = class_name
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


def lint_python(python: Path, uis: dict[str, Path], manifest: dict) -> list[str]:
    """What a Python file does with widgets and with Qt; `uis` are the .ui files of the module by file name."""
    text = python.read_text(encoding="utf-8")
    named = [name for name in _UI_NAME.findall(text) if name in uis]
    missing = [name for name in _UI_NAME.findall(text) if name not in uis]
    found = [f"{python.name}: there is no UI/{name}" for name in missing]
    every = {name: kind for path in uis.values() for name, kind in _widgets(path).items()}
    own = {name: kind for file in named for name, kind in _widgets(uis[file]).items()} if named else every
    return found + _PythonLint(python.name, own, every, manifest).run(ast.parse(text))


class _PythonLint:
    """One file; what an expression is, is known for widgets of the .ui and for objects made of ``qt`` and ``ctk``."""

    def __init__(self, file: str, own: dict[str, str], every: dict[str, str], manifest: dict) -> None:
        self.file, self.own, self.every, self.manifest = file, own, every, manifest
        self.found: list[str] = []
        self.attributes: dict[str, str] = {}  # of self, in this class

    def run(self, tree) -> list[str]:
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        for node in classes:
            self._collect_attributes(node)
        inside = set()
        for function in functions:
            local = self._locals(function)
            for node in ast.walk(function):
                if id(node) not in inside:
                    inside.add(id(node))
                    self._look(node, local)
        for node in ast.walk(tree):
            if id(node) not in inside:
                self._look(node, {})
        return self.found

    def _collect_attributes(self, cls) -> None:
        """``self.x = qt.QTimer()``; a name that is given different things is not followed."""
        seen: dict[str, set] = {}
        for node in ast.walk(cls):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and _is_name(target.value, "self"):
                        seen.setdefault(target.attr, set()).add(self._kind(node.value, {}))
        for name, kinds in seen.items():
            kinds.discard("None")
            if len(kinds) == 1 and None not in kinds:
                self.attributes[name] = kinds.pop()

    def _locals(self, function) -> dict[str, str | None]:
        seen: dict[str, set] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        seen.setdefault(target.id, set()).add(self._kind(node.value, {}))
            elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
                elements = node.iter.elts if isinstance(node.iter, (ast.Tuple, ast.List)) else [None]
                kinds = {self._kind(element, {}) if element is not None else None for element in elements}
                seen.setdefault(node.target.id, set()).update(kinds)
            elif isinstance(node, ast.arg):
                seen.setdefault(node.arg, set()).add(None)
        return {name: "|".join(sorted(kinds)) for name, kinds in seen.items() if kinds and None not in kinds}

    def _kind(self, node, local) -> str | None:
        """The class of an expression: ``QTimer``, several as ``A|B``; None where it is not known."""
        if isinstance(node, ast.Constant) and node.value is None:
            return "None"
        if isinstance(node, ast.Name):
            return local.get(node.id)
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Attribute) and node.value.attr == "ui":
                return self._widgets_of(node.value).get(node.attr)
            if _is_name(node.value, "self"):
                return self.attributes.get(node.attr)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in ("qt", "ctk", "slicer"):
                name = node.func.attr
                if name in self.manifest or (owner.id == "qt" and isinstance(_qt_class(name), type)):
                    return name
        return None

    def _widgets_of(self, ui) -> dict[str, str]:
        """``self.ui`` is the file's own; ``self.find.ui`` may be any of the module's."""
        return self.own if _is_name(ui.value, "self") else self.every

    def _say(self, node, text: str) -> None:
        self.found.append(f"{self.file}:{node.lineno}: {text}")

    def _look(self, node, local) -> None:
        if isinstance(node, ast.Attribute):
            self._look_at_attribute(node, local)
        elif isinstance(node, ast.Call):
            self._look_at_call(node, local)

    def _look_at_attribute(self, node, local) -> None:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "ui":
            widgets = self._widgets_of(node.value)
            if node.attr not in widgets and node.attr not in ("__dict__", "update"):
                self._say(node, f"ui.{node.attr} is not in the .ui file")
            return
        chain = _chain(node)
        if chain and chain[0] in ("qt", "ctk"):
            self._look_at_name(node, chain)
            return
        if node.attr in _QT6_ATTRIBUTES:
            self._say(node, f"{node.attr!r} exists in Qt 6 only")
        if node.attr in _QT5_ATTRIBUTES:
            self._say(node, f"{node.attr!r} exists in Qt 5 only")
        for kind in (self._kind(node.value, local) or "").split("|"):
            if kind and kind != "None" and node.attr not in members(self.manifest, kind) | _ALWAYS:
                self._say(node, f"{_text(node.value)} ({kind}) has no {node.attr!r}")

    def _look_at_name(self, node, chain: list[str]) -> None:
        """``qt.QMessageBox.Ok`` and the like."""
        if chain[0] == "ctk":
            if len(chain) == 2 and chain[1] not in self.manifest:
                self._say(node, f"ctk.{chain[1]} is not in the API")
            return
        name = chain[1]
        if name in _OF_PYTHONQT:
            return
        if name in _QT5_NAMES or ".".join(chain[1:3]) in _QT5_NAMES:
            self._say(node, f"{'.'.join(chain)} exists in Qt 5 only")
            return
        if name in _QT6_NAMES:
            self._say(node, f"{'.'.join(chain)} exists in Qt 6 only")
            return
        found = _qt_class(name)
        if found is None:
            self._say(node, f"qt.{name} does not exist")
            return
        for depth, part in enumerate(chain[2:], start=2):
            if isinstance(found, type) and issubclass(found, enum.Enum):
                self._say(node, f"{'.'.join(chain[: depth + 1])}: PythonQt has no enum with its scope")
                return
            if not hasattr(found, part):
                if isinstance(found, type):
                    self._say(node, f"{'.'.join(chain[:depth])} has no {part!r}")
                return
            found = getattr(found, part)

    def _look_at_call(self, call, local) -> None:
        function = call.func
        if not isinstance(function, ast.Attribute):
            return
        chain = _chain(function) or [""]
        kind = self._kind(function.value, local)
        if call.keywords and (chain[0] in ("qt", "ctk") or (kind and kind != "None")):
            self._say(call, f"{_text(function)} is called with keyword arguments")
        if function.attr not in ("connect", "disconnect") or not call.args or not kind or kind == "None":
            return
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
            signal = call.args[0].value
            for one in kind.split("|"):
                known = signals(self.manifest, one)
                if _normalised(signal) not in {_normalised(entry) for entry in known}:
                    self._say(call, f"{_text(function.value)} ({one}) has no signal {signal!r}")


def _is_name(node, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _chain(node) -> list[str] | None:
    """``a.b.c`` as names; None for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


def _text(node) -> str:
    return ast.unparse(node).removeprefix("self.").removeprefix("ui.")
