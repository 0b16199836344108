"""A folder to work in, a store of weights of its own, one thread, and no other process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from Testing.training.tutorials.bright import write_bright


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; weights that are imported lie in its ``own``."""
    from LungNoduleSegLib.report import scene3d, scene_file

    monkeypatch.chdir(tmp_path)
    for name in ("LUNGNODULESEG_DATA", "LUNGNODULESEG_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(tmp_path / "own"))
    write_bright(tmp_path / "own")
    # The 3D view and the Slicer scene start other processes, and are tested elsewhere.
    monkeypatch.setattr(scene3d, "find_spec", lambda name: None)
    monkeypatch.setattr(scene_file, "find_spec", lambda name: None)
    return tmp_path
