"""The engine of ONNX Runtime: what it has beyond what test_engine.py asks of both engines."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines import onnx_engine
from LungNoduleSegLib.inference.engines.batches import out_of_memory
from LungNoduleSegLib.inference.engines.onnx_engine import OnnxEngine
from LungNoduleSegLib.inference.engines.plausible import plausible_tiles
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks import MEMBERS, build, scaled
from training.publish.quantise import tensor_ranges

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    config = replace(scaled(MEMBERS["model-1"], 4), input_px=64)
    return config, {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}


def test_it_says_what_it_is(parts):
    engine = OnnxEngine(*parts, threads=1, batch_size=4)
    assert (engine.name, engine.device, engine.precision, engine.warnings) == ("onnxruntime", "cpu", "float32", ())
    assert engine.description.startswith("ONNX Runtime ") and "float32, 1 threads, batches of 4" in engine.description


@pytest.fixture(scope="module")
def ranges(parts):
    config, state = parts
    return tensor_ranges(config, state, [plausible_tiles(config, Normalisation())])


def test_int8_where_the_cpu_has_units_for_it(parts, ranges, monkeypatch):
    monkeypatch.setattr(onnx_engine, "has_avx2", lambda: True)
    engine, exact = OnnxEngine(*parts, threads=1, ranges=ranges), OnnxEngine(*parts, threads=1, precision="float32")
    assert (engine.precision, engine.warnings, exact.precision) == ("int8", (), "float32")
    assert "int8, 1 threads" in engine.description
    tiles = np.random.default_rng(0).normal(-800, 200, (2, 1, 64, 64))
    apart = np.abs(engine.predict(tiles) - exact.predict(tiles))
    assert 0 < apart.max() < 0.1
    assert OnnxEngine(*parts, threads=1).precision == "float32"
    monkeypatch.setattr(onnx_engine, "has_avx2", lambda: False)
    assert OnnxEngine(*parts, threads=1, ranges=ranges).precision == "float32"
    assert OnnxEngine(*parts, threads=1, ranges=ranges, precision="int8").precision == "int8"


def test_int8_that_goes_astray_gives_way_to_float32(parts, ranges):
    """As where sums overflow; here what leaves the last layer is cut off near zero."""
    config, state = parts
    state = {**state, "head.weight": state["head.weight"] * 1000}
    astray = {"head": ranges["head"]._replace(out_low=0.0, out_high=1e-3)}
    engine = OnnxEngine(config, state, threads=1, ranges=astray, precision="int8")
    assert engine.precision == "float32" and "int8 moves probabilities by" in engine.warnings[0]
    tiles = np.random.default_rng(0).normal(-800, 200, (2, 1, 64, 64))
    assert np.array_equal(engine.predict(tiles), OnnxEngine(config, state, threads=1).predict(tiles))


def test_precisions_that_it_has_not(parts):
    with pytest.raises(InputError, match=r"card has no ranges to compute in int8 with\. Choose the precision float32"):
        OnnxEngine(*parts, precision="int8")
    with pytest.raises(InputError, match="to be one of auto, float32, int8, got 'bfloat16'"):
        OnnxEngine(*parts, precision="bfloat16")


def test_a_transformer_takes_tiles_of_its_own_size_only(parts):
    engine = OnnxEngine(*parts, threads=1)
    assert engine.predict(np.zeros((1, 1, 64, 64))).shape == (1, 64, 64)
    with pytest.raises(ValueError, match="64 pixels high and wide, got \\(128, 128\\)"):
        engine.predict(np.zeros((1, 1, 128, 128)))


def test_threads_may_share_it(parts):
    engine = OnnxEngine(*parts, threads=1, batch_size=2)
    tiles = np.random.default_rng(0).normal(-800, 200, (6, 1, 64, 64))
    expected, found = engine.predict(tiles), {}

    def work(n):
        found[n] = engine.predict(tiles)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(one, expected) for one in found.values())


def test_its_own_errors_are_understood():
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

    words = "[ONNXRuntimeError] : 1 : FAIL : AllocateRawInternal Failed to allocate memory for requested buffer of size"
    assert out_of_memory(Fail(words)) and out_of_memory(RuntimeException("... : bad allocation"))
    assert not out_of_memory(Fail("Non-zero status code returned while running Conv node"))


_FULL = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from LungNoduleSegLib.inference.engines.onnx_engine import OnnxEngine
from LungNoduleSegLib.networks import MEMBERS, scaled, state_shapes
config = scaled(MEMBERS["model-2"], 16)
state = {name: np.full(shape, 0.01, np.float32) for name, shape in state_shapes(config).items()}
engine = OnnxEngine(config, state, threads=1, batch_size=8)
tiles = np.zeros((8, 1, 512, 512), np.int16)
expected = engine.predict(tiles[:1])
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 40 * 2**20  # what one tile took is kept; two take more than that
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
found = engine.predict(tiles)
assert np.allclose(found, expected[0], atol=1e-5)
print(engine.batch_size, *engine.warnings)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit on memory is Linux's")
def test_memory_that_really_runs_out():
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run([sys.executable, "-c", _FULL, root], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) < 8 and "Memory ran out on cpu; going on with batches of" in done.stdout


@pytest.mark.parametrize(("threads", "tiles", "pieces"), [(1, 5, [2, 2, 1]), (3, 7, [2, 2, 2, 1]), (4, 3, [1, 1, 1])])
def test_threads_take_pieces_of_their_own(parts, monkeypatch, threads, tiles, pieces):
    engine, alone = OnnxEngine(*parts, threads=threads), OnnxEngine(*parts, threads=1, batch_size=1)
    taken, usual, names = [], engine._run, set()

    def run(x):
        taken.append(len(x))
        names.add(threading.current_thread().name)
        return usual(x)

    monkeypatch.setattr(engine, "_run", run)
    given = np.random.default_rng(0).normal(-800, 200, (tiles, 1, 64, 64))
    np.testing.assert_allclose(engine.predict(given), alone.predict(given), atol=1e-5)
    assert sorted(taken, reverse=True) == pieces
    assert (threading.current_thread().name in names) == (threads == 1)
