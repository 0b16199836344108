"""``slicer.app`` and the start of an application-like process.

``start()`` makes both once; the scene and its logics come from ``scene``, modules are opened by ``modules``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import types
from pathlib import Path

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from . import ctk_widgets, dialogs, modules, pythonqt, qmrml_widgets
from .messages import message_log
from .modules import OpenModule, load_module, open_module
from .ui_loader import UiLoader

__all__ = ["PANEL", "REPOSITORY", "OpenModule", "load_module", "open_module", "qSlicerApplication", "start"]

REPOSITORY = Path(__file__).resolve().parents[2]
PANEL = REPOSITORY / "LungNoduleSeg" / "LungNoduleSeg.py"
_PYTHON = Path(__file__).with_name("slicer_python")
# Said by the platforms "offscreen" and "xcb" about themselves.
_OF_THE_PLATFORM = ("does not support propagateSizeHints", "XDG_RUNTIME_DIR")


class qSlicerApplication(QtWidgets.QApplication):
    """What the module and ``slicer.util`` ask the application for."""

    startupCompleted = Signal()
    renderPaused = Signal(bool)
    mrmlSceneChanged = Signal(object)
    urlReceived = Signal(str)

    def prepare(self) -> None:
        self._modules = modules.ModuleManager()
        self._folder = tempfile.mkdtemp(prefix="slicer-")
        self._testing = True
        self._layout = None
        self._options = types.SimpleNamespace(testingEnabled=True, noMainWindow=True, runPythonAndExit=False)
        # qt.QSettings() without arguments is the application's own file, here one that ends with the process.
        ini = QtCore.QSettings.Format.IniFormat
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, self._folder)
        QtCore.QCoreApplication.setOrganizationName("slicer.org")
        QtCore.QCoreApplication.setApplicationName("Slicer")
        self._settings = QtCore.QSettings()

    def moduleManager(self):
        return self._modules

    def layoutManager(self):
        """None without a main window; ``window.MainWindow`` brings one."""
        return self._layout

    def mrmlScene(self):
        import slicer

        return slicer.mrmlScene

    def applicationLogic(self):
        import slicer

        return slicer._appLogic

    def moduleLogic(self, name: str):
        module = self._modules.module(name)
        return None if module is None else module.logic()

    def testingEnabled(self) -> bool:
        return self._testing

    def settings(self):
        return self._settings

    userSettings = revisionUserSettings = settings

    def startupEnvironment(self):
        """The environment of the process that started the application."""
        return QtCore.QProcessEnvironment.systemEnvironment()

    environment = startupEnvironment

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    def setRenderPaused(self, pause: bool) -> None:
        import slicer

        logic = slicer._appLogic
        if pause:
            logic.PauseRender()
        else:
            logic.ResumeRender()
        self.renderPaused.emit(pause)

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/{name}"

    def commandOptions(self):
        return self._options

    def openUrl(self, url: str) -> None:
        dialogs.dialogs.urls.append(url)

    def openExtensionsManagerDialog(self) -> None:
        dialogs.dialogs.take("dialog", "Extensions Manager", "", None)

    temporaryPath = Property(str, lambda self: self._folder)
    slicerHome = Property(str, lambda self: self._folder)
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/")
    majorVersion = Property(int, lambda self: 5)
    minorVersion = Property(int, lambda self: 13)
    revision = Property(str, lambda self: "0")
    os = Property(str, lambda self: "linux")
    arch = Property(str, lambda self: "amd64")


def _note_message(kind, _context, text: str) -> None:
    """What Qt complains about counts as what VTK complains about."""
    levels = QtCore.QtMsgType
    if kind in (levels.QtDebugMsg, levels.QtInfoMsg) or any(entry in text for entry in _OF_THE_PLATFORM):
        return
    message_log().add("QtWarning", text)


def start():
    """The application and the scene of this process, made on the first call; returns ``slicer.app``."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from .scene import start_scene

    start_scene()
    import slicer

    if getattr(slicer, "app", None) is not None:
        return slicer.app
    QtCore.qInstallMessageHandler(_note_message)
    qt = pythonqt.install()
    qt.QUiLoader = UiLoader
    dialogs.install()
    ctk = types.ModuleType("ctk", ctk_widgets.__doc__)
    ctk.__dict__.update(ctk_widgets.WIDGETS)
    sys.modules["ctk"] = ctk
    for name, value in qmrml_widgets.WIDGETS.items():
        setattr(slicer, name, value)
    slicer.qSlicerScriptedLoadableModule = modules.qSlicerScriptedLoadableModule
    slicer.qSlicerScriptedLoadableModuleWidget = modules.qSlicerScriptedLoadableModuleWidget
    # After slicer was imported: at import time it would import everything that it finds on its path.
    slicer.__path__.append(str(_PYTHON))
    application = QtWidgets.QApplication.instance() or qSlicerApplication(["Slicer"])
    application.prepare()
    slicer.app, slicer.qSlicerApplication = application, qSlicerApplication
    slicer.moduleNames = types.ModuleType("slicer.moduleNames")
    sys.modules["slicer.moduleNames"] = slicer.moduleNames
    from . import installation, sample_data, segment_editor

    installation.install()
    sample_data.install()
    segment_editor.install()
    return application
