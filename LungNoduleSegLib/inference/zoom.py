"""Tiles seen larger or smaller, and the way back: bilinear resampling of a square about its middle."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=32)
def _matrix(px: int, zoom: float) -> NDArray[np.float32]:
    """float32 (px, px): a line of pixels magnified about its middle; what leaves the line is reflected at its ends."""
    middle = (px - 1) / 2
    at = (np.arange(px) - middle) / zoom + middle
    low = np.floor(at).astype(int)
    share = at - low
    out = np.zeros((px, px), np.float32)
    for index, weight in ((low, 1 - share), (low + 1, share)):
        turned = np.mod(index, 2 * px)
        inside = np.where(turned < px, turned, 2 * px - 1 - turned)  # the end pixel is repeated once
        np.add.at(out, (np.arange(px), inside), weight.astype(np.float32))
    out.flags.writeable = False
    return out


def zoomed(tiles: NDArray, zoom: float) -> NDArray[np.float32]:
    """Tiles (..., px, px) magnified by ``zoom`` about their middle, float32; below 1 the surroundings are reflected."""
    tiles = np.asarray(tiles, dtype=np.float32)
    if zoom == 1:
        return tiles
    line = _matrix(tiles.shape[-1], float(zoom))
    return line @ tiles @ line.T


@lru_cache(maxsize=32)
def covered(px: int, zoom: float) -> NDArray[np.float32]:
    """float32 (px, px): 1 where a magnified tile shows the original, 0 where it does not reach."""
    middle = (px - 1) / 2
    line = np.abs(np.arange(px) - middle) <= px / 2 / max(zoom, 1.0) - (1.0 if zoom > 1 else 0.0)
    out = np.outer(line, line).astype(np.float32)
    out.flags.writeable = False
    return out
