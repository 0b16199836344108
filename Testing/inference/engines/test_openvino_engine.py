"""The engine of OpenVINO: what it has beyond what test_pieces.py asks of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LungNoduleSegLib.inference.engines import openvino_engine, pieces
from LungNoduleSegLib.inference.engines.openvino_engine import OpenVinoEngine
from LungNoduleSegLib.inference.engines.tolerance import BF16_TOLERANCE
from LungNoduleSegLib.networks import MEMBERS, build, scaled

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    config = replace(scaled(MEMBERS["model-2"], 4), input_px=64)
    return config, {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}


@pytest.fixture
def tiles():
    return np.random.default_rng(0).normal(-800, 200, (5, 1, 64, 64))


def test_bfloat16_where_the_cpu_has_units_for_it(parts, tiles, monkeypatch):
    monkeypatch.setattr(pieces, "has_avx2", lambda: True)
    monkeypatch.setattr(pieces, "has_half_units", lambda: True)
    engine, exact = OpenVinoEngine(*parts, threads=1), OpenVinoEngine(*parts, threads=1, precision="float32")
    assert (engine.precision, exact.precision) == ("bfloat16", "float32")
    assert np.abs(engine.predict(tiles) - exact.predict(tiles)).max() <= BF16_TOLERANCE
    monkeypatch.setattr(pieces, "has_half_units", lambda: False)
    assert OpenVinoEngine(*parts, threads=1).precision == "float32"
    assert OpenVinoEngine(*parts, threads=1, precision="bfloat16").precision == "bfloat16"


def test_a_format_that_moves_too_much_is_left(parts, tiles, monkeypatch):
    monkeypatch.setattr(pieces, "BF16_TOLERANCE", -1.0)
    engine = OpenVinoEngine(*parts, threads=1, precision="bfloat16")
    assert engine.precision == "float32" and "bfloat16 moves probabilities by 0.0" in engine.warnings[0]


def test_a_format_that_does_not_work_is_left(parts, tiles, monkeypatch):
    usual = OpenVinoEngine._load

    def load(self, model, precision):
        if precision == "bfloat16":
            raise RuntimeError("src/core.cpp:117:\nno kernel for MaxPool\n")
        return usual(self, model, precision)

    monkeypatch.setattr(OpenVinoEngine, "_load", load)
    engine = OpenVinoEngine(*parts, threads=1, precision="bfloat16")
    assert engine.precision == "float32"
    assert engine.warnings == ("bfloat16 does not work on this processor (no kernel for MaxPool); float32 is used.",)
    assert np.array_equal(engine.predict(tiles), OpenVinoEngine(*parts, threads=1, precision="float32").predict(tiles))


def test_a_result_is_not_overwritten_by_the_next_one(parts, tiles):
    engine = OpenVinoEngine(*parts, threads=1, precision="float32")
    first = engine.predict(tiles[:1])
    kept = first.copy()
    assert not np.array_equal(engine.predict(tiles[1:2]), kept) and np.array_equal(first, kept)


def test_whole_tiles_have_models_that_wait_and_other_shapes_share_one(parts, tiles):
    engine = OpenVinoEngine(*parts, threads=2, precision="float32")
    compiled = engine._run._requests
    assert sorted(compiled) == [1, 2]
    expected = np.concatenate([engine.predict(tiles[:, :, :48]), engine.predict(tiles[:, :, :48, ::-1])])
    engine.predict(tiles[:, :, :32, :32])
    assert sorted(compiled) == [0, 1, 2]
    found = engine.predict(np.concatenate([tiles, tiles[..., ::-1]])[:, :, :48])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_first_call_of_a_model_is_over_before_another_thread_makes_one(parts, tiles, monkeypatch):
    """Two first calls at once were seen to wait for each other without end."""
    usual, calls = openvino_engine._computed, []

    def computed(request, x):
        calls.append((threading.current_thread().name, len(x), "begins"))
        found = usual(request, x)
        calls.append((threading.current_thread().name, len(x), "ends"))
        return found

    monkeypatch.setattr(openvino_engine, "_computed", computed)
    engine = OpenVinoEngine(*parts, threads=2, precision="bfloat16")
    engine.predict(np.concatenate([tiles, tiles]))
    assert {thread for thread, *_ in calls} > {threading.main_thread().name}  # the pool's threads
    for count in (1, 2):
        first, second = [call for call in calls if call[1] == count][:2]
        assert first[2] == "begins" and second == (*first[:2], "ends")


_INTERRUPTED = """
import signal, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from LungNoduleSegLib.inference.engines.openvino_engine import OpenVinoEngine
from LungNoduleSegLib.networks import MEMBERS, scaled, state_shapes
config = scaled(MEMBERS["model-2"], 2)
state = {name: np.full(shape, 0.01, np.float32) for name, shape in state_shapes(config).items()}
engine = OpenVinoEngine(config, state, threads=1, precision="float32")
engine.predict(np.zeros((1, 1, 64, 64), np.int16))
del engine
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_after_the_last_engine_is_gone_is_one():
    """OpenVINO leaves the thread with a stack for signals that goes with its last core."""
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, root], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr
