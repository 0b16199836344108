"""The engines that compute pieces of a batch on the CPU: what they have beyond what test_torch_engine.py asks."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines import pieces
from LungNoduleSegLib.inference.engines.onnx_engine import OnnxEngine
from LungNoduleSegLib.inference.engines.openvino_engine import OpenVinoEngine
from LungNoduleSegLib.inference.engines.plausible import plausible_tiles
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks import MEMBERS, build, scaled
from training.publish.quantise import tensor_ranges


@pytest.fixture(params=[OnnxEngine, OpenVinoEngine], ids=lambda kind: kind.name)
def kind(request):
    pytest.importorskip(request.param.name)
    return request.param


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    config = replace(scaled(MEMBERS["model-1"], 4), input_px=64)
    return config, {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}


def test_it_says_what_it_is(parts, kind):
    engine = kind(*parts, threads=1, batch_size=4, precision="float32")
    assert (engine.name, engine.device, engine.precision, engine.warnings) == (kind.name, "cpu", "float32", ())
    assert engine.description.startswith(f"{kind.title} ") and "float32, 1 threads, batches of 4" in engine.description


@pytest.fixture(scope="module")
def ranges(parts):
    config, state = parts
    return tensor_ranges(config, state, [plausible_tiles(config, Normalisation())])


def test_int8_where_the_cpu_has_units_for_it(parts, kind, ranges, monkeypatch):
    monkeypatch.setattr(pieces, "has_avx2", lambda: True)
    monkeypatch.setattr(pieces, "has_half_units", lambda: False)
    engine, exact = kind(*parts, threads=1, ranges=ranges), kind(*parts, threads=1, precision="float32")
    assert (engine.precision, engine.warnings, exact.precision) == ("int8", (), "float32")
    assert "int8, 1 threads" in engine.description
    tiles = np.random.default_rng(0).normal(-800, 200, (2, 1, 64, 64))
    apart = np.abs(engine.predict(tiles) - exact.predict(tiles))
    assert 0 < apart.max() < 0.1
    assert kind(*parts, threads=1).precision == "float32"
    monkeypatch.setattr(pieces, "has_avx2", lambda: False)
    assert kind(*parts, threads=1, ranges=ranges).precision == "float32"
    assert kind(*parts, threads=1, ranges=ranges, precision="int8").precision == "int8"


def test_int8_that_goes_astray_gives_way_to_float32(parts, kind, ranges):
    """As where sums overflow; here what leaves the last layer is cut off near zero."""
    config, state = parts
    state = {**state, "head.weight": state["head.weight"] * 1000}
    astray = {"head": ranges["head"]._replace(out_low=0.0, out_high=1e-3)}
    engine = kind(config, state, threads=1, ranges=astray, precision="int8")
    assert engine.precision == "float32" and "int8 moves probabilities by" in engine.warnings[0]
    tiles = np.random.default_rng(0).normal(-800, 200, (2, 1, 64, 64))
    assert np.array_equal(engine.predict(tiles), kind(config, state, threads=1).predict(tiles))


def test_precisions_that_it_has_not(parts, kind):
    with pytest.raises(InputError, match=r"card has no ranges to compute in int8 with\. Choose the precision float32"):
        kind(*parts, precision="int8")
    with pytest.raises(InputError, match=r"to be one of auto, float32, .*int8, got 'float16'"):
        kind(*parts, precision="float16")


def test_a_transformer_takes_tiles_of_its_own_size_only(parts, kind):
    engine = kind(*parts, threads=1)
    assert engine.predict(np.zeros((1, 1, 64, 64))).shape == (1, 64, 64)
    with pytest.raises(ValueError, match="64 pixels high and wide, got \\(128, 128\\)"):
        engine.predict(np.zeros((1, 1, 128, 128)))


def test_threads_may_share_it(parts, kind):
    engine = kind(*parts, threads=1, batch_size=2)
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


def test_several_callers_are_no_more_threads_than_one(parts, kind, monkeypatch):
    engine = kind(*parts, threads=1, precision="float32")
    usual, running, most = engine._run, [], []

    def run(x):
        running.append(1)
        most.append(len(running))
        found = usual(x)
        running.pop()
        return found

    monkeypatch.setattr(engine, "_run", run)
    callers = [threading.Thread(target=engine.predict, args=(np.zeros((8, 1, 64, 64)),)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert max(most) == 1 and len(most) == 12


@pytest.mark.parametrize(("threads", "tiles", "sizes"), [(1, 5, [2, 2, 1]), (3, 7, [2, 2, 2, 1]), (4, 3, [1, 1, 1])])
def test_threads_take_pieces_of_their_own(parts, kind, monkeypatch, threads, tiles, sizes):
    engine, alone = kind(*parts, threads=threads), kind(*parts, threads=1, batch_size=1)
    taken, usual, names = [], engine._run, set()

    def run(x):
        taken.append(len(x))
        names.add(threading.current_thread().name)
        return usual(x)

    monkeypatch.setattr(engine, "_run", run)
    given = np.random.default_rng(0).normal(-800, 200, (tiles, 1, 64, 64))
    np.testing.assert_allclose(engine.predict(given), alone.predict(given), atol=1e-5)
    assert sorted(taken, reverse=True) == sizes
    assert (threading.current_thread().name in names) == (threads == 1)
