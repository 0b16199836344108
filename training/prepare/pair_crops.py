"""Crops around the nodules of a user's own case, as those of LIDC-IDRI are."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.data.convention import CROP_PX, crop_origin, cut, to_eight_bits
from training.data.other_nodules import MARGIN_PX
from training.prepare.cropping import ROW, CropSet, crop_set, joined


def pair_crops(hu: np.ndarray, nodules: np.ndarray, spacing_mm: float) -> CropSet:
    """Every slice of every nodule, one reader.

    Parameters
    ----------
    hu, nodules
        int16 [k, j, i]: HU, and numbers of nodules from 1 (0 elsewhere).
    spacing_mm
        In-plane.
    """
    parts: list[CropSet] = []
    for number, box in enumerate(ndimage.find_objects(nodules), start=1):
        if box is None:
            continue
        own = nodules[box] == number
        first = tuple(s.start for s in box)
        origin = crop_origin(np.argwhere(own)[:, 1:] + first[1:], hu.shape[1:])
        span = range(box[0].start, box[0].stop)
        around = np.stack([cut(nodules, k, origin, CROP_PX) for k in span])
        around[around < 0] = 0  # what lies outside the slice
        other = (around > 0) & (around != number)
        near = ndimage.maximum_filter(other, size=(1, 2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1))
        rows = np.zeros(len(span), ROW)
        rows["nodule"], rows["k"] = number - 1, span
        rows["row"], rows["column"] = origin
        rows["spacing_mm"] = spacing_mm
        images = np.stack([to_eight_bits(cut(hu, k, origin)) for k in span])
        parts.append(crop_set(images, (around == number)[:, None], near, rows))
    return joined(parts)
