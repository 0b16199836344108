"""True negatives: places in the lungs that no reader annotated or marked, and slices of patients without nodules."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from LungNoduleSegLib.errors import InputError
from training.data.convention import to_eight_bits
from training.data.crops import IGNORE
from training.data.scans import TrainingScan, tile_start
from training.lidc.images import CLEAN_SLICES

AWAY_MM = 5.0
"""Least distance of the tile's centre from what any reader annotated; marks of small nodules have this zone already."""

CLEAN_WINDOW_HU = (-1350.0, 150.0)
"""Window centre -600, width 1500 HU: the grey levels of the clean slices that are passed on as pictures."""

_TRIES = 200


def lung_places(scan: TrainingScan, count: int, size: int, *, seed: int = 0) -> np.ndarray:
    """int (m, 3) [k, j, i], m <= count: centres of tiles that hold no annotation and no place that is left out.

    Stratified in z: the slices with lung are parted into ``count`` equal stretches, and one place is drawn in each, in
    the lung and at least 5 mm from every annotation of any reader. A stretch without such a place gives none.
    """
    levels = np.flatnonzero(scan.lung.any(axis=(1, 2)))
    rng = np.random.default_rng([seed, count, size])
    if not len(levels) or count < 1:
        return np.zeros((0, 3), np.int64)
    edges = np.linspace(0, len(levels), count + 1)
    found = []
    for low, high in pairwise(edges):
        stretch = levels[int(low) : max(int(np.ceil(high)), int(low) + 1)]
        place = _draw(scan, stretch, size, rng)
        if place is not None:
            found.append(place)
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _draw(scan: TrainingScan, stretch: np.ndarray, size: int, rng: np.random.Generator):
    for _ in range(_TRIES):
        k = int(rng.choice(stretch))
        inside = np.flatnonzero(scan.lung[k])
        if not len(inside):
            continue
        j, i = (int(v) for v in np.unravel_index(int(rng.choice(inside)), scan.lung.shape[1:]))
        if is_free(scan, (k, j, i), size):
            return k, j, i
    return None


def is_free(scan: TrainingScan, centre_kji: tuple[int, int, int], size: int) -> bool:
    """Whether a tile of a scan is a true negative: no voxel of it annotated or left out, nothing within 5 mm of it."""
    k, j, i = centre_kji
    reach = [int(np.ceil(AWAY_MM / mm)) for mm in scan.spacing_mm]
    first = [tile_start(c, size, n) for c, n in zip((j, i), scan.hu.shape[1:])]
    low = (k, *first)
    high = (k + 1, first[0] + size, first[1] + size)
    box = tuple(slice(max(a - r, 0), max(b + r, 0)) for a, b, r in zip(low, high, reach))
    taken = (np.asarray(scan.nodules[box]) > 0) | (np.asarray(scan.labels[box]) == 1)
    tile = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high))
    if (np.asarray(scan.labels[tile]) == IGNORE).any():
        return False  # the zone of 5 mm around the mark of a small nodule
    if not taken.any():
        return True
    free = np.ones(taken.shape, bool)
    inner = tuple(slice(max(a, 0) - b.start, min(c, n) - b.start)
                  for a, c, b, n in zip(low, high, box, scan.hu.shape))  # fmt: skip
    free[inner] = False
    # Distance of every voxel to the tile.
    return bool(ndimage.distance_transform_edt(free, sampling=scan.spacing_mm)[taken].min() > AWAY_MM)


def thesis_negatives(hu: np.ndarray, slices: int = CLEAN_SLICES) -> np.ndarray:
    """uint8 (n, h, w): the caudal slices of a patient without nodule, windowed as the pictures of them are.

    Parameters
    ----------
    hu
        int16 [k, j, i], k ascending towards the head.
    """
    low, high = CLEAN_WINDOW_HU
    part = np.clip(np.asarray(hu[:slices], np.float64), low, high)
    return ((part - low) * (255.0 / (high - low)) + 0.5).astype(np.uint8)


def clean_tiles(slices: np.ndarray, size: int) -> np.ndarray:
    """uint8 (n, size, size): the middle of clean slices (n, h, w), each min-max stretched as the crops are."""
    first = [(n - size) // 2 for n in slices.shape[1:]]
    if min(first) < 0:
        raise InputError(f"{size} px needs complete slices: these have {slices.shape[1]} x {slices.shape[2]} px")
    return to_eight_bits(slices[:, first[0] : first[0] + size, first[1] : first[1] + size])
