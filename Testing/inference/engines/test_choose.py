"""Which engine is taken, by what is asked for and what is there."""

from __future__ import annotations

import importlib.util
import types

import numpy as np
import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines import choose, onnx_engine, openvino_engine, torch_engine
from LungNoduleSegLib.inference.engines.choose import make_engine
from LungNoduleSegLib.networks import MEMBERS, build, scaled, state_shapes

CONFIG = scaled(MEMBERS["model-2"], 2)
STATE = {name: np.ones(shape, np.float32) for name, shape in state_shapes(CONFIG).items()}
ABSENT = "is not installed"
RANGES = {"head": (0.0, 1.0, -1.0, 1.0)}


@pytest.fixture
def world(monkeypatch):
    """Packages that cannot be used, hints about the hardware, and what the made torch engine would choose."""
    world = types.SimpleNamespace(absent={"openvino": ABSENT}, gpu=False, half=False, int8=False, tiles=False, made=[])
    world.device, world.precision, world.warnings = "cpu", "float32", ()

    def fake(name):
        def make(*parts, **options):
            world.made.append((name, options))
            said = list(world.warnings) if name == "torch" else []
            made = types.SimpleNamespace(name=name, warnings=said, warn=said.append, remark="")
            made.device, made.precision = (world.device, world.precision) if name == "torch" else ("cpu", "float32")
            return made

        return make

    monkeypatch.setattr(torch_engine, "TorchEngine", fake("torch"))
    monkeypatch.setattr(onnx_engine, "OnnxEngine", fake("onnxruntime"))
    monkeypatch.setattr(openvino_engine, "OpenVinoEngine", fake("openvino"))
    monkeypatch.setattr(choose, "reason_not_loaded", lambda name: world.absent.get(name, ""))
    monkeypatch.setattr(choose, "may_have_gpu", lambda: world.gpu)
    monkeypatch.setattr(choose, "may_have_half_units", lambda: world.half)
    monkeypatch.setattr(choose, "has_avx2", lambda: world.int8)
    monkeypatch.setattr(choose, "has_tile_units", lambda: world.tiles)
    return world


def made(**options):
    return make_engine(CONFIG, STATE, **options)


def test_on_a_plain_cpu_onnx_runtime_computes_and_torch_is_not_even_made(world):
    assert made(threads=3).name == made(device="cpu", precision="float32").name == "onnxruntime"
    assert [name for name, _ in world.made] == ["onnxruntime"] * 2
    assert world.made[0][1] == {"threads": 3, "batch_size": None, "precision": "auto", "ranges": None}


def test_a_gpu_that_works_takes_torch(world):
    world.gpu, world.device, world.precision = True, "cuda", "bfloat16"
    assert made().name == "torch"
    assert made(device="cpu").name == "onnxruntime"


def test_a_gpu_that_does_not_work_is_told(world):
    world.gpu, world.warnings = True, ("The cuda device does not work (no kernel); the CPU is used.",)
    chosen = made()
    assert chosen.name == "onnxruntime" and chosen.warnings == list(world.warnings)


def test_units_for_bfloat16_take_torch_if_it_stays_close(world):
    world.half, world.precision = True, "bfloat16"
    assert made(device="cpu").name == "torch"
    assert made(precision="float32").name == "onnxruntime"
    world.precision = "float32"
    assert made().name == "onnxruntime"


def test_units_for_8_bits_take_onnx_runtime_before_bfloat16_without_amx(world):
    world.half, world.precision, world.int8 = True, "bfloat16", True
    assert made().name == "torch"  # this model has no ranges
    assert made(ranges=RANGES).name == "onnxruntime"
    assert world.made[-1][1] == {"threads": None, "batch_size": None, "precision": "auto", "ranges": RANGES}
    assert [name for name, _ in world.made] == ["torch", "onnxruntime"]
    world.tiles = True
    assert made(ranges=RANGES).name == "torch"
    world.tiles, world.absent["onnxruntime"] = False, ABSENT
    chosen = made(ranges=RANGES)
    assert chosen.name == "torch" and "onnxruntime, which is not installed, would make it faster" in chosen.remark
    assert made().remark == ""


def test_a_gpu_comes_before_units_for_8_bits(world):
    world.gpu, world.int8, world.device, world.precision = True, True, "cuda", "bfloat16"
    assert made(ranges=RANGES).name == "torch"
    world.device = "cpu"  # it does not work
    assert made(ranges=RANGES).name == "onnxruntime"


def test_int8_asked_for(world):
    assert made(precision="int8", ranges=RANGES).name == "onnxruntime" and world.made[-1][1]["precision"] == "int8"
    for options in ({"engine": "torch"}, {"device": "cuda"}):
        with pytest.raises(InputError, match="int8 is computed by the engines openvino and onnxruntime on the"):
            made(precision="int8", **options)
    world.absent["onnxruntime"] = ABSENT
    with pytest.raises(InputError, match=r"int8 needs ONNX Runtime, which is not installed"):
        made(precision="int8", ranges=RANGES)


@pytest.mark.parametrize("options", [{"device": "cuda:1"}, {"device": "mps"}, {"precision": "bfloat16"}], ids=str)
def test_what_only_torch_has(world, options):
    assert made(**options).name == "torch"
    with pytest.raises(InputError, match="onnxruntime computes on the CPU in float32 or int8, and has not the"):
        made(engine="onnxruntime", **options)
    world.absent["torch"] = ABSENT
    with pytest.raises(InputError, match=r"needs PyTorch, which is not installed\. Install PyTorch, or choose"):
        made(**options)


