"""Whole numbers of 8 bits for the convolutions: scales, weights and the ranges that they are made from.

Affine quantisation as in ONNX and Jacob et al. (CVPR 2018): real = scale * (code - zero). What flows between layers is
unsigned with one scale a tensor, weights are signed and symmetric with one scale for each output channel (of 7 bits and
a little), biases have 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVELS = 255
"""Steps of an unsigned code."""

_WEIGHT_LEVELS = 64
"""Greatest code of a weight. Instructions older than VNNI add two products in 16 bits, which may not exceed 32,767:
with 255 x 64 twice they do not, so that every x86 processor gives the same sums."""

_LEAST_RANGE = 1e-6  # of what is nearly always zero


class Range(NamedTuple):
    """Least and greatest values of what a convolution takes, and of what it gives."""

    in_low: float
    in_high: float
    out_low: float
    out_high: float


Ranges = Mapping[str, Range]
"""By the names of the folded network's convolutions; those that are not named stay in float32."""


def read_ranges(data: Mapping[str, Sequence[float]]) -> dict[str, Range]:
    """From the lists of a card."""
    return {name: Range(*values) for name, values in data.items()}


def tensor_code(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero of a tensor whose values lie between ``low`` and ``high``; zero itself is always met exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, _LEAST_RANGE) / LEVELS)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, LEVELS))


def coded_weights(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes int8 of a kernel (out, in, h, w), and a scale float32 (out,) for each output channel."""
    largest = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
    scales = (np.where(largest > 0, largest, 1) / _WEIGHT_LEVELS).astype(np.float32)
    codes = np.rint(kernel / scales[:, None, None, None])
    return np.clip(codes, -_WEIGHT_LEVELS, _WEIGHT_LEVELS).astype(np.int8), scales


def coded_bias(bias: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int32]:
    """Codes int32 (out,) of a bias; ``scales`` are those of the input times those of the weights."""
    codes = np.rint(bias.astype(np.float64) / scales)
    bounds = np.iinfo(np.int32)
    return np.clip(codes, bounds.min, bounds.max).astype(np.int32)
