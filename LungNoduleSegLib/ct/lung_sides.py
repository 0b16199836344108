"""Right lung and left lung, also where the two touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

RIGHT, LEFT = 1, 2

STRADDLING = 0.15
"""A part with at least this share of its volume on either side of the body's middle may be both lungs in one."""

SMALLER_LUNG = 0.2
"""The smaller of the two halves of such a part has at least this share of the larger one."""

EROSIONS_MM = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0)
"""How much is peeled off until two touching lungs come apart: the line where they touch is thin, the main bronchi
that join them through the windpipe have a radius of 5 to 8 mm."""


def split_sides(
    lung: NDArray[np.bool_], tissue: NDArray[np.bool_], x_mm: NDArray[np.float32], spacing: tuple[float, ...]
) -> NDArray[np.uint8]:
    """Tell right from left.

    Parameters
    ----------
    lung, tissue
        bool [k, j, i]: air of both lungs; everything denser.
    x_mm
        RAS x of each voxel: grows to the patient's right.
    spacing
        (k, j, i) in mm.

    Returns
    -------
    uint8 [k, j, i]: 0 outside ``lung``, 1 right, 2 left.
    """
    labels, count = ndimage.label(lung)
    volume = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    middle = _middle(lung, tissue, x_mm)
    sides = np.zeros(lung.shape, np.uint8)
    boxes = ndimage.find_objects(labels)
    for label in np.argsort(-volume) + 1:
        box = boxes[label - 1]
        part = labels[box] == label
        x = x_mm[box]
        right = np.count_nonzero(x[part] > middle) / volume[label - 1]
        side = None
        if STRADDLING < right < 1 - STRADDLING:
            side = _halves(part, x, spacing)
        if side is None:
            side = np.full(part.shape, RIGHT if x[part].mean() > middle else LEFT, np.uint8)
        sides[box][part] = side[part]
    return sides


def _middle(lung: NDArray[np.bool_], tissue: NDArray[np.bool_], x_mm: NDArray[np.float32]) -> float:
    """RAS x of the middle of the body, from the tissue in the part of the volume where the lungs are."""
    box = ndimage.find_objects(lung.astype(np.uint8))[0]
    inside = tissue[box]
    return float(x_mm[box][inside].mean()) if inside.any() else float(x_mm[box].mean())


def _halves(part: NDArray[np.bool_], x_mm: NDArray[np.float32], spacing: tuple[float, ...]) -> NDArray[np.uint8] | None:
    """Peel until two lungs of comparable size come apart, then give each voxel to the nearer one; None if it stays one
    lung.
    """
    padded = np.pad(part, 1, mode="edge")  # the end of the volume is no surface of the lung
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)[1:-1, 1:-1, 1:-1]
    for peel in EROSIONS_MM:
        labels, count = ndimage.label(depth > peel)
        if count < 2:
            continue
        volume = np.bincount(labels.ravel(), minlength=count + 1)
        volume[0] = 0
        first, second = np.argsort(-volume)[:2]
        if volume[second] < SMALLER_LUNG * volume[first]:
            continue
        centre = [float(x_mm[labels == label].mean()) for label in (first, second)]
        if abs(centre[0] - centre[1]) < 40:  # mm: two lobes of one lung, one above the other
            continue
        right, left = (first, second) if centre[0] > centre[1] else (second, first)
        seeds = np.where(labels == right, RIGHT, np.where(labels == left, LEFT, 0)).astype(np.uint8)
        nearest = ndimage.distance_transform_edt(
            seeds == 0, sampling=spacing, return_distances=False, return_indices=True
        )
        return seeds[tuple(nearest)]
    return None
