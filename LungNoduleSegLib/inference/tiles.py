"""Square tiles of a CT: cutting them out, where to put them, averaging what comes back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.normalise import CLIP_HU

TILE_PX = 128


def gather(hu: NDArray[np.int16], places: NDArray, *, slices: int, px: int = TILE_PX) -> NDArray[np.int16]:
    """Cut tiles out of a CT.

    Parameters
    ----------
    hu
        int16 [k, j, i] in HU.
    places
        (n, 3) integers: slice k, and row j and column i of the tile's first pixel. Tiles may leave the image, where
        they hold air (-1024 HU).
    slices
        Odd number of neighbouring slices a tile; at the ends of the volume the last slice is repeated.

    Returns
    -------
    int16 (n, slices, px, px), clipped to [-1024, 3071] HU.
    """
    depth, height, width = hu.shape
    half = slices // 2
    out = np.full((len(places), slices, px, px), CLIP_HU[0], np.int16)
    for n, (k, j, i) in enumerate(np.asarray(places, dtype=np.int64)):
        j0, j1, i0, i1 = max(j, 0), min(j + px, height), max(i, 0), min(i + px, width)
        if j0 >= j1 or i0 >= i1:
            continue
        for s in range(slices):
            source = hu[min(max(k + s - half, 0), depth - 1), j0:j1, i0:i1]
            np.clip(source, *CLIP_HU, out=out[n, s, j0 - j : j1 - j, i0 - i : i1 - i])
    return out


@lru_cache(maxsize=8)
def gaussian_window(px: int = TILE_PX) -> NDArray[np.float32]:
    """Weights of a tile's pixels, (px, px) float32: Gaussian with sigma = px / 8, 1 in the middle, read-only."""
    x = np.arange(px) - (px - 1) / 2
    # From three sigma on it stays level: a product of two tails falls below what half precision tells from nothing.
    line = np.maximum(np.exp(-0.5 * (x / (px / 8)) ** 2), 0.01)
    window = np.outer(line, line).astype(np.float32)
    window.flags.writeable = False
    return window


LEAST_NORMAL = float(np.finfo(np.float16).tiny)
"""Smaller probabilities (below .00006) are kept as zero: half precision tells them, but takes 40 times as long to."""


class ProbabilityVolume:
    """Weighted mean of tile probabilities on a box of the CT, kept in half precision.

    Parameters
    ----------
    offset_kji, shape
        The box. What tiles hold beyond it is dropped.

    Attributes
    ----------
    mean
        float16 [k, j, i]; 0 where no tile was.
    weight
        float16 [k, j, i]; sum of weights, 0 where no tile was.
    """

    def __init__(self, offset_kji: tuple[int, int, int], shape: tuple[int, int, int]):
        self.offset_kji = tuple(int(o) for o in offset_kji)
        self.mean = np.zeros(shape, np.float16)
        self.weight = np.zeros(shape, np.float16)

    def add(self, place: NDArray, probability: NDArray[np.float32], weight: NDArray[np.float32] | None = None) -> None:
        """Average in one tile (h, w) whose first pixel lies at ``place`` (k, j, i) of the CT."""
        px = probability.shape
        weight = gaussian_window(px[0]) if weight is None else weight
        k, j, i = (int(p) - o for p, o in zip(place, self.offset_kji))
        _, height, width = self.mean.shape
        j0, j1, i0, i1 = max(j, 0), min(j + px[0], height), max(i, 0), min(i + px[1], width)
        if not 0 <= k < self.mean.shape[0] or j0 >= j1 or i0 >= i1:
            return
        part = np.s_[j0 - j : j1 - j, i0 - i : i1 - i]
        old = self.mean[k, j0:j1, i0:i1].astype(np.float32)
        total = self.weight[k, j0:j1, i0:i1].astype(np.float32) + weight[part]
        old += (probability[part] - old) * (weight[part] / total)
        old *= old >= LEAST_NORMAL
        self.mean[k, j0:j1, i0:i1] = old
        self.weight[k, j0:j1, i0:i1] = total

    @property
    def visited(self) -> NDArray[np.bool_]:
        """bool [k, j, i]: where any tile was."""
        return self.weight > 0

    def full(self, shape: tuple[int, int, int]) -> NDArray[np.float16]:
        """The mean on the CT's whole grid, 0 elsewhere; float16 [k, j, i]."""
        out = np.zeros(shape, np.float16)
        box = tuple(slice(o, o + n) for o, n in zip(self.offset_kji, self.mean.shape))
        out[box] = self.mean
        return out
