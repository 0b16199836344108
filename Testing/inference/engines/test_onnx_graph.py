"""The ONNX model that is written from a configuration computes what the network does."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from LungNoduleSegLib.inference.engines.fold import fold_state
from LungNoduleSegLib.inference.engines.onnx_format import Graph
from LungNoduleSegLib.inference.engines.onnx_graph import onnx_model
from LungNoduleSegLib.networks import MEMBERS, NetworkConfig, build, scaled
from LungNoduleSegLib.weights import checks, find, load_state

onnxruntime = pytest.importorskip("onnxruntime")

SHIPPED = ("model-1-compact", "model-2-compact")
CONFIGS = {
    **{name: scaled(config, 4) for name, config in MEMBERS.items() if not name.endswith("compact")},
    "five slices": replace(scaled(MEMBERS["model-2"], 4), input_slices=5, scse=("decoder",)),
    "plain": replace(scaled(MEMBERS["model-2"], 4), scse=(), fusion=False, shortcuts=False),
    "all": replace(scaled(MEMBERS["model-1"], 8), scse=("encoder", "bottleneck", "decoder"), input_px=64),
}


def session(model: bytes):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def lively(config: NetworkConfig, seed: int = 0):
    """A network whose every weight matters, the class token and the norms' statistics included."""
    torch.manual_seed(seed)
    network = build(config).eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dim() == 1 or "vit." in name:
                tensor.add_(torch.randn_like(tensor) * 0.1)
    return network, {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_same_logits_as_the_network(name: str):
    config = CONFIGS[name]
    network, state = lively(config)
    run = session(onnx_model(config, fold_state(config, state)))
    for n in (1, 3):
        x = torch.randn(n, config.input_slices, config.input_px, config.input_px)
        with torch.inference_mode():
            expected = network(x).numpy()
        logits, probability = run.run(["logits", "probability"], {"tiles": x.numpy()})
        assert expected.std() > 1e-3
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        np.testing.assert_allclose(probability, 1 / (1 + np.exp(-expected)), atol=1e-4)


@pytest.mark.parametrize("name", SHIPPED)
def test_same_logits_as_the_shipped_network(name: str):
    entry = find(name)
    state = load_state(entry)
    config = NetworkConfig.from_dict(checks.thawed(entry.card.architecture))
    network = build(config).eval()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
    run = session(onnx_model(config, fold_state(config, state)))
    rng = np.random.default_rng(0)
    for n in (1, 3, 16):
        x = rng.uniform(0, 1, (n, config.input_slices, config.input_px, config.input_px)).astype(np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(x)).numpy()
        (logits,) = run.run(["logits"], {"tiles": x})
        np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_file_is_valid(name: str):
    onnx = pytest.importorskip("onnx")
    config = CONFIGS[name]
    _, state = lively(config)
    model = onnx.load_from_string(onnx_model(config, fold_state(config, state)))
    onnx.checker.check_model(model, full_check=True)
    (given,), outputs = model.graph.input, {output.name: output for output in model.graph.output}
    sizes = [size.dim_param or size.dim_value for size in given.type.tensor_type.shape.dim]
    plane = ["h", "w"] if config.vit is None else [config.input_px] * 2
    assert sizes == ["n", config.input_slices, *plane] and set(outputs) == {"logits", "probability"}
    assert not {"BatchNormalization"} & {node.op_type for node in model.graph.node}


def test_writing_imports_neither_torch_nor_onnx():
    import subprocess
    from pathlib import Path

    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import LungNoduleSegLib.inference.engines.onnx_engine; "
        "assert not {'torch', 'onnx', 'onnxruntime'} & sys.modules.keys()"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-I", "-B", "-c", code, str(root)], check=True, timeout=120)


def test_large_numbers_and_negative_ones():
    """Lengths beyond one byte, and an axis counted from the end."""
    graph = Graph("test")
    x = graph.input("x", ("n", 300))
    long = "a name of more than one hundred and twenty-seven letters" * 3
    weight = graph.constant(np.arange(300, dtype=np.float32), long)
    y = graph.node("Softmax", graph.node("Mul", x, weight), name="y", axis=-1)
    graph.output(y, ("n", 300))
    given = np.random.default_rng(0).normal(0, 0.01, (2, 300)).astype(np.float32)
    (found,) = session(graph.to_bytes()).run(None, {"x": given})
    powers = np.exp(given * np.arange(300))
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
