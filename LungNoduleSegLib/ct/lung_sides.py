"""Right lung and left lung, also where the two touch."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

RIGHT, LEFT = 1, 2

SMALLER_LUNG = 0.2
"""The smaller lung has at least this share of the volume of the larger one; otherwise there is only one."""

APART_MM = 40.0
"""Least distance in x between the centres of two lungs; less is two lobes of one lung, one above the other."""

CUT_END, FREE_END = 0.3, 0.1
"""Share of body at the end of a volume: above the first it was cut through, below the second it ends beside it."""

EROSIONS_MM = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0)
"""How much is peeled off until two touching lungs come apart: the line where they touch is thin, the main bronchi
that join them through the windpipe have a radius of 5 to 8 mm."""


def split_sides(
    lung: NDArray[np.bool_], x_mm: NDArray[np.float32], spacing: tuple[float, ...], middle_mm: float
) -> NDArray[np.uint8]:
    """Tell right from left.

    Parameters
    ----------
    lung
        bool, 3-D: air of both lungs.
    x_mm
        RAS x of each voxel: grows to the patient's right.
    spacing
        In mm, along the axes of ``lung``.
    middle_mm
        RAS x of the middle of the body, for a volume with only one lung.

    Returns
    -------
    uint8: 0 outside ``lung``, 1 right, 2 left.
    """
    labels, count = scipy.ndimage.label(lung)
    volume = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    centre = scipy.ndimage.mean(x_mm, labels, np.arange(1, count + 1))
    largest = int(np.argmax(volume))
    box = scipy.ndimage.find_objects(labels)[largest]
    part = labels[box] == largest + 1
    others = np.flatnonzero((volume >= SMALLER_LUNG * volume[largest]) & (abs(centre - centre[largest]) >= APART_MM))
    halves = None
    if others.size:
        other = others[np.argmax(volume[others])]
        middle = (centre[largest] + centre[other]) / 2
    elif (halves := _halves(part, x_mm[box], spacing)) is not None:
        middle = sum(float(x_mm[box][halves == side].mean()) for side in (RIGHT, LEFT)) / 2
    else:
        middle = middle_mm
    of_part = np.where(centre > middle, RIGHT, LEFT).astype(np.uint8)
    sides = np.concatenate([[np.uint8(0)], of_part])[labels]
    if halves is not None:
        sides[box][part] = halves[part]
    return sides


def middle_of_body(body: NDArray[np.bool_], x_mm: NDArray[np.float32]) -> float:
    """RAS x of the middle of the body, from what is no gas; the last axis of both arrays runs along x.

    Where the volume ends inside the body on one side only, one half of a chest was cut out, and the middle is there.
    """
    ends = [(float(body[..., end].mean()), float(x_mm[..., end].mean())) for end in (0, -1)]
    (low, _), (high, x_high) = sorted(ends)
    if high > CUT_END and low < FREE_END:
        return x_high
    return float(x_mm[body].mean()) if body.any() else float(x_mm.mean())


def _halves(part: NDArray[np.bool_], x_mm: NDArray[np.float32], spacing: tuple[float, ...]) -> NDArray[np.uint8] | None:
    """Peel until two lungs of comparable size come apart, then give each voxel to the nearer one; None if it stays one
    lung.
    """
    padded = np.pad(part, 1, mode="edge")  # the end of the volume is no surface of the lung
    depth = scipy.ndimage.distance_transform_edt(padded, sampling=spacing)[1:-1, 1:-1, 1:-1]
    for peel in EROSIONS_MM:
        labels, count = scipy.ndimage.label(depth > peel)
        if count < 2:
            continue
        volume = np.bincount(labels.ravel(), minlength=count + 1)
        volume[0] = 0
        first, second = np.argsort(-volume)[:2]
        if volume[second] < SMALLER_LUNG * volume[first]:
            continue
        centre = [float(x_mm[labels == label].mean()) for label in (first, second)]
        if abs(centre[0] - centre[1]) < APART_MM:
            continue
        right, left = (first, second) if centre[0] > centre[1] else (second, first)
        seeds = np.where(labels == right, RIGHT, np.where(labels == left, LEFT, 0)).astype(np.uint8)
        nearest = scipy.ndimage.distance_transform_edt(
            seeds == 0, sampling=spacing, return_distances=False, return_indices=True
        )
        return seeds[tuple(nearest)]
    return None
