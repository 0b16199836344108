"""Which Python runs the segmentation, how it is started, and in which environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from LungNoduleSegLib.client import interpreter as module
from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.errors import InputError

SUFFIX = ".exe" if sys.platform == "win32" else ""


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_outside_of_slicer_it_is_this_python(monkeypatch):
    monkeypatch.delenv("SLICER_HOME", raising=False)
    assert Interpreter.default() == Interpreter(Path(sys.executable), own=True)
    assert Interpreter.at(sys.executable) == Interpreter.default()


def test_in_slicer_it_is_slicers_own_without_the_launcher_where_possible(monkeypatch, tmp_path):
    launcher = program(tmp_path / "Slicer 5 ä" / "bin" / f"PythonSlicer{SUFFIX}")
    monkeypatch.setenv("SLICER_HOME", str(tmp_path / "Slicer 5 ä"))
    monkeypatch.setattr(sys, "executable", str(launcher.parent / "SlicerApp-real"))
    assert Interpreter.default() == Interpreter(launcher, own=True)
    real = program(launcher.parent / f"python-real{SUFFIX}")
    assert Interpreter.default() == Interpreter(real, own=True)
    # Found by the search path where the folder is built otherwise.
    monkeypatch.setenv("SLICER_HOME", str(tmp_path / "absent"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "other" / "Slicer"))
    monkeypatch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
    assert Interpreter.default().path == real


def test_another_python_must_be_a_program(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Interpreter.at(tmp_path / "absent")
    with pytest.raises(InputError, match="is a folder"):
        Interpreter.at(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match="no program") as caught:
        Interpreter.at(tmp_path / "notes.txt")
    assert caught.value.remedy and str(tmp_path / "notes.txt") in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_link_is_not_followed(tmp_path):
    # The Python of a virtual environment is a link to the one without its packages.
    link = tmp_path / "env" / "python"
    link.parent.mkdir()
    link.symlink_to(program(tmp_path / "python3"))
    found = Interpreter.at(link)
    assert found == Interpreter(link, own=False)


def test_another_python_gets_nothing_of_slicers():
    slicers = {
        "PYTHONHOME": "/slicer", "PYTHONPATH": "/slicer/lib", "LD_LIBRARY_PATH": "/slicer/lib",
        "SLICER_HOME": "/slicer", "DYLD_LIBRARY_PATH": "/slicer/lib", "HOME": "/home/ä",
        "PATH": os.pathsep.join(["/slicer/bin", "/slicerless/bin", "/bin"]),
    }  # fmt: skip
    other = Interpreter(Path("/conda/python"), own=False).environment(slicers)
    path = os.pathsep.join(["/slicerless/bin", "/bin"])
    assert other == {"HOME": "/home/ä", "PATH": path, "PYTHONIOENCODING": "utf-8"}
    own = Interpreter(Path("/slicer/bin/python-real"), own=True).environment(slicers)
    assert own == {**slicers, "PYTHONIOENCODING": "utf-8"}
    assert "PYTHONIOENCODING" not in slicers


def test_the_environment_of_this_process_is_the_default(monkeypatch):
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", "/weights ä")
    assert Interpreter.default().environment()["LUNGNODULESEG_WEIGHTS"] == "/weights ä"


@pytest.fixture(scope="module")
def moved(tmp_path_factory) -> Path:
    """The library in another place, with neighbours that must not be imported."""
    root = tmp_path_factory.mktemp("Bibliothek 'ä' b")
    source = Path(module.__file__).resolve().parents[1]
    for part in ("__init__.py", "errors.py", "runner.py"):
        (root / "LungNoduleSegLib").mkdir(exist_ok=True)
        shutil.copy(source / part, root / "LungNoduleSegLib")
    for trap in (root / "json.py", root / "LungNoduleSegLib" / "queue.py"):
        trap.write_text("raise RuntimeError('a neighbour was imported')")
    (root / "LungNoduleSegLib" / "client").mkdir()
    return root


def test_this_librarys_runner_is_run_wherever_it_lies_and_none_of_its_neighbours(moved, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(moved / "LungNoduleSegLib" / "client" / "interpreter.py"))
    (tmp_path / "queue.py").write_text("raise RuntimeError('a module of the working folder was imported')")
    command = Interpreter.default().command("absent ä.json")
    assert command[-1] == "absent ä.json" and all(word.isascii() for word in command[1:-1])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
                          check=False, timeout=60)  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["ready", "error"], done.stderr
    assert events[1]["path"] == "absent ä.json"


def test_the_library_of_the_panel_is_the_one_that_runs(tmp_path):
    """Also where the other Python has a library of the same name."""
    other = tmp_path / "LungNoduleSegLib"
    other.mkdir()
    (other / "__init__.py").write_text("raise RuntimeError('the wrong library')")
    command = Interpreter.default().command("absent.json")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, env=environment, stdin=subprocess.DEVNULL, check=False,
                          timeout=60)  # fmt: skip
    assert b'"ready"' in done.stdout, done.stderr
