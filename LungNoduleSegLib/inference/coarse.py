"""Tiles of larger pixels: each shows more of the lungs, and large nodules as a network knows them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from LungNoduleSegLib.inference.despike import SPIKE_HU, spikes_replaced
from LungNoduleSegLib.inference.engine import Engine

LEAST_GAIN = 1.08
"""Pixels are not enlarged by less than this: it would blur them and save nearly nothing."""

AT_ONCE = 16
"""Tiles that are shrunk at once: a GPU takes hundreds, which need gigabytes before they are."""


def native_px(px: int, spacing_mm: float, pixel_mm: float) -> int:
    """Pixels of a CT, an even number, that ``px`` pixels of ``pixel_mm`` cover; ``px`` where its own are as large."""
    if pixel_mm < LEAST_GAIN * spacing_mm:
        return px
    return 2 * round(px * pixel_mm / spacing_mm / 2)


class CoarseEngine:
    """An engine whose tiles are larger, shrunk to what the network takes and their probabilities enlarged again.

    Parameters
    ----------
    engine
        What computes.
    tile_px
        Height and width of a tile in pixels of the CT, at least the engine's own.
    """

    def __init__(self, engine: Engine, tile_px: int):
        self._engine = engine
        self.tile_px, self.input_slices = tile_px, engine.input_slices

    @property
    def batch_size(self) -> int:
        """Of the engine, where it may shrink."""
        return self._engine.batch_size

    def predict(self, tiles: NDArray, *, min_range: float | None = None) -> NDArray[np.float32]:
        """Probabilities (n, tile_px, tile_px) float32, 0..1, of tiles (n, input_slices, tile_px, tile_px) in HU."""
        px = self._engine.tile_px
        small = np.empty((*tiles.shape[:2], px, px), np.float32)
        for n in range(0, len(tiles), AT_ONCE):
            small[n : n + AT_ONCE] = resized(spikes_replaced(tiles[n : n + AT_ONCE], SPIKE_HU), px)
        return resized(self._engine.predict(small, min_range=min_range), self.tile_px)


def resized(planes: NDArray, px: int) -> NDArray[np.float32]:
    """Squares (..., n, n) resampled to (..., px, px) over the same field of view, float32, range kept.

    Linear interpolation; a triangle as wide as the new pixels where they are larger, so that nothing small is skipped.
    """
    size = planes.shape[-1]
    line = _line(size, px)
    flat = np.asarray(planes, np.float32).reshape(-1, size, size)
    out = np.empty((len(flat), px, px), np.float32)
    for n, plane in enumerate(flat):
        out[n] = (line @ (line @ plane).T).T
    return out.reshape(*planes.shape[:-2], px, px)


@lru_cache(maxsize=16)
def _line(old: int, new: int) -> sparse.csr_array:
    """float32 (new, old): weights of a line's pixels in the resampled line, each row's sum 1; few of a row are not 0.

    So few that a product with it takes a third of the time of one with the dense matrix.
    """
    factor = old / new
    centre = (np.arange(new) + 0.5) * factor - 0.5
    out = np.maximum(1 - np.abs(np.arange(old) - np.clip(centre, 0, old - 1)[:, None]) / max(factor, 1.0), 0)
    return sparse.csr_array((out / out.sum(axis=1, keepdims=True)).astype(np.float32))
