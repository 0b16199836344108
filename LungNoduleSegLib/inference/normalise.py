"""Intensity normalisation of tiles, the same in training and at run time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

CLIP_HU = (-1024, 3071)
"""HU range of CT numbers stored in 12 bits; paddings below it are air."""

METHODS = ("percentile", "zscore", "minmax")

MOST_PADDING = 0.9
"""Where more of a slice than this has one value, it is taken as it is: too little is left to measure."""


@dataclass(frozen=True)
class Normalisation:
    """How each 2D slice of a tile is brought to a common range.

    Every method ignores gain and offset, so that 8-bit crops (affine in HU) and HU give the same network input.

    Parameters
    ----------
    method
        "percentile": ``low`` .. ``high`` percentile to 0..1, clipped to [-0.5, 1.5]; one voxel of metal moves nothing.
        "zscore": mean 0, standard deviation 1. "minmax": minimum .. maximum to 0..1, the thesis' own.
    low, high
        Percentiles in percent.
    min_range
        Smallest range (or standard deviation) that is stretched, in the units of the tile: HU at run time, so that
        noise in plain air is not blown up; 8-bit crops pass 1.
    padding_share
        Share of a slice's pixels from which those equal to its minimum are padding (outside the field of view, or air
        cut off at the lowest value): they are measured by none of the methods and become 0, or the lowest value that
        the rest gives. A padding of -2000 or -3024 HU, stored in 8 bits, would otherwise leave soft tissue and lung
        little of the range. 1 turns this off.
    """

    method: str = "percentile"
    low: float = 0.5
    high: float = 99.5
    min_range: float = 100.0
    padding_share: float = 0.005

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"Expected argument `method` to be one of {METHODS}, got {self.method!r}")
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(f"Expected percentiles 0 <= low < high <= 100, got {self.low} and {self.high}")
        if not 0 < self.padding_share <= 1:
            raise ValueError(f"Expected argument `padding_share` to be above 0 and at most 1, got {self.padding_share}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Normalisation:
        return cls(**data)


def normalise(tiles: np.ndarray, normalisation: Normalisation, *, min_range: float | None = None) -> np.ndarray:
    """Normalise each 2D slice on its own.

    Parameters
    ----------
    tiles
        (..., h, w) of any real type: HU, or 8-bit crops.
    min_range
        Overrides the normalisation's own, for tiles that are not in HU.

    Returns
    -------
    float32 array of the same shape; the input is not changed.
    """
    tiles = np.asarray(tiles)
    shape = tiles.shape
    flat = tiles.reshape(-1, shape[-2] * shape[-1])
    floor = np.float32(max(normalisation.min_range if min_range is None else min_range, 1e-3))
    lowest = flat.min(axis=1, keepdims=True)
    padding = flat == lowest
    count = np.count_nonzero(padding, axis=1)
    padded = (count > normalisation.padding_share * flat.shape[1]) & (count <= MOST_PADDING * flat.shape[1])
    zero, spread = _MEASURES[normalisation.method](flat, np.where(padded, count, 0), normalisation)
    scaled = flat.astype(np.float32)
    scaled -= zero[:, None]
    scaled /= np.maximum(spread, floor)[:, None]
    if normalisation.method == "percentile":
        np.clip(scaled, -0.5, 1.5, out=scaled)
    for row in np.flatnonzero(padded):
        values, outside = scaled[row], padding[row]
        values[outside] = 0.0 if normalisation.method == "percentile" else values[~outside].min()
    return scaled.reshape(shape)


def _percentiles(flat: np.ndarray, skipped: np.ndarray, how: Normalisation) -> tuple[np.ndarray, np.ndarray]:
    """Low percentile, and the way to the high one, of each row but for its ``skipped`` smallest values.

    Ranks without interpolation: the same answer for integer HU and 8-bit crops.
    """
    last = flat.shape[1] - 1 - skipped
    ranks = np.stack([skipped + np.round(p / 100 * last).astype(np.int64) for p in (how.low, how.high)], axis=1)
    found = np.empty(ranks.shape, np.float32)
    alike = bool((ranks == ranks[:1]).all())  # nearly always: one partition for all
    for pair in ranks[:1] if alike else np.unique(ranks, axis=0):
        rows = np.flatnonzero((ranks == pair).all(axis=1))
        found[rows] = np.partition(flat if len(rows) == len(flat) else flat[rows], pair, axis=1)[:, pair]
    return found[:, 0], found[:, 1] - found[:, 0]


def _moments(flat: np.ndarray, skipped: np.ndarray, how: Normalisation) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each row but for its ``skipped`` smallest values, which are all the same."""
    count = flat.shape[1] - skipped
    lowest = flat.min(axis=1).astype(np.float64)
    above = flat - lowest[:, None]  # what is skipped is 0, and adds nothing
    mean = above.sum(axis=1) / count
    square = (above**2).sum(axis=1) / count
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return (mean + lowest).astype(np.float32), spread.astype(np.float32)


def _extremes(flat: np.ndarray, skipped: np.ndarray, how: Normalisation) -> tuple[np.ndarray, np.ndarray]:
    """Minimum, and the way to the maximum, of each row but for its ``skipped`` smallest values."""
    low, high = flat.min(axis=1).astype(np.float32), flat.max(axis=1).astype(np.float32)
    for row in np.flatnonzero(skipped):
        values = flat[row]
        low[row] = values[values > values.min()].min()
    return low, high - low


_MEASURES = {"percentile": _percentiles, "zscore": _moments, "minmax": _extremes}
