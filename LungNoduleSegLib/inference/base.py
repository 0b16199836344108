"""A segment that clicks change: added to by positive points, cut by negative ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.click import SeedRegion, Voxel
from LungNoduleSegLib.inference.orientation import AxialView
from LungNoduleSegLib.inference.regions import TOUCHING, tight


@dataclass(frozen=True, eq=False)
class BaseRegion:
    """A segment as clicks start from it, on the turned CT.

    Attributes
    ----------
    offset_kji, mask
        Its box in the CT, and bool [k, j, i].
    anchor
        Voxel that stands for the segment among the positive points, so that a negative one has something to be weighed
        against; None where the positive points do so themselves.
    """

    offset_kji: Voxel
    mask: NDArray[np.bool_]
    anchor: Voxel | None

    @property
    def anchors(self) -> tuple[Voxel, ...]:
        """The anchor, if there is one."""
        return () if self.anchor is None else (self.anchor,)

    def changed(self, regions: Sequence[SeedRegion]) -> list[SeedRegion]:
        """Regions to combine, from those of the positive points and, as the last one, that of the anchor.

        The segment takes the anchor's place: what the network sees there gives its probabilities, not its outline.
        """
        regions = list(regions)
        probability = np.zeros(self.mask.shape, np.float32)
        if self.anchor is not None:
            seen = regions.pop()
            low = np.maximum(seen.offset_kji, self.offset_kji)
            high = np.minimum(
                np.add(seen.offset_kji, seen.mask.shape), np.add(self.offset_kji, self.mask.shape)
            )
            if (low < high).all():
                own, other = (
                    tuple(slice(a - o, b - o) for a, b, o in zip(low, high, offset))
                    for offset in (self.offset_kji, seen.offset_kji)
                )
                probability[own] = seen.probability[other]
        return [*regions, SeedRegion(self.offset_kji, self.mask, probability, None)]


def base_region(
    view: AxialView, base: tuple[Voxel, NDArray], positive: Sequence[Voxel], negative: Sequence[Voxel]
) -> BaseRegion:
    """A segment of the CT that was given, for clicks on the turned one.

    Parameters
    ----------
    base
        ``(offset_kji, mask)``, bool mask [k, j, i], on the grid of the CT that was given.
    positive, negative
        Voxels of the turned CT.

    Raises
    ------
    InputError
        If the mask is empty or not 3-D, or does not lie in the CT.
    """
    mask = np.asarray(base[1], dtype=bool)
    offset = np.asarray(base[0], dtype=np.int64)
    box = tight(mask) if mask.ndim == 3 and offset.shape == (3,) else None
    if box is None:
        raise InputError(f"Expected `base` to be an offset and a mask [k, j, i] that is not empty, got {mask.shape}")
    first = offset + [s.start for s in box]
    last = offset + [s.stop - 1 for s in box]
    if (first < 0).any() or (last >= view.shape).any():
        raise InputError("the segment does not lie in this CT", remedy="Choose the CT that the segment was made on.")
    corner = view.voxel(np.stack([first, last])).min(axis=0)
    k, j, i = (int(v) for v in corner)
    turned = np.ascontiguousarray(view.turn(mask[box]))
    return BaseRegion((k, j, i), turned, _anchor(turned, (k, j, i), view.ct.spacing_mm, positive, negative))


def _anchor(
    mask: NDArray[np.bool_],
    offset: Voxel,
    spacing_mm: tuple[float, float, float],
    positive: Sequence[Voxel],
    negative: Sequence[Voxel],
) -> Voxel | None:
    """A voxel deep in the largest part and far from the negative points; None if a positive one lies in that part."""
    labels, count = ndimage.label(mask, TOUCHING)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel(), minlength=count + 1)[1:]))
    for point in positive:
        local = np.subtract(point, offset)
        if (local >= 0).all() and (local < mask.shape).all() and largest[tuple(local)]:
            return None
    depth = ndimage.distance_transform_edt(np.pad(largest, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    voxels = np.argwhere(largest)
    worth = depth[largest]
    for point in negative:
        far = np.linalg.norm((voxels - np.subtract(point, offset)) * spacing_mm, axis=1)
        worth = np.minimum(worth, far)
    best = int(np.argmax(worth))
    if worth[best] <= 0:  # a single voxel, and it is a negative point
        return None
    k, j, i = (voxels[best] + offset).tolist()
    return k, j, i
