"""A member of the family as an ONNX model, written from its configuration and its folded weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.engines.onnx_format import Graph, Size
from LungNoduleSegLib.inference.engines.quantise import Ranges, coded_bias, coded_weights, tensor_code
from LungNoduleSegLib.networks.config import FUSION_DILATIONS, STRIDE, VIT_NORM_EPS, NetworkConfig

INPUT, LOGITS, PROBABILITY = "tiles", "logits", "probability"

_TO_THE_END = np.iinfo(np.int64).max


def onnx_model(
    config: NetworkConfig, weights: Mapping[str, NDArray[np.float32]], ranges: Ranges | None = None
) -> bytes:
    """The network as the bytes of an ONNX file (opset 17).

    Input "tiles" (n, input_slices, h, w) float32, normalised; outputs "logits" and "probability" (n, 1, h, w) of the
    middle slice. n is free; h and w are free multiples of 16, and ``input_px`` where there is a ViT.

    Parameters
    ----------
    weights
        From :func:`~LungNoduleSegLib.inference.engines.fold.fold_state`.
    ranges
        Of the convolutions that compute in whole numbers of 8 bits (int8); by default all compute in float32.
    """
    return _Writer(config, weights, ranges or {}).model()


class _Writer:
    """Adds the parts of a network to a graph; each method takes and gives names of tensors."""

    def __init__(self, config: NetworkConfig, weights: Mapping[str, NDArray[np.float32]], ranges: Ranges):
        self._config, self._weights, self._ranges = config, weights, ranges
        self._coded: dict[str, tuple[str, np.float32]] = {}
        self._graph = Graph("LungNoduleSeg")

    def model(self) -> bytes:
        config, graph = self._config, self._graph
        plane: tuple[Size, Size] = ("h", "w") if config.vit is None else (config.input_px, config.input_px)
        x = graph.input(INPUT, ("n", config.input_slices, *plane))
        skips = []
        for level in range(len(config.widths)):
            if level:
                x = graph.node("MaxPool", x, kernel_shape=(2, 2), strides=(2, 2))
            x = self._unit(f"encoders.{level}", x)
            if ("encoder" if level < len(config.widths) - 1 else "bottleneck") in config.scse:
                x = self._scse(f"encoder_attention.{level}", x)
            skips.append(x)
        x = skips.pop()
        if config.vit is not None:
            x = self._vit(x)
        for level in range(len(config.widths) - 1):
            x = self._unit(f"decoders.{level}", graph.node("Concat", self._up(level, x), skips.pop(), axis=1))
            if "decoder" in config.scse:
                x = self._scse(f"decoder_attention.{level}", x)
        x = self._conv("head", x, name=LOGITS)
        graph.node("Sigmoid", x, name=PROBABILITY)
        for name in (LOGITS, PROBABILITY):
            graph.output(name, ("n", 1, *plane))
        return graph.to_bytes()

    def _weight(self, name: str) -> str:
        return self._graph.constant(self._weights[name], name)

    def _conv(self, layer: str, x: str, *, dilation: int = 1, relu: bool = False, name: str | None = None) -> str:
        """A convolution that keeps height and width; without bias where the weights have none."""
        size = self._weights[f"{layer}.weight"].shape[2]
        shape: dict[str, Any] = {
            "kernel_shape": (size, size), "pads": (dilation * (size // 2),) * 4, "dilations": (dilation, dilation),
        }  # fmt: skip
        if layer not in self._ranges:
            biased = f"{layer}.bias" in self._weights
            inputs = [x, self._weight(f"{layer}.weight"), *([self._weight(f"{layer}.bias")] if biased else [])]
            y = self._graph.node("Conv", *inputs, name=None if relu else name, **shape)
            return self._graph.node("Relu", y, name=name) if relu else y
        found = self._ranges[layer]
        y = self._graph.node("Conv", *self._coded_inputs(layer, x), **shape)
        if relu:
            return self._through_codes(self._graph.node("Relu", y), 0.0, found.out_high, name)
        return self._through_codes(y, found.out_low, found.out_high, name)

    def _coded_inputs(self, layer: str, x: str) -> list[str]:
        """Input, weights and bias of a convolution in whole numbers: each is coded, then decoded.

        That is the form which ONNX Runtime makes one operator of, that computes with the codes themselves.
        """
        graph, found = self._graph, self._ranges[layer]
        codes, scales = coded_weights(self._weights[f"{layer}.weight"])
        stored = [graph.constant(codes, f"{layer}.weight"), graph.constant(scales)]
        zeros = graph.constant(np.zeros(len(scales), np.int8))
        coded, scale = self._coded_once(x, found.in_low, found.in_high)
        inputs = [coded, graph.node("DequantizeLinear", *stored, zeros, axis=0)]
        if f"{layer}.bias" in self._weights:
            both = scales * scale
            bias = graph.constant(coded_bias(self._weights[f"{layer}.bias"], both), f"{layer}.bias")
            inputs.append(graph.node("DequantizeLinear", bias, graph.constant(both), axis=0))
        return inputs

    def _coded_once(self, x: str, low: float, high: float) -> tuple[str, np.float32]:
        """A tensor that went through its codes, the same for all that take it, and their scale."""
        if x not in self._coded:
            self._coded[x] = self._coded[self._through_codes(x, low, high)]
        return self._coded[x]

    def _through_codes(self, x: str, low: float, high: float, name: str | None = None) -> str:
        scale, zero = tensor_code(low, high)
        code = [self._graph.constant(np.asarray(value)) for value in (scale, zero)]
        y = self._graph.node("DequantizeLinear", self._graph.node("QuantizeLinear", x, *code), *code, name=name)
        self._coded[y] = (y, scale)
        return y

    def _unit(self, unit: str, x: str) -> str:
        node = self._graph.node
        y = self._conv(f"{unit}.body.3", self._conv(f"{unit}.body.0", x, relu=True))
        if self._config.shortcuts:
            y = node("Add", y, self._conv(f"{unit}.shortcut.0", x))
        return node("Relu", y)

    def _scse(self, block: str, x: str) -> str:
        node = self._graph.node
        channel = node("Relu", self._conv(f"{block}.channel.1", node("GlobalAveragePool", x)))
        channel = node("Sigmoid", self._conv(f"{block}.channel.3", channel))
        spatial = node("Sigmoid", self._conv(f"{block}.spatial.0", x))
        return node("Mul", x, node("Add", channel, spatial))

    def _up(self, level: int, x: str) -> str:
        node = self._graph.node
        if self._config.fusion:
            y = self._conv(f"ups.{level}.branches.0", x, dilation=FUSION_DILATIONS[0])
            for n, dilation in enumerate(FUSION_DILATIONS[1:], start=1):
                y = node("Add", y, self._conv(f"ups.{level}.branches.{n}", x, dilation=dilation))
        else:
            y = self._conv(f"ups.{level}.reduce.0", x)
        twofold = self._graph.constant(np.array([1, 1, 2, 2], np.float32))
        return node("Resize", node("Relu", y), "", twofold, mode="linear", coordinate_transformation_mode="half_pixel")

    # The transformer --------------------------------------------------------------------------------------------------

    def _vit(self, x: str) -> str:
        vit, grid, node = self._config.vit, self._config.input_px // STRIDE, self._graph.node
        assert vit is not None
        tokens = self._shaped(self._conv("vit.embed", x), 0, vit.dim, grid * grid)
        tokens = node("Transpose", tokens, perm=(0, 2, 1))
        # A row of zeros in front, to which the class token comes with the positions.
        tokens = node("Pad", tokens, self._numbers(0, 1, 0, 0, 0, 0))
        places = self._weights["vit.positions"].copy()
        places[:, :1] += self._weights["vit.class_token"]
        tokens = node("Add", tokens, self._graph.constant(places, "vit.positions"))
        for n in range(vit.depth):
            tokens = self._block(f"vit.blocks.{n}", tokens)
        tokens = node("Slice", tokens, self._numbers(1), self._numbers(_TO_THE_END), self._numbers(1))
        tokens = node("Transpose", self._norm("vit.norm", tokens), perm=(0, 2, 1))
        return self._conv("vit.unembed", self._shaped(tokens, 0, vit.dim, grid, grid))

    def _block(self, block: str, x: str) -> str:
        node, constant = self._graph.node, self._graph.constant
        x = node("Add", x, self._attention(block, self._norm(f"{block}.norm1", x)))
        y = self._linear(f"{block}.fc1", self._norm(f"{block}.norm2", x))
        erf = node("Erf", node("Div", y, constant(np.float32([math.sqrt(2)]))))
        y = node("Mul", y, node("Add", erf, constant(np.float32([1]))))
        return node("Add", x, self._linear(f"{block}.fc2", node("Mul", y, constant(np.float32([0.5])))))

    def _attention(self, block: str, x: str) -> str:
        vit, node = self._config.vit, self._graph.node
        assert vit is not None
        each = vit.dim // vit.heads
        qkv = self._linear(f"{block}.qkv", x)
        parts = self._graph.nodes("Split", qkv, names=[f"{block}.{part}" for part in "qkv"], axis=-1)
        turns = ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
        q, k, v = (
            node("Transpose", self._shaped(part, 0, 0, vit.heads, each), perm=turn)
            for part, turn in zip(parts, turns, strict=True)
        )
        scale = self._graph.constant(np.float32([1 / math.sqrt(each)]))
        shares = node("Softmax", node("MatMul", node("Mul", q, scale), k), axis=-1)
        y = node("Transpose", node("MatMul", shares, v), perm=(0, 2, 1, 3))
        return self._linear(f"{block}.proj", self._shaped(y, 0, 0, vit.dim))

    def _linear(self, layer: str, x: str) -> str:
        matrix = self._graph.constant(self._weights[f"{layer}.weight"].T, f"{layer}.weight")
        return self._graph.node("Add", self._graph.node("MatMul", x, matrix), self._weight(f"{layer}.bias"))

    def _norm(self, layer: str, x: str) -> str:
        weight, bias = self._weight(f"{layer}.weight"), self._weight(f"{layer}.bias")
        return self._graph.node("LayerNormalization", x, weight, bias, axis=-1, epsilon=VIT_NORM_EPS)

    def _shaped(self, x: str, *sizes: int) -> str:
        """With other sizes; 0 keeps that of the same axis."""
        return self._graph.node("Reshape", x, self._numbers(*sizes))

    def _numbers(self, *values: int) -> str:
        return self._graph.constant(np.array(values, np.int64))
