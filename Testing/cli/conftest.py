"""A small model in a store of its own, its phantom CT as a file, and the command line in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from Testing.cli.tiny import phantom, write_store


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory) -> Path:
    """Folder with the weights and card of "tiny", and the card of "absent"."""
    folder = tmp_path_factory.mktemp("weights")
    write_store(folder)
    return folder


@pytest.fixture
def store(tiny_store, monkeypatch) -> Path:
    """The store, found by this process and its children."""
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(tiny_store))
    return tiny_store


@pytest.fixture(scope="session")
def phantom_path(tmp_path_factory) -> Path:
    """The phantom CT with two nodules as NRRD."""
    import SimpleITK as sitk

    path = tmp_path_factory.mktemp("ct") / "phantom.nrrd"
    sitk.WriteImage(phantom().to_sitk(), str(path), True)
    return path


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys):
    """``cli("segment", path, ...)`` runs the command line in this process."""

    def run(*arguments: object) -> Ended:
        from LungNoduleSegLib.cli.app import app

        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def quick_outputs(monkeypatch):
    """Leaves out what starts other processes: the 3D view and the Slicer scene."""
    from LungNoduleSegLib.report import scene3d, scene_file

    monkeypatch.setattr(scene3d, "find_spec", lambda name: None)
    monkeypatch.setattr(scene_file, "find_spec", lambda name: None)
