"""From one slice of a structure up and down to its ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

EMPTY_SLICES = 2
"""So many slices without the structure end it."""

JUMP_MM = 5.0
"""A centroid that moves farther than this, or than the structure's radius, belongs to something else."""

_AROUND = np.ones((3, 3), bool)


def walk(
    mask: NDArray[np.bool_], start_kji: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Follow a structure through the slices of a mask.

    Parameters
    ----------
    mask
        bool [k, j, i]: what the network sees, its holes filled on each slice.
    start_kji
        A true voxel.
    spacing_mm
        (k, j, i).

    Returns
    -------
    bool [k, j, i]: on each slice the regions that touch those of the slice before, until two slices have none or the
    centroid jumps. The walk begins again on the slice where the structure is largest, so that it hardly matters on
    which slice it was entered.
    """
    k, j, i = start_kji
    labels, _ = ndimage.label(mask[k], _AROUND)
    out = _walk(mask, k, labels == labels[j, i], spacing_mm)
    largest = int(out.sum(axis=(1, 2)).argmax())
    return out if largest == k else _walk(mask, largest, out[largest], spacing_mm)


def _walk(mask: NDArray[np.bool_], start: int, region: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> NDArray:
    out = np.zeros_like(mask)
    out[start] = region
    for step in (1, -1):
        last, empty, k = region, 0, start + step
        while 0 <= k < len(mask) and empty < EMPTY_SLICES:
            found = _touching(mask[k], last)
            if found is None:
                empty += 1
            elif _jumps(last, found, spacing_mm):
                break
            else:
                out[k], last, empty = found, found, 0
            k += step
    return out


def _touching(plane: NDArray[np.bool_], last: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    near = _with_neighbours(last)
    if not (plane & near).any():
        return None
    labels, count = ndimage.label(plane, _AROUND)
    touched = np.zeros(count + 1, bool)
    touched[labels[near]] = True
    touched[0] = False
    return touched[labels]


def _with_neighbours(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A dilation by the eight neighbours, in a quarter of the time that scipy's takes or less."""
    out = plane.copy()
    out[1:] |= plane[:-1]
    out[:-1] |= plane[1:]
    rows = out.copy()
    out[:, 1:] |= rows[:, :-1]
    out[:, :-1] |= rows[:, 1:]
    return out


def _jumps(last: NDArray[np.bool_], found: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> bool:
    plane_mm = np.asarray(spacing_mm[1:])
    moved = float(np.linalg.norm((np.argwhere(found).mean(axis=0) - np.argwhere(last).mean(axis=0)) * plane_mm))
    larger = max(last.sum(), found.sum()) * float(np.prod(plane_mm))
    return moved > max(JUMP_MM, float(np.sqrt(larger / np.pi)))
