"""Codes of 8 bits: by hand, there and back, and in a network that really computes with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from LungNoduleSegLib.inference.engines.fold import fold_state
from LungNoduleSegLib.inference.engines.onnx_graph import onnx_model
from LungNoduleSegLib.inference.engines.quantise import (
    LEVELS,
    Range,
    coded_bias,
    coded_weights,
    read_ranges,
    tensor_code,
)
from LungNoduleSegLib.networks import MEMBERS, scaled
from Testing.inference.engines.test_onnx_graph import lively, session
from training.publish.quantise import tensor_ranges

CONFIG = replace(scaled(MEMBERS["model-2"], 8), input_slices=3, input_px=64)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero"),
    [(0, 2.55, 0.01, 0), (-1, 1.55, 0.01, 100), (0.5, 5.1, 0.02, 0), (-2.55, -1, 0.01, 255), (0, 0, 1e-6 / 255, 0)],
)
def test_codes_of_a_tensor_by_hand(low, high, scale, zero):
    assert tensor_code(low, high) == (np.float32(scale), zero)


@given(st.floats(-50, 0), st.floats(0, 50))
def test_what_lies_in_the_range_comes_back_to_half_a_step_and_zero_exactly(low, high):
    scale, zero = tensor_code(low, high)
    values = np.append(np.linspace(low, high, 50), 0)
    codes = np.clip(np.rint(values / scale) + zero, 0, 255)
    back = (codes - zero) * scale
    # The zero is rounded too, so that the ends may be off by one step.
    assert np.abs(back - values).max() <= scale * 1.01 and back[-1] == 0


def test_weights_have_a_scale_for_each_output():
    kernel = np.zeros((3, 2, 1, 1), np.float32)
    kernel[0, :, 0, 0], kernel[1, :, 0, 0] = (0.64, -0.25), (-128, 3)
    codes, scales = coded_weights(kernel)
    np.testing.assert_allclose(scales, [0.01, 2, 1 / 64], rtol=1e-6)
    assert codes[..., 0, 0].tolist() == [[64, -25], [-64, 2], [0, 0]] and codes.dtype == np.int8
    assert coded_bias(np.float32([0.1, -0.4, 1e9]), np.float32([0.01, 0.2, 1e-3])).tolist() == [10, -2, 2**31 - 1]


def test_two_products_fit_into_16_bits():
    codes, _ = coded_weights(np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32))
    assert 2 * LEVELS * int(np.abs(codes.astype(int)).max()) <= np.iinfo(np.int16).max


def test_lists_of_a_card():
    assert read_ranges({"head": (0.0, 1.0, -2.0, 3.0)}) == {"head": Range(0.0, 1.0, -2.0, 3.0)}


@pytest.fixture(scope="module")
def parts():
    """A network, its state, tiles with something in them, and the ranges that they give."""
    network, state = lively(CONFIG)
    rng = np.random.default_rng(1)
    tiles = rng.normal(0.1, 0.05, (8, 3, 64, 64)).astype(np.float32)
    tiles[:, :, 20:40, 20:40] += rng.uniform(0.3, 0.8, (8, 1, 1, 1)).astype(np.float32)
    return network, state, tiles, tensor_ranges(CONFIG, state, [tiles[:4], tiles[4:]])


def test_ranges_are_those_of_the_convolutions(parts):
    _, state, tiles, ranges = parts
    first = ranges["encoders.0.body.0"]
    halves = tiles.reshape(2, -1)
    means = halves.min(axis=1).mean(), halves.max(axis=1).mean()
    np.testing.assert_allclose(first[:2], means, atol=1e-5)
    # What a convolution takes from one with a ReLU behind it begins at zero.
    assert ranges["encoders.0.body.3"].in_low == 0 < ranges["encoders.0.body.3"].in_high <= first.out_high + 1e-4
    folded = fold_state(CONFIG, state)
    kernels = {name.removesuffix(".weight") for name, array in folded.items() if array.ndim == 4}
    assert set(ranges) == {name for name in kernels if ".channel." not in name}


def test_a_network_in_codes_stays_close_to_float32(parts):
    _, state, tiles, ranges = parts
    weights = fold_state(CONFIG, state)
    exact, coded = (
        session(onnx_model(CONFIG, weights, r)).run(["logits"], {"tiles": tiles})[0] for r in (None, ranges)
    )
    apart = np.abs(coded - exact)
    assert 0 < apart.mean() < 0.2 * exact.std() and apart.max() < exact.std()


def test_onnx_runtime_computes_with_the_codes(parts, tmp_path):
    """Each of them becomes one operator on whole numbers: nothing is decoded first."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    _, state, _, ranges = parts
    model = onnx_model(CONFIG, fold_state(CONFIG, state), ranges)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == len(ranges)


def test_layers_that_are_not_named_stay_in_float32(parts):
    _, state, _, ranges = parts
    onnx = pytest.importorskip("onnx")
    model = onnx_model(CONFIG, fold_state(CONFIG, state), {"head": ranges["head"]})
    kinds = [node.op_type for node in onnx.load_from_string(model).graph.node]
    # Input and output of the one, each through codes.
    assert kinds.count("QuantizeLinear") == 2
