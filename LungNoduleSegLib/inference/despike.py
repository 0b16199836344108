"""Single voxels that stand out from all their neighbours: metal, dead detector elements, damaged files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.normalise import Normalisation, normalise

EXCESS = 0.3
"""A pixel is a spike if it exceeds the brightest of its eight neighbours by this, in units of the tile's range (some
300 HU). A scanner's point spread keeps anatomy below it; noise of sharp kernels reaches it now and then, and loses
nothing."""

SPIKE_HU = 300.0
"""The same in HU, for tiles that are not normalised yet."""

_AROUND = [(dj, di) for dj in (-1, 0, 1) for di in (-1, 0, 1) if (dj, di) != (0, 0)]


def spikes(tiles: NDArray[np.float32], excess: float = EXCESS) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels that exceed the brightest of their eight neighbours (fewer at the border) on their slice by ``excess``.

    Parameters
    ----------
    tiles
        float32 (m, h, w), normalised.

    Returns
    -------
    (n, 3) indices of the spikes, and (n, 8, 3) of their neighbours, -1 beyond the border.
    """
    # Few pixels stand out along their row; only those are compared with all neighbours.
    standing = np.ones(tiles.shape, bool)
    rise = np.diff(tiles, axis=-1)
    standing[..., 1:] &= rise > excess
    standing[..., :-1] &= rise < -excess
    at = np.column_stack(np.unravel_index(np.flatnonzero(standing), standing.shape))
    near = at[:, None] + np.array([(0, dj, di) for dj, di in _AROUND])
    near[((near < 0) | (near >= tiles.shape)).any(axis=2)] = -1
    values = np.where(near[..., 0] < 0, -np.inf, tiles[tuple(np.moveaxis(near, -1, 0))])
    spike = tiles[tuple(at.T)] > values.max(axis=1, initial=-np.inf) + excess
    return at[spike], near[spike]


def without_spikes(tiles: NDArray, normalisation: Normalisation, *, min_range: float | None = None) -> NDArray:
    """Tiles (..., h, w) of any real dtype with every spike replaced by the median of its neighbours.

    Needed before tiles are resampled, which would smear a spike over pixels that no longer stand out. float32 where
    there was a spike, else the tiles that were given, which are never changed.
    """
    tiles = np.asarray(tiles)
    planes = tiles.reshape(-1, *tiles.shape[-2:])
    return _replaced(tiles, *_cleaned(planes, normalise(planes, normalisation, min_range=min_range)))


def spikes_replaced(tiles: NDArray, excess: float) -> NDArray:
    """The same for tiles (..., h, w) in units in which a spike exceeds its neighbours by ``excess``."""
    tiles = np.asarray(tiles)
    planes = tiles.reshape(-1, *tiles.shape[-2:])
    return _replaced(tiles, *_cleaned(planes, planes.astype(np.float32), excess))


def normalise_without_spikes(
    tiles: NDArray, normalisation: Normalisation, *, min_range: float | None = None
) -> NDArray[np.float32]:
    """Normalise as :func:`normalise` does, after replacing every spike by the median of its neighbours.

    A network may see a nodule in a single bright voxel, or lose one beside it, and one voxel more above a percentile
    moves that percentile; so spikes go before normalising, and slices without any come out exactly as from `normalise`.

    Parameters
    ----------
    tiles
        (..., h, w) of any real dtype; not changed.
    """
    tiles = np.asarray(tiles)
    planes = tiles.reshape(-1, *tiles.shape[-2:])
    out = normalise(planes, normalisation, min_range=min_range)
    hit, clean = _cleaned(planes, out)
    if len(hit):
        out[hit] = normalise(clean, normalisation, min_range=min_range)
    return out.reshape(tiles.shape)


def _replaced(tiles: NDArray, hit: NDArray[np.int64], clean: NDArray[np.float32]) -> NDArray:
    if not len(hit):
        return tiles
    out = tiles.reshape(-1, *tiles.shape[-2:]).astype(np.float32)
    out[hit] = clean
    return out.reshape(tiles.shape)


def _cleaned(
    planes: NDArray, compared: NDArray[np.float32], excess: float = EXCESS
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which slices of (m, h, w) have a spike, and these slices without, float32; ``compared`` is what is looked at."""
    at, near = spikes(compared, excess)
    hit = np.unique(at[:, 0])
    row = np.searchsorted(hit, at[:, 0])
    clean = planes[hit].astype(np.float32)
    if len(at):
        around = clean[row[:, None], near[..., 1], near[..., 2]]
        around[near[..., 0] < 0] = np.nan
        clean[row, at[:, 1], at[:, 2]] = np.nanmedian(around, axis=1)
    return hit, clean
