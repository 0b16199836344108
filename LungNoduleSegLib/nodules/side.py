"""Side of the patient that a nodule lies on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from LungNoduleSegLib.nodules.measure import centroid_ras

RIGHT_LUNG = 1
LEFT_LUNG = 2
"""Values of the lungs' array, as :func:`LungNoduleSegLib.ct.lungs` writes them; 0 is background."""

SEARCH_MM = 20.0
"""How far from the nodule lung is looked for; a mass on the pleura may hold no voxel of the lungs' array itself."""

MIN_LUNG_VOXELS = 50
"""Fewer voxels of a lung than this say nothing about where the midline runs."""


def nodule_side(
    mask: NDArray[np.bool_],
    offset_kji: ArrayLike,
    lungs: NDArray[np.uint8] | None,
    ijk_to_ras: ArrayLike,
    *,
    midline_mm: float | None = None,
) -> str:
    """ "right" or "left" of the patient, "" where neither the lungs nor a midline tell.

    The lung that the nodule touches decides; if it touches both or none, the lung around it; if there is none within
    :data:`SEARCH_MM`, its x against the midline between the lungs.

    Parameters
    ----------
    mask
        bool [k, j, i] crop with at least one voxel.
    offset_kji
        First voxel of the crop in the CT.
    lungs
        uint8 [k, j, i] on the CT's grid, 1 = right lung, 2 = left lung; or None. A mask that does not tell the lungs
        apart (all 1) serves for the midline only, see :func:`lungs_midline`.
    ijk_to_ras
        (4, 4) of the CT.
    midline_mm
        x of the midline in RAS mm; default :func:`lungs_midline`. Give it where many nodules share one scan.
    """
    matrix = np.asarray(ijk_to_ras, dtype=np.float64)
    if lungs is not None and _told_apart(lungs, midline_mm):
        near = _votes(mask, offset_kji, lungs, matrix)
        if near:
            return near
    if midline_mm is None and lungs is not None:
        midline_mm = lungs_midline(lungs, matrix)
    if midline_mm is None:
        return ""
    x = centroid_ras(mask, offset_kji, matrix)[0]
    return "right" if x > midline_mm else "left"


def lungs_midline(lungs: NDArray, ijk_to_ras: ArrayLike) -> float | None:
    """x in RAS mm half way between the lungs, None if there is too little lung.

    Half way between the mean x of both lungs where they are told apart, else the middle of the mask's extent.
    """
    matrix = np.asarray(ijk_to_ras, dtype=np.float64)
    right, left = lungs == RIGHT_LUNG, lungs == LEFT_LUNG
    if min(np.count_nonzero(right), np.count_nonzero(left)) >= MIN_LUNG_VOXELS:
        return (_mean_x(right, matrix) + _mean_x(left, matrix)) / 2
    voxels = np.argwhere(right | left)
    if len(voxels) < MIN_LUNG_VOXELS:
        return None
    x = voxels[:, ::-1] @ matrix[0, :3] + matrix[0, 3]
    return float(x.min() + x.max()) / 2


def _mean_x(lung: NDArray[np.bool_], matrix: NDArray[np.float64]) -> float:
    # Mean index along each axis from its profile: no list of millions of voxels.
    total = np.count_nonzero(lung)
    kji = [
        float(np.dot(np.arange(n), np.count_nonzero(lung, axis=tuple(a for a in range(3) if a != axis)) / total))
        for axis, n in enumerate(lung.shape)
    ]
    return float(matrix[0, :3] @ kji[::-1] + matrix[0, 3])


def _told_apart(lungs: NDArray, midline_mm: float | None) -> bool:
    # With a midline at hand the array has been looked at: a second pass over the whole volume is not worth its time.
    return lungs.dtype != bool and (midline_mm is not None or bool((lungs == LEFT_LUNG).any()))


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
    distance = ndimage.distance_transform_edt(~own, sampling=spacing)
    lung = (around > 0) & (distance <= SEARCH_MM)
    if not lung.any():
        return ""
    return _majority(around[lung & (distance <= distance[lung].min() + float(spacing.max()))])


def _majority(values: NDArray) -> str:
    right, left = int(np.count_nonzero(values == RIGHT_LUNG)), int(np.count_nonzero(values == LEFT_LUNG))
    return "" if right == left else "right" if right > left else "left"
