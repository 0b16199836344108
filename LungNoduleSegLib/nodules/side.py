"""Side of the patient that a nodule lies on."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from LungNoduleSegLib.nodules.measure import centroid_ras

RIGHT_LUNG = 1
LEFT_LUNG = 2
"""Values of the lungs' array, as :func:`LungNoduleSegLib.ct.lungs` writes them; 0 is background."""

SEARCH_MM = 20.0
"""How far from the nodule lung is looked for; a mass on the pleura may hold no voxel of the lungs' array itself."""

ENOUGH_VOXELS = 128
"""Along each axis at least this many voxels (or all) are looked at for the midline."""

MIN_LUNG_VOXELS = 50
"""Fewer voxels of a lung than this say nothing about where the midline runs."""


class SideFinder:
    """Says for the nodules of one scan which side of the patient they lie on; the lungs are looked through once.

    The lung that the nodule touches most decides; if it touches none, the lung nearest to it within
    :data:`SEARCH_MM`; if there is none either, its x against the midline between the lungs.

    Parameters
    ----------
    lungs
        uint8 [k, j, i] on the CT's grid, 1 = right lung, 2 = left lung, 0 = background. A mask that does not tell the
        lungs apart (bool, or all 1) serves for the midline only; None leaves every side open.
    ijk_to_ras
        (4, 4) of the CT.
    """

    def __init__(self, lungs: NDArray | None, ijk_to_ras: ArrayLike):
        self._matrix = np.asarray(ijk_to_ras, dtype=np.float64)
        self.midline_mm = None if lungs is None else lungs_midline(lungs, self._matrix)
        told_apart = lungs is not None and lungs.dtype != bool and bool((_thinned(lungs)[0] == LEFT_LUNG).any())
        self._lungs = lungs if told_apart else None

    def __call__(self, mask: NDArray[np.bool_], offset_kji: ArrayLike) -> str:
        """ "right", "left", or "" where nothing tells; ``mask`` bool [k, j, i] crop, its first voxel ``offset_kji``."""
        if self._lungs is not None:
            side = _votes(mask, offset_kji, self._lungs, self._matrix)
            if side:
                return side
        if self.midline_mm is None:
            return ""
        x = centroid_ras(mask, offset_kji, self._matrix)[0]  # RAS: x grows towards the patient's right
        return "right" if x > self.midline_mm else "left"


def nodule_side(mask: NDArray[np.bool_], offset_kji: ArrayLike, lungs: NDArray | None, ijk_to_ras: ArrayLike) -> str:
    """Side of one nodule; for several of one scan make a :class:`SideFinder` once."""
    return SideFinder(lungs, ijk_to_ras)(mask, offset_kji)


def lungs_midline(lungs: NDArray, ijk_to_ras: ArrayLike) -> float | None:
    """x in RAS mm half way between the lungs, None if there is too little lung.

    Half way between the mean x of both lungs where they are told apart, else the middle of the mask's extent.
    """
    few, steps = _thinned(lungs)
    matrix = np.array(ijk_to_ras, dtype=np.float64)
    matrix[:3, :3] *= steps[::-1]
    right, left = few == RIGHT_LUNG, few == LEFT_LUNG
    if min(np.count_nonzero(right), np.count_nonzero(left)) >= MIN_LUNG_VOXELS:
        return float(_x(right, matrix).mean() + _x(left, matrix).mean()) / 2
    x = _x(right | left, matrix)
    return float(x.min() + x.max()) / 2 if len(x) >= MIN_LUNG_VOXELS else None


def _thinned(lungs: NDArray) -> tuple[NDArray, NDArray[np.int64]]:
    # Every n-th voxel: a midline needs no more, and a CT has tens of millions of them.
    steps = np.maximum(1, np.array(lungs.shape) // ENOUGH_VOXELS)
    return lungs[tuple(slice(None, None, step) for step in steps.tolist())], steps


def _x(lung: NDArray[np.bool_], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.argwhere(lung)[:, ::-1] @ matrix[0, :3] + matrix[0, 3]


def _votes(mask: NDArray[np.bool_], offset_kji: ArrayLike, lungs: NDArray, matrix: NDArray[np.float64]) -> str:
    offset = np.asarray(offset_kji, dtype=np.int64)
    spacing = np.linalg.norm(matrix[:3, 2::-1], axis=0)
    margin = np.ceil(SEARCH_MM / spacing).astype(np.int64)
    start = np.maximum(offset - margin, 0)
    stop = np.minimum(offset + mask.shape + margin, lungs.shape)
    around = lungs[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    own = np.zeros(around.shape, dtype=bool)
    first = offset - start
    own[tuple(slice(a, a + n) for a, n in zip(first, mask.shape, strict=True))] = mask
    touched = _majority(around[own])
    if touched:
        return touched
    if not (around > 0).any():
        return ""
    distance = scipy.ndimage.distance_transform_edt(~own, sampling=spacing)
    lung = (around > 0) & (distance <= SEARCH_MM)
    if not lung.any():
        return ""
    return _majority(around[lung & (distance <= distance[lung].min() + float(spacing.max()))])


def _majority(values: NDArray) -> str:
    right, left = int(np.count_nonzero(values == RIGHT_LUNG)), int(np.count_nonzero(values == LEFT_LUNG))
    return "" if right == left else "right" if right > left else "left"
