"""The real panel on Slicer's own scene; a VTK message or an exception in a slot fails the test."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

MISSING = [name for name in ("slicer", "PySide6") if find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_report_header() -> str | None:
    return f"Testing/LungNoduleSeg is left out: {', '.join(MISSING)} not installed" if MISSING else None


@pytest.fixture(scope="session")
def application():
    from slicer_harness.application import start

    return start()


@pytest.fixture
def scene(application):
    import slicer

    slicer.mrmlScene.Clear(False)
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(False)


@pytest.fixture
def module(scene):
    """The module's Python file, without a panel."""
    from slicer_harness.application import PANEL, load_module

    return load_module(PANEL)[0]


@pytest.fixture
def opened(scene):
    """The module with its panel open."""
    from slicer_harness.application import PANEL, open_module

    module = open_module(PANEL)
    yield module
    module.close()


@pytest.fixture
def window(opened):
    """The panel in a main window, beside real views."""
    from slicer_harness.window import MainWindow, why_no_views

    if why_no_views():
        pytest.skip(why_no_views())
    made = MainWindow(opened)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_messages(application):
    """Nothing may complain unseen: VTK, MRML, Slicer's logics, or a slot of the panel. Dialogs, installations and
    settings begin anew."""
    from slicer_harness import installation, pythonqt
    from slicer_harness.ctk_widgets import ctkMessageBox
    from slicer_harness.dialogs import dialogs
    from slicer_harness.messages import message_log

    message_log().take()
    pythonqt.slot_errors.clear()
    ctkMessageBox.shown.clear()
    dialogs.clear()
    installation.installed.clear()
    application.settings().clear()
    yield
    assert message_log().take() == []
    assert pythonqt.slot_errors == []