def test_without_onnx_runtime_torch_says_what_would_be_faster(world):
    world.absent["onnxruntime"] = ABSENT
    chosen = made()
    assert chosen.name == "torch" and "onnxruntime, which is not installed, would make it faster" in chosen.remark
    world.device = "cuda"
    assert made().remark == ""
    with pytest.raises(InputError, match=r"ONNX Runtime is not installed\. Install the package onnxruntime"):
        made(engine="onnxruntime")


def test_without_torch(world, monkeypatch):
    world.absent["torch"], world.gpu, world.half = ABSENT, True, True
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: None)
    chosen = made()
    assert chosen.name == "onnxruntime" and chosen.warnings == []
    with pytest.raises(InputError, match="PyTorch is not installed"):
        made(engine="torch")


def test_a_torch_that_is_broken_is_told(world):
    world.absent["torch"], world.gpu = "cannot be loaded (OSError: libcudart)", True
    assert made().warnings == ["PyTorch cannot be loaded (OSError: libcudart); ONNX Runtime computes on the CPU."]


def test_without_either(world):
    world.absent |= {"torch": ABSENT, "onnxruntime": ABSENT}
    with pytest.raises(InputError, match=r"PyTorch is not installed, and ONNX Runtime is not installed\. Install one"):
        made()


def test_openvino_comes_first_on_a_cpu_with_avx2(world):
    world.absent, world.int8, world.half, world.precision = {}, True, True, "bfloat16"
    assert made(threads=3).name == made(ranges=RANGES).name == made(precision="float32").name == "openvino"
    assert made(precision="int8", ranges=RANGES).name == "openvino"
    assert world.made[0][1] == {"threads": 3, "batch_size": None, "precision": "auto", "ranges": None}
    world.tiles = True
    assert made(ranges=RANGES).name == "openvino"
    assert {name for name, _ in world.made} == {"openvino"}  # torch was not even imported
    world.gpu = True
    assert made().name == "openvino"  # the GPU does not work
    world.device = "cuda"
    assert made().name == "torch"


def test_an_openvino_that_fails_gives_way_to_the_others(world, monkeypatch):
    world.absent, world.int8 = {}, True

    def fails(*parts, **options):
        raise RuntimeError("Exception from src/core.cpp:117:\nSupported list is empty for node: MaxPool\n\n")

    monkeypatch.setattr(openvino_engine, "OpenVinoEngine", fails)
    chosen = made(ranges=RANGES)
    assert chosen.name == "onnxruntime" and chosen.remark == ""
    assert chosen.warnings == [
        "OpenVINO fails on this computer (Supported list is empty for node: MaxPool); another engine is used."
    ]
    world.absent["onnxruntime"] = ABSENT
    assert made(ranges=RANGES).name == "torch"
    assert made(precision="bfloat16", device="cpu").name == "torch"
    with pytest.raises(RuntimeError, match="Supported list"):
        made(engine="openvino")
    world.absent = {}
    assert made(precision="int8", ranges=RANGES).name == "onnxruntime"


def test_openvino_is_the_last_resort_of_other_processors(world):
    world.absent = {"torch": ABSENT, "onnxruntime": ABSENT}
    assert made().name == "openvino"
    with pytest.raises(InputError, match=r"int8 needs ONNX Runtime, which is not installed"):
        made(precision="int8", ranges=RANGES)


def test_bfloat16_on_a_cpu_is_openvinos_too(world):
    world.absent, world.int8 = {}, True
    assert made(precision="bfloat16").name == made(precision="bfloat16", device="cpu").name == "openvino"
    assert world.made[-1][1]["precision"] == "bfloat16"
    assert made(precision="bfloat16", engine="torch").name == made(precision="float16").name == "torch"
    world.gpu = True
    assert made(precision="bfloat16").name == "torch" and made(precision="bfloat16", device="cpu").name == "openvino"


def test_openvino_is_for_processors_with_avx2(world):
    world.absent = {}
    chosen = made()
    assert chosen.name == "onnxruntime" and chosen.remark == ""
    assert made(engine="openvino").name == "openvino"
    with pytest.raises(InputError, match=r"engine openvino computes on the CPU in float32, bfloat16 or int8, and has"):
        made(engine="openvino", precision="float16")


def test_onnx_runtime_says_that_openvino_would_be_faster(world):
    world.int8 = True
    assert made().remark == "; the package openvino, which is not installed, would make it faster"
    with pytest.raises(InputError, match=r"OpenVINO is not installed\. Install the package openvino, or choose"):
        made(engine="openvino")


def test_without_torch_and_onnx_runtime_openvino_is_enough(world):
    world.absent, world.int8 = {"torch": ABSENT, "onnxruntime": ABSENT}, True
    assert made().name == "openvino"


def test_by_name(world):
    assert made(engine="torch").name == "torch" and made(engine="onnxruntime").name == "onnxruntime"
    with pytest.raises(InputError, match="Expected argument `engine` to be one of auto, torch, onnxruntime, openvino"):
        made(engine="tensorflow")


def test_the_real_ones_agree():
    there = ["torch", *(name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name))]
    torch.manual_seed(0)
    state = {name: tensor.numpy() for name, tensor in build(CONFIG).state_dict().items()}
    options = {"device": "cpu", "precision": "float32", "threads": 1}
    engines = [make_engine(CONFIG, state, engine=name, **options) for name in there]
    tiles = np.random.default_rng(0).normal(-700, 300, (2, 1, 64, 64))
    one, *others = (engine.predict(tiles) for engine in engines)
    assert np.ptp(one) > 1e-3
    for other in others:
        np.testing.assert_allclose(one, other, atol=1e-5)
