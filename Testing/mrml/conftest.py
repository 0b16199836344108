"""Every test here works on Slicer's own scene; a VTK or MRML message fails it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

HAS_SLICER = find_spec("slicer") is not None
# The test modules name slicer in their first lines.
collect_ignore_glob = [] if HAS_SLICER else ["test_*.py"]


def pytest_report_header() -> str | None:
    return None if HAS_SLICER else "Testing/mrml is left out: slicer-core is not installed"


@pytest.fixture(scope="session")
def slicer_scene():
    from slicer_harness.scene import start_scene

    return start_scene()


@pytest.fixture
def scene(slicer_scene):
    """The scene, emptied before and after."""
    slicer_scene.Clear(False)
    yield slicer_scene
    slicer_scene.Clear(False)


@pytest.fixture(autouse=True)
def no_messages():
    """Fail the test if VTK, MRML or one of Slicer's logics warned or complained during it."""
    from slicer_harness.messages import message_log

    message_log().take()
    yield
    assert message_log().take() == []
