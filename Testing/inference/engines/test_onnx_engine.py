"""The engine of ONNX Runtime: what it has beyond what test_pieces.py asks of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from LungNoduleSegLib.inference.engines.batches import out_of_memory

pytest.importorskip("onnxruntime")


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
