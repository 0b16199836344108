"""Every test here works on Slicer's own scene; a VTK or MRML message fails it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture(scope="session")
def slicer_scene():
    pytest.importorskip("slicer", reason="slicer-core is not installed")
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
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from slicer_harness.messages import message_log

    message_log().take()
    yield
    assert message_log().take() == []
