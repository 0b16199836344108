"""``slicer.app``, the .ui loader, and opening a scripted module as the application does."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import types
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from PySide6 import QtCore, QtUiTools, QtWidgets
from PySide6.QtCore import Property, QObject, Signal

from . import ctk_widgets, pythonqt, qmrml_widgets

REPOSITORY = Path(__file__).resolve().parents[2]
PANEL = REPOSITORY / "LungNoduleSeg" / "LungNoduleSeg.py"
_PYTHON = Path(__file__).with_name("slicer_python")


class UiLoader(QtUiTools.QUiLoader):
    """Loads a .ui with the stand-ins; a class without one is an error, not an empty widget."""

    def createWidget(self, class_name, parent=None, name=""):
        made = _stand_in(class_name)
        widget = made(parent) if parent is not None else made()
        widget.setObjectName(name)
        return widget

    def load(self, file, parent=None):
        root = ElementTree.fromstring(bytes(file.readAll().data()))
        for element in root.iter("widget"):  # now, because an error inside createWidget does not get out of Qt
            _stand_in(element.get("class"))
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


def _stand_in(class_name: str) -> type:
    found = ctk_widgets.WIDGETS.get(class_name) or qmrml_widgets.WIDGETS.get(class_name)
    found = found or getattr(QtWidgets, class_name, None)
    if found is None:
        raise LookupError(f"The harness has no stand-in for {class_name}.")
    return found


def _named(widget, name: str):
    found = widget if widget.objectName == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise LookupError(f"A connection in the .ui names {name!r}, which is no widget in it.")
    return found


class _ModuleManager(QObject):
    moduleAboutToBeUnloaded = Signal(str)
    moduleLoaded = Signal(str)

    def factoryManager(self):
        return self

    def loadedModuleNames(self) -> list[str]:
        import slicer

        return [name for name in vars(slicer.modules) if not name.startswith("_")]


class qSlicerApplication(QtWidgets.QApplication):
    """What the module and ``slicer.util`` ask the application for."""

    startupCompleted = Signal()

    def prepare(self) -> None:
        self._modules = _ModuleManager()
        self._folder = tempfile.mkdtemp(prefix="slicer-")
        self._testing = True

    def moduleManager(self):
        return self._modules

    def layoutManager(self):
        return None  # as with --no-main-window

    def mainWindow(self):
        return None

    def mrmlScene(self):
        import slicer

        return slicer.mrmlScene

    def applicationLogic(self):
        import slicer

        return slicer._appLogic

    def testingEnabled(self) -> bool:
        return self._testing

    def settings(self):
        return QtCore.QSettings(os.path.join(self._folder, "Slicer.ini"), QtCore.QSettings.Format.IniFormat)

    userSettings = settings

    def translate(self, _context: str, text: str) -> str:
        return text

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/{name}"

    def commandOptions(self):
        return types.SimpleNamespace(testingEnabled=False, noMainWindow=True, runPythonAndExit=False)

    temporaryPath = Property(str, lambda self: self._folder)
    slicerHome = Property(str, lambda self: self._folder)
    majorVersion = Property(int, lambda self: 5)
    minorVersion = Property(int, lambda self: 13)


class LoadedModule:
    """What a module class gets as ``parent``, and what ``slicer.modules.<name>`` is."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = str(path), path.stem
        self.title = self.helpText = self.acknowledgementText = ""
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.hidden = False
        self.icon = None
        self.widget = None
        self.defaultDocumentationLink = ""

    def widgetRepresentation(self):
        return self.widget


@dataclass
class OpenModule:
    """A module whose panel is open."""

    python: types.ModuleType
    module: LoadedModule
    instance: object
    widget: object
    parent: QtWidgets.QWidget

    def close(self) -> None:
        self.widget.exit()
        self.widget.cleanup()
        self.parent.setMRMLScene(None)
        self.parent.deleteLater()


def start():
    """The application and the scene of this process, made on the first call; returns ``slicer.app``."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from .scene import start_scene

    start_scene()
    import slicer

    if getattr(slicer, "app", None) is not None:
        return slicer.app
    qt = pythonqt.install()
    qt.QUiLoader = UiLoader
    ctk = types.ModuleType("ctk", ctk_widgets.__doc__)
    ctk.__dict__.update(ctk_widgets.WIDGETS)
    sys.modules["ctk"] = ctk
    for name, value in qmrml_widgets.WIDGETS.items():
        setattr(slicer, name, value)
    # After slicer was imported: at import time it would import everything that it finds on its path.
    slicer.__path__.append(str(_PYTHON))
    application = QtWidgets.QApplication.instance() or qSlicerApplication(["Slicer"])
    application.prepare()
    application.setApplicationName("Slicer")
    slicer.app, slicer.qSlicerApplication = application, qSlicerApplication
    slicer.moduleNames = types.ModuleType("slicer.moduleNames")
    sys.modules["slicer.moduleNames"] = slicer.moduleNames
    return application


def load_module(path: Path) -> tuple[types.ModuleType, LoadedModule, object]:
    """Import a scripted module and make its module object, without opening the panel."""
    import slicer

    spec = importlib.util.spec_from_file_location(path.stem, path)
    python = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = python
    spec.loader.exec_module(python)
    module = LoadedModule(path)
    instance = getattr(python, path.stem)(module)
    setattr(slicer.modules, path.stem.lower(), module)
    setattr(slicer.modules, path.stem + "Instance", instance)
    return python, module, instance


def open_module(path: Path) -> OpenModule:
    """Load a scripted module and open its panel: the widget's ``setup`` and ``enter``."""
    import slicer

    python, module, instance = load_module(path)
    parent = qmrml_widgets.qMRMLWidget()
    QtWidgets.QVBoxLayout(parent)
    parent.setMRMLScene(slicer.mrmlScene)
    parent.isEntered = False
    module.widget = parent
    widget = getattr(python, path.stem + "Widget")(parent)
    widget.setup()
    setattr(slicer.modules, path.stem + "Widget", widget)
    parent.isEntered = True
    widget.enter()
    return OpenModule(python, module, instance, widget, parent)
