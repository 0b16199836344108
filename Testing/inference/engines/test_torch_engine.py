"""The engine: right numbers, on any device, whatever memory there is."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch
from scipy import ndimage

from LungNoduleSegLib.errors import InputError, LungNoduleSegError, WeightsError
from LungNoduleSegLib.inference.engines import device as devices
from LungNoduleSegLib.inference.engines import precision as precisions
from LungNoduleSegLib.inference.engines.batches import BATCH, out_of_memory
from LungNoduleSegLib.inference.engines.copies import PlainCopies
from LungNoduleSegLib.inference.engines.graphs import Graphs, Recorded
from LungNoduleSegLib.inference.engines.onnx_engine import OnnxEngine
from LungNoduleSegLib.inference.engines.openvino_engine import OpenVinoEngine
from LungNoduleSegLib.inference.engines.plausible import plausible_tiles
from LungNoduleSegLib.inference.engines.torch_engine import TorchEngine, load_weights
from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from LungNoduleSegLib.networks import MEMBERS, build, scaled


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    from dataclasses import replace

    network = build(replace(scaled(MEMBERS["model-2"], 4), input_slices=3)).eval()
    with torch.no_grad():
        network.head.weight *= 20  # probabilities over the whole range
    return network


@pytest.fixture
def tiles():
    """Smooth, so that no pixel is a spike, which the engine would remove."""
    noise = np.random.default_rng(0).normal(0, 1, (7, 3, 128, 128))
    return (ndimage.gaussian_filter(noise, (0, 0, 1.5, 1.5)) * 3000 - 300).astype(np.int16)


@pytest.fixture(params=["torch", "onnxruntime", "openvino"])
def build_engine(request, network):
    """Makes an engine for the network, with the same options."""
    if request.param == "torch":
        return lambda **options: make(network, **options)
    pytest.importorskip(request.param)
    kind = {"onnxruntime": OnnxEngine, "openvino": OpenVinoEngine}[request.param]
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return lambda **options: kind(network.config, state, threads=1, precision="float32", **options)


def make(network, **options):
    return TorchEngine(network, device="cpu", precision=options.pop("precision", "float32"), **options)


def test_probability_of_the_network(network, build_engine, tiles):
    with torch.inference_mode():
        x = torch.from_numpy(normalise(tiles, Normalisation()))
        expected = network(x)[:, 0].sigmoid().numpy()
    found = build_engine().predict(tiles)
    assert found.dtype == np.float32 and found.shape == (7, 128, 128)
    assert np.ptp(found) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_else_is_in_the_batch_does_not_matter(build_engine, tiles):
    engine = build_engine(batch_size=3)
    together = engine.predict(tiles)
    alone = np.concatenate([engine.predict(tiles[n : n + 1]) for n in range(len(tiles))])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_gain_and_offset_do_not_matter(build_engine, tiles):
    engine = build_engine()
    grey = (tiles.astype(np.float32) + 1000) / 1400 * 255
    np.testing.assert_allclose(engine.predict(grey, min_range=1), engine.predict(tiles), atol=1e-3)


def test_bfloat16_stays_within_the_stated_tolerance(network, tiles):
    exact, half = make(network).predict(tiles), make(network, precision="bfloat16").predict(tiles)
    moved = np.abs(exact - half)
    assert 0 < np.quantile(moved, precisions.SHARE) <= precisions.BF16_TOLERANCE


@pytest.mark.parametrize("shape", [(2, 1, 128, 128), (3, 128, 128), (2, 3, 100, 128)])
def test_wrong_shapes(build_engine, shape):
    with pytest.raises(ValueError, match="Expected"):
        build_engine().predict(np.zeros(shape))


def test_other_sizes(build_engine, tiles):
    engine = build_engine()
    assert engine.predict(tiles[:1, :, :64, :96]).shape == (1, 64, 96)


def test_no_tiles(build_engine):
    assert build_engine().predict(np.zeros((0, 3, 128, 128))).shape == (0, 128, 128)


class Failing:
    """Stands for `_start`: memory runs out above so many tiles, and on every device but the allowed one."""

    def __init__(self, engine, most, devices=("cpu",), error=torch.OutOfMemoryError):
        self.engine, self.most, self.devices, self.error = engine, most, devices, error
        self.start, self.sizes = engine._start, []

    def __call__(self, tiles, min_range):
        self.sizes.append(len(tiles))
        if len(tiles) > self.most or self.engine.device not in self.devices:
            raise self.error("CUDA out of memory. Tried to allocate 20 GiB")
        return self.start(tiles, min_range)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_batch_halves_when_memory_runs_out(build_engine, tiles, monkeypatch, error):
    engine = build_engine(batch_size=8)
    expected = engine.predict(tiles)
    failing = Failing(engine, 2, error=error)
    monkeypatch.setattr(engine, "_start", failing)
    np.testing.assert_allclose(engine.predict(tiles), expected, atol=1e-5)
    assert failing.sizes == [7, 4, 2, 2, 2, 1]
    assert engine.batch_size == 2
    assert [w for w in engine.warnings if "batches of 2" in w]


def test_a_full_gpu_gives_way_to_the_cpu(network, tiles, monkeypatch):
    engine = make(network, batch_size=4)
    expected = engine.predict(tiles)
    monkeypatch.setattr(engine, "_device", torch.device("cuda"))
    monkeypatch.setattr(engine, "_start", Failing(engine, 64))
    np.testing.assert_allclose(engine.predict(tiles), expected, atol=1e-4)
    assert engine.device == "cpu" and engine.batch_size == BATCH["cpu"]
    assert "going on with the CPU" in engine.warnings[-1]


def test_a_full_cpu_says_so(build_engine, tiles, monkeypatch):
    engine = build_engine(batch_size=4)
    monkeypatch.setattr(engine, "_start", Failing(engine, 0))
    with pytest.raises(LungNoduleSegError, match="memory ran out on the CPU for a single tile"):
        engine.predict(tiles)


class Late(PlainCopies):
    """Copies as a GPU's, on the CPU: results lie in memory that the next call may overwrite until they are copied out,
    and are there only when they are read. `log` is what was sent and read, by the tiles of it."""

    parts = 4

    def __init__(self):
        super().__init__(torch.device("cpu"))
        self.log = []

    def send(self, x):
        self.log.append(f"send {len(x)}")
        return super().send(x)

    def fetch(self, found):
        held, array = found.clone(), np.full(found.shape, np.nan, np.float32)

        def read():
            self.log.append(f"read {len(array)}")
            array[:] = held.numpy()
            return array

        return read


def late(engine, graphs=False):
    """The engine as on a GPU, with copies that are late and, if wanted, calls that are recorded."""

    def recorder(compute, x):
        found = compute(x)
        return Recorded(x, found, lambda: found.copy_(compute(x)))

    engine._copies = Late()
    engine.parts = engine._copies.parts
    if graphs:
        probe = torch.from_numpy(plausible_tiles(engine.config, engine.normalisation))
        engine._graphs = Graphs(engine._probability, probe, 1e-4, recorder, patience=0)
    return engine


def test_the_next_part_is_prepared_while_one_is_computed(network, tiles):
    plain, engine = make(network, batch_size=2), late(make(network, batch_size=8))
    assert engine.at_once == plain.at_once == 2
    np.testing.assert_array_equal(engine.predict(tiles), plain.predict(tiles))
    log = engine._copies.log
    assert log == ["send 2", "send 2", "read 2", "send 2", "read 2", "send 1", "read 2", "read 1"]
    assert "batches of 2" in engine.description


def test_small_batches_are_repeated_from_graphs(network, tiles):
    engine = late(make(network, batch_size=12), graphs=True)
    np.testing.assert_allclose(engine.predict(tiles), make(network).predict(tiles), atol=1e-5)
    assert sorted(engine._graphs._recorded) == [1, 3] and not engine._graphs.given_up


def test_memory_that_runs_out_half_way_loses_nothing(network, tiles, monkeypatch):
    engine = late(make(network, batch_size=16), graphs=True)
    expected = make(network).predict(tiles)
    engine.predict(tiles[:1])
    start, sizes = engine._start, []

    def second_fails(part, min_range):
        sizes.append(len(part))
        if len(sizes) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return start(part, min_range)

    monkeypatch.setattr(engine, "_start", second_fails)
    np.testing.assert_allclose(engine.predict(tiles), expected, atol=1e-5)
    assert sizes == [4, 3, 2, 1]  # the first four are not computed again
    assert engine.batch_size == 8 and engine.at_once == 2
    assert engine._copies.log.count("read 4") == 1
    assert engine.warnings[-1] == "Memory ran out on cpu; going on with batches of 2."


def test_graphs_give_their_memory_back_when_it_runs_out(network, tiles, monkeypatch):
    engine = late(make(network, batch_size=8), graphs=True)
    engine.predict(tiles[:2])
    graphs = engine._graphs
    assert graphs._recorded
    monkeypatch.setattr(engine, "_device", torch.device("cuda"))
    monkeypatch.setattr(engine, "_start", Failing(engine, 64))
    engine.predict(tiles)
    assert not graphs._recorded
    assert engine._graphs is None and engine.parts == 1 and engine.device == "cpu"


def test_other_errors_pass(build_engine, tiles, monkeypatch):
    engine = build_engine()

    def broken(part, min_range):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(engine, "_start", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        engine.predict(tiles)
    assert not out_of_memory(RuntimeError("mat1")) and not out_of_memory(ValueError("out of memory"))


def test_unknown_and_absent_devices_are_refused(monkeypatch):
    with pytest.raises(InputError, match="Expected argument `device`"):
        devices.choose_device("gpu")
    monkeypatch.setattr(devices, "available", lambda kind: kind == "cpu")
    with pytest.raises(InputError, match=r"finds no cuda device.*Choose the device auto or cpu"):
        devices.choose_device("cuda:1")
    assert devices.choose_device("auto") == (torch.device("cpu"), ())


def test_a_gpu_that_does_not_work_is_passed_over_with_a_word(monkeypatch):
    monkeypatch.setattr(devices, "available", lambda kind: kind in ("cpu", "cuda"))
    monkeypatch.setattr(
        devices, "failure", lambda device: "no kernel image is available" if device.type == "cuda" else None
    )
    device, warnings = devices.choose_device("auto")
    assert device.type == "cpu" and "no kernel image" in warnings[0]
    with pytest.raises(InputError, match="no kernel image"):
        devices.choose_device("cuda")


def test_the_operation_finds_wrong_numbers(monkeypatch):
    assert devices.failure(torch.device("cpu")) is None
    real, calls = torch.nn.functional.conv2d, []

    def second_time_wrong(*args):
        calls.append(args)
        return real(*args) * (1 if len(calls) == 1 else 2)

    monkeypatch.setattr(torch.nn.functional, "conv2d", second_time_wrong)
    assert devices.failure(torch.device("cpu")) == "a test convolution gave wrong numbers"


def features(**present):
    return lambda: {"avx2": True, "avx512": False, "avx512_bf16": False, "amx_bf16": False, **present}


def test_bfloat16_only_with_instructions_for_it_and_only_if_it_stays_close(network, monkeypatch):
    tiles = torch.zeros(1, 3, 128, 128)
    monkeypatch.setattr(precisions, "cpu_features", features())
    assert precisions.choose_precision(network, tiles).dtype == torch.float32
    monkeypatch.setattr(precisions, "cpu_features", features(amx_bf16=True))
    monkeypatch.setattr(precisions, "difference", lambda *_: 0.001)
    chosen = precisions.choose_precision(network, tiles)
    assert chosen.dtype == torch.bfloat16 and "amx_bf16" in chosen.reason
    monkeypatch.setattr(precisions, "difference", lambda *_: 0.2)
    assert "0.200" in precisions.choose_precision(network, tiles).reason
    with pytest.raises(ValueError, match="precision"):
        precisions.choose_precision(network, tiles, "double")


@pytest.mark.parametrize(
    ("capability", "expected"), [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32")]
)
def test_half_formats_of_a_gpu(network, monkeypatch, capability, expected):
    tiles = types.SimpleNamespace(device=torch.device("cuda"))
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(precisions, "difference", lambda *_: 0.001)
    assert precisions.choose_precision(network, tiles).name == expected
    for moved in (0.2, float("nan")):
        monkeypatch.setattr(precisions, "difference", lambda *_, moved=moved: moved)
        assert precisions.choose_precision(network, tiles).name == "float32"


def test_description_says_what_was_chosen(network):
    engine = make(network)
    assert "cpu" in engine.description and "float32 (asked for)" in engine.description
    automatic = TorchEngine(network, device="cpu")
    assert automatic.precision in ("float32", "bfloat16") and automatic.precision in automatic.description
    assert automatic.name == "torch" and automatic.description.startswith("PyTorch on cpu")


def test_weights_that_do_not_fit_are_named(network):
    state = {n: v.numpy() for n, v in network.state_dict().items()}
    fresh = build(network.config)
    load_weights(fresh, {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")})
    for name, value in fresh.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, network.state_dict()[name])
    with pytest.raises(WeightsError, match=r"lacks head\.bias"):
        load_weights(fresh, {n: v for n, v in state.items() if n != "head.bias"})
    with pytest.raises(WeightsError, match="holds unknown tail"):
        load_weights(fresh, {**state, "tail": np.zeros(1)})
    with pytest.raises(WeightsError, match=r"head\.bias \(2,\) instead of \(1,\)"):
        load_weights(fresh, {**state, "head.bias": np.zeros(2)})
