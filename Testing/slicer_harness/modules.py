"""Scripted modules as the application loads them: the module object, its C++ logic, and the panel on demand."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from dataclasses import dataclass
from pathlib import Path

from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, QObject, Signal

from . import qmrml_widgets
from .properties import stored


class _FactoryManager(QObject):
    def loadedModuleNames(self) -> list[str]:
        return sorted(module.name for module in _modules())

    def isLoaded(self, name: str) -> bool:
        return name in self.loadedModuleNames()

    def loadedModule(self, name: str):
        return next((module for module in _modules() if module.name == name), None)

    def moduleInstance(self, name: str):
        return self.loadedModule(name)


class ModuleManager(QObject):
    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._factory = _FactoryManager()

    def factoryManager(self):
        return self._factory

    def modulesNames(self) -> list[str]:
        return self._factory.loadedModuleNames()

    def module(self, name: str):
        return self._factory.loadedModule(name)


def _modules() -> list:
    import slicer

    return [value for value in vars(slicer.modules).values() if hasattr(value, "widgetRepresentation")]


class qSlicerScriptedLoadableModuleWidget(qmrml_widgets.qSlicerWidget):
    """The widget that holds a scripted module's panel; ``self()`` is the Python object."""

    def __init__(self, module) -> None:
        super().__init__()
        self._module, self._python, self._entered = module, None, False
        QtWidgets.QVBoxLayout(self)

    isEntered = Property(bool, lambda self: self._entered)
    moduleName = Property(str, lambda self: self._module.name)

    def self(self):
        return self._python

    def reload(self) -> None:
        """Make the panel anew, of the class that the module's file has now."""
        import slicer

        name = self._module.name
        self._python = getattr(sys.modules[name], name + "Widget")(self)
        setattr(slicer.modules, name + "Widget", self._python)
        self._python.setup()

    def enter(self) -> None:
        self._entered = True
        if hasattr(self._python, "enter"):
            self._python.enter()

    def exit(self) -> None:
        self._entered = False
        if hasattr(self._python, "exit"):
            self._python.exit()


class qSlicerScriptedLoadableModule(QObject):
    """What a module class gets as ``parent``, and what ``slicer.modules.<name>`` is.

    ``logic()`` is Slicer's own generic C++ logic, as in the application: not the module's Python logic, which
    ``slicer.util.getModuleLogic`` finds.
    """

    title = stored(str, "title", "")
    helpText = stored(str, "helpText", "")
    acknowledgementText = stored(str, "acknowledgementText", "")
    categories = stored("QStringList", "categories", [])
    contributors = stored("QStringList", "contributors", [])
    dependencies = stored("QStringList", "dependencies", [])
    associatedNodeTypes = stored("QStringList", "associatedNodeTypes", [])
    hidden = stored(bool, "hidden", False)
    index = stored(int, "index", -1)
    icon = stored(QtGui.QIcon, "icon", QtGui.QIcon())
    extensions = stored("QVariantMap", "extensions", {})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._logic, self._widget = path, None, None

    name = Property(str, lambda self: self._path.stem)
    path = Property(str, lambda self: str(self._path))
    slicerWikiUrl = Property(str, lambda self: "")
    defaultDocumentationLink = Property(str, lambda self: "")

    def logic(self):
        import slicer

        if self._logic is None:
            self._logic = slicer.vtkSlicerScriptedLoadableModuleLogic()
            self._logic.SetMRMLApplicationLogic(slicer._appLogic)
            self._logic.SetMRMLScene(slicer.mrmlScene)
        return self._logic

    def widgetRepresentation(self):
        """The panel, made on the first call: opening it is another step (``enter``)."""
        import slicer

        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self)
            self._widget.setMRMLScene(slicer.mrmlScene)
            self._widget.reload()
        return self._widget


@dataclass
class OpenModule:
    """A module whose panel is open."""

    python: types.ModuleType
    module: qSlicerScriptedLoadableModule
    instance: object
    forget: list

    @property
    def parent(self) -> qSlicerScriptedLoadableModuleWidget:
        """The widget that holds the panel."""
        return self.module.widgetRepresentation()

    @property
    def widget(self):
        """The Python object of the panel; another one after a reload."""
        return self.parent.self()

    def close(self) -> None:
        """Leave the panel and end the module, as when the application quits."""
        from slicer.parameterNodeWrapper import wrapper

        parent, widget = self.parent, self.widget
        if parent.isEntered:
            parent.exit()
        widget.cleanup()
        wrapper.forget_guis()  # connectGui keeps the deleted widgets of this panel, see there
        parent.setMRMLScene(None)
        parent.deleteLater()
        self.module._widget = None
        for undo in self.forget:
            undo()


def load_module(path: Path) -> tuple[types.ModuleType, qSlicerScriptedLoadableModule, object]:
    """Import a scripted module and make its module object, without making the panel.

    As in the application, the folder of the file is on ``sys.path`` from now on.
    """
    import slicer

    path = Path(path)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    _forget_packages_of_other_folders(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    python = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = python
    spec.loader.exec_module(python)
    module = qSlicerScriptedLoadableModule(path)
    setattr(slicer.modules, path.stem.lower(), module)
    instance = getattr(python, path.stem)(module)
    setattr(slicer.modules, path.stem + "Instance", instance)
    slicer.app.moduleManager().moduleLoaded.emit(path.stem)
    return python, module, instance


def open_module(path: Path) -> OpenModule:
    """Load a scripted module and open its panel: the widget's ``setup`` and ``enter``.

    What the module's own folder brought into ``sys.modules`` is forgotten when it is closed.
    """
    path = Path(path)
    before, paths = set(sys.modules), list(sys.path)
    python, module, instance = load_module(path)
    module.widgetRepresentation().enter()

    def forget() -> None:
        sys.path[:] = [entry for entry in sys.path if entry in paths]
        for name in _modules_in(path.parent) - before:
            del sys.modules[name]

    return OpenModule(python, module, instance, [forget])


def _modules_in(folder: Path) -> set[str]:
    """Names of the loaded modules whose file lies in a folder."""
    start = os.path.join(os.path.realpath(folder), "")
    found = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.realpath(file).startswith(start):
            found.add(name)
    return found


def _forget_packages_of_other_folders(folder: Path) -> None:
    """Packages of another copy of the same module must not be taken for this one's."""
    packages = {entry.name for entry in folder.iterdir() if (entry / "__init__.py").is_file()}
    ours = _modules_in(folder)
    for name in list(sys.modules):
        if name.partition(".")[0] in packages and name not in ours:
            del sys.modules[name]
