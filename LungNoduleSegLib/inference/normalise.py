"""Intensity normalisation of tiles, the same in training and at run time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

CLIP_HU = (-1024, 3071)
"""HU range of CT numbers stored in 12 bits; paddings below it are air."""

METHODS = ("percentile", "zscore", "minmax")


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
    """

    method: str = "percentile"
    low: float = 0.5
    high: float = 99.5
    min_range: float = 100.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"Expected argument `method` to be one of {METHODS}, got {self.method!r}")
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(f"Expected percentiles 0 <= low < high <= 100, got {self.low} and {self.high}")

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
    if normalisation.method == "zscore":
        mean = flat.mean(axis=1, dtype=np.float64).astype(np.float32)[:, None]
        spread = np.maximum(flat.std(axis=1, dtype=np.float64).astype(np.float32)[:, None], floor)
        return ((flat - mean) / spread).astype(np.float32, copy=False).reshape(shape)
    if normalisation.method == "minmax":
        low, high = flat.min(axis=1), flat.max(axis=1)
    else:
        # Ranks without interpolation: one partition, and the same answer for integer HU and 8-bit crops.
        last = flat.shape[1] - 1
        ranks = (round(normalisation.low / 100 * last), round(normalisation.high / 100 * last))
        parted = np.partition(flat, ranks, axis=1)
        low, high = parted[:, ranks[0]], parted[:, ranks[1]]
    low = low.astype(np.float32)[:, None]
    spread = np.maximum(high.astype(np.float32)[:, None] - low, floor)
    scaled = flat.astype(np.float32)
    scaled -= low
    scaled /= spread
    if normalisation.method == "percentile":
        np.clip(scaled, -0.5, 1.5, out=scaled)
    return scaled.reshape(shape)
