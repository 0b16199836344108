"""A candidate's slices as one small stack: what the false-positive reduction looks at."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from LungNoduleSegLib.inference.tiles import TILE_PX, gather

SLICES = 5
"""Slices of a stack, spread evenly over those of the candidate; a candidate of fewer has some of them more than once.

None lies beyond the candidate, as public crops of nodules have none there either.
"""

PIXEL_MM = 0.7
STACK_PX = 64
"""Pixels of a stack and how many a side: 45 mm around the candidate's middle."""

FILLED_PX = 40
"""What is larger than so many of these pixels, 28 mm, is shown smaller: so large are the largest nodules that were
learned, and of a mass of 45 mm the stack would hold nothing but its inside."""

NORMALISATION = Normalisation()
"""Of each slice's 128 x 128 pixels of the CT around the candidate (more where the stack of a large one needs more),
before it is resampled; as the networks' tiles."""


def levels(first: int, last: int) -> NDArray[np.int64]:
    """Slices (SLICES,) from ``first`` to ``last`` that make a stack."""
    return np.rint(np.linspace(first, last, SLICES)).astype(np.int64)


def around(
    planes: NDArray[np.float32],
    centre_ji: tuple[float, float],
    spacing_mm: tuple[float, float],
    px: int = STACK_PX,
    pixel_mm: float = PIXEL_MM,
) -> NDArray[np.float32]:
    """Slices resampled around a place, float32 (slices, px, px); their border goes on beyond their end.

    Parameters
    ----------
    planes
        float32 (slices, h, w).
    centre_ji
        Row and column that become the middle.
    spacing_mm
        Of rows and of columns.
    px, pixel_mm
        Pixels a side of the result, and their size.
    """
    step = [pixel_mm / spacing for spacing in spacing_mm]
    first = [centre - (px - 1) / 2 * each for centre, each in zip(centre_ji, step)]
    out = np.empty((len(planes), px, px), np.float32)
    for plane, target in zip(planes, out, strict=True):
        ndimage.affine_transform(plane, step, offset=first, output=target, order=1, mode="nearest")
    return out


def candidate_stack(
    ct: CT, offset_kji: tuple[int, int, int], mask: NDArray[np.bool_], px: int = STACK_PX
) -> NDArray[np.float32]:
    """The stack of a candidate, float32 (SLICES, px, px), normalised to about 0..1.

    Parameters
    ----------
    ct
        With axial slices.
    offset_kji, mask
        First voxel [k, j, i] of the mask in the CT, and the mask, bool [k, j, i], with at least one voxel.
    """
    voxels = np.argwhere(mask) + offset_kji
    _, row, column = voxels.mean(axis=0).tolist()
    chosen = levels(int(voxels[:, 0].min()), int(voxels[:, 0].max()))
    spacing = ct.spacing_mm[1:]
    extent = (np.ptp(voxels[:, 1:], axis=0) + 1) * spacing
    pixel_mm = max(PIXEL_MM, float(extent.max()) / FILLED_PX)
    tile = TILE_PX if pixel_mm == PIXEL_MM else max(TILE_PX, 2 * math.ceil(px * pixel_mm / min(spacing) / 2))
    j, i = (
        min(max(round(centre) - tile // 2, 0), max(size - tile, 0))
        for centre, size in zip((row, column), ct.shape[1:])
    )
    tiles = gather(ct.hu, np.array([(k, j, i) for k in chosen]), slices=1, px=tile)[:, 0]
    planes = normalise(tiles, NORMALISATION)
    if pixel_mm > PIXEL_MM:  # single points of the many pixels that one stands for would be noise
        planes = ndimage.gaussian_filter(planes, (0, *(pixel_mm / s / 2 for s in spacing)))
    return around(planes, (row - j, column - i), spacing, px, pixel_mm)
