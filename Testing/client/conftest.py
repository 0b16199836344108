"""Runners that misbehave, a small model for the real one, and a look at what is left behind."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.report.record import write_json
from LungNoduleSegLib.report.saved import save_result
from LungNoduleSegLib.segmenter.result import Result
from Testing.cli.tiny import phantom, write_store
from Testing.client.fakes import HEAD, Scripted, own_folders


@pytest.fixture
def scripted(tmp_path) -> Callable[[str], Scripted]:
    """Makes an interpreter whose runner is the given code, after helpers ``say`` and ``ready``."""

    def make(code: str) -> Scripted:
        script = tmp_path / "fake runner ä.py"
        script.write_text(HEAD + textwrap.dedent(code), encoding="utf-8")
        return Scripted(Path(sys.executable), own=True, script=script)

    return make


@pytest.fixture
def bare(tmp_path) -> Interpreter:
    """A Python without any package, as another user's may be."""
    if sys.platform == "win32":
        pytest.skip("shell script")
    program = tmp_path / "bare python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    program.chmod(0o755)
    return Interpreter.at(program)


@pytest.fixture(scope="session")
def ct() -> CT:
    return phantom()


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("Gewichte ä b")
    write_store(folder)
    return folder


@pytest.fixture
def tiny(store, monkeypatch) -> None:
    """The real runner finds the model "tiny"."""
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(store))


@pytest.fixture(scope="session")
def saved(tmp_path_factory, ct) -> Path:
    """A result on the phantom as the runner would have written it; its record lies beside it."""
    path = tmp_path_factory.mktemp("saved") / "result.npz"
    mask = np.ones((2, 3, 4), bool)
    candidate = Candidate((20, 84, 50), mask, 0.9, 0.95, (0.0, 0.0, 0.0), 5.0)
    save_result(path, Result(ct=ct, candidates=(candidate,), threshold=0.3, min_diameter_mm=0.0, model="fake"))
    write_json(path.with_suffix(".json"), {"command": "segment"})
    return path


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Every test closes what it opened, and no folder of it is left then."""
    before = set(own_folders())
    yield
    end = time.monotonic() + 5.0
    while (left := set(own_folders()) - before) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left
