"""Packages of the engines: whether they can be imported, and what they may not do on the way."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from LungNoduleSegLib.inference.engines import packages
from LungNoduleSegLib.inference.engines.packages import imported, reason_not_loaded


def test_packages_that_are_absent_or_broken(monkeypatch):
    assert reason_not_loaded("numpy") == "" and reason_not_loaded("no_such_package") == "is not installed"

    def fails(name):
        raise OSError("libx.so: cannot open shared object file\nmore")

    monkeypatch.setattr(packages.importlib, "import_module", fails)
    assert reason_not_loaded("numpy") == "cannot be loaded (OSError: libx.so: cannot open shared object file)"


_COMPUTE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from LungNoduleSegLib.inference.engines.choose import make_engine
from LungNoduleSegLib.networks import MEMBERS, scaled, state_shapes
config = scaled(MEMBERS["model-2"], 2)
state = {name: np.full(shape, 0.01, np.float32) for name, shape in state_shapes(config).items()}
engine = make_engine(config, state, engine="openvino", threads=1)
engine.predict(np.zeros((1, 1, 64, 64), np.int16))
print(engine.name, "openvino_telemetry" in sys.modules)
"""


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_openvino_tells_nobody_that_it_was_used(tmp_path):
    """Where it does, it also leaves a number of its own and a count in the home folder."""
    root = str(Path(__file__).resolve().parents[3])
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", _COMPUTE, root], capture_output=True, text=True, timeout=300, check=False, env=home
    )
    assert done.stdout.split() == ["openvino", "False"], done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_what_was_there_before_is_there_again(monkeypatch):
    """Who imports the reports by themselves is not kept from it."""
    seen = []
    look = lambda name: seen.append(sys.modules.get(packages._REPORTS))  # noqa: E731
    monkeypatch.setattr(packages.importlib, "import_module", look)
    monkeypatch.setattr(packages, "_first_call", lambda module: None)
    for before in (sys, None):
        monkeypatch.delitem(sys.modules, "openvino", raising=False)
        monkeypatch.setitem(sys.modules, packages._REPORTS, before)
        imported("openvino")
        assert sys.modules[packages._REPORTS] is before
    monkeypatch.delitem(sys.modules, packages._REPORTS)
    imported("openvino")
    assert packages._REPORTS not in sys.modules and seen == [None] * 3


def test_openvino_is_looked_into_once_before_anyone_gets_it(monkeypatch):
    """Two threads that do so first at the same time can wait for each other without end."""
    monkeypatch.setattr(packages, "_begun", set())
    monkeypatch.setattr(packages, "_without_reports", lambda package: package)
    looks, got = [], []

    def look(module):
        assert not got
        time.sleep(0.05)
        looks.append(module)

    monkeypatch.setattr(packages, "_first_call", look)
    threads = [threading.Thread(target=lambda: got.append(imported("openvino"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert looks == ["openvino"] and got == ["openvino"] * 4
