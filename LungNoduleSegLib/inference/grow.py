"""One structure segmented anew from crops centred on it, over all its slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.regions import filled, nearest, tight
from LungNoduleSegLib.inference.slab import Slab, predict_slab, single_tile_px
from LungNoduleSegLib.inference.views import View
from LungNoduleSegLib.inference.walk import walk

MAX_EXTENT_MM = 100.0
"""Most that a structure is followed across slices; LIDC-IDRI's largest nodule bounding box has 71 px."""

EXTEND_SLICES = 3
"""So many slices are added at an end that the structure reaches."""


@dataclass(frozen=True, eq=False)
class Grown:
    """A structure with the probabilities that it was cut from.

    Attributes
    ----------
    slab
        Probabilities by view.
    mask
        bool [k, j, i] on the slab's grid; its holes are filled.
    threshold
        Probability that it was cut at.
    """

    slab: Slab
    mask: NDArray[np.bool_]
    threshold: float

    @property
    def centre_ji(self) -> tuple[float, float]:
        """Middle of the bounding box of the mask in the CT, row and column."""
        box = tight(self.mask)
        assert box is not None
        return tuple(o + (s.start + s.stop - 1) / 2 for o, s in zip(self.slab.offset_kji[1:], box[1:]))  # type: ignore[return-value]

    @property
    def centre_px(self) -> tuple[int, int]:
        """The same as whole pixels."""
        j, i = self.centre_ji
        return round(j), round(i)

    @property
    def extent_px(self) -> tuple[int, int]:
        """Height and width of the bounding box."""
        box = tight(self.mask)
        assert box is not None
        return box[1].stop - box[1].start, box[2].stop - box[2].start

    @property
    def slices(self) -> range:
        """Slices of the CT that the mask lies on, from the first to the last."""
        box = tight(self.mask)
        assert box is not None
        return range(self.slab.offset_kji[0] + box[0].start, self.slab.offset_kji[0] + box[0].stop)


class SlabCache:
    """Slabs around one centre, predicted slice by slice as they are asked for, each only once."""

    def __init__(
        self,
        engine: Engine,
        hu: NDArray[np.int16],
        centre_ji: tuple[int, int],
        views: Sequence[View],
        extent_px: tuple[int, int] = (0, 0),
        monitor: Monitor | None = None,
    ):
        self._engine, self._hu = engine, hu
        self._monitor = None if monitor is None else monitor.polling()
        self.centre_ji, self.views, self.extent_px = centre_ji, tuple(views), extent_px
        self._slab: Slab | None = None

    def get(self, slices: range) -> Slab:
        """Probabilities of consecutive slices; what was predicted before is kept and returned as well."""
        slices = range(max(slices.start, 0), min(slices.stop, self._hu.shape[0]))
        if self._slab is None:
            self._slab = self._predict(slices)
            return self._slab
        first = self._slab.offset_kji[0]
        stop = first + self._slab.by_view.shape[1]
        parts = [self._slab.by_view]
        if slices.start < first:
            parts.insert(0, self._predict(range(slices.start, first)).by_view)
        if slices.stop > stop:
            parts.append(self._predict(range(stop, slices.stop)).by_view)
        if len(parts) > 1:
            offset = (min(first, slices.start), *self._slab.offset_kji[1:])
            self._slab = Slab(offset, np.concatenate(parts, axis=1))
        return self._slab

    def _predict(self, slices: range) -> Slab:
        return predict_slab(
            self._engine, self._hu, slices, self.centre_ji,
            views=self.views, extent_px=self.extent_px, monitor=self._monitor,
        )  # fmt: skip


def cut(
    slab: Slab,
    seed_kji: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    *,
    thresholds: Sequence[float],
    reach_mm: float,
) -> tuple[NDArray[np.bool_], float] | None:
    """The structure of a slab that holds a seed, or lies nearest to it within reach.

    Parameters
    ----------
    seed_kji
        Voxel of the CT.
    thresholds
        Tried in this order until one gives a structure.

    Returns
    -------
    Mask on the slab's grid and the threshold, or None.
    """
    mean = slab.mean
    seed = tuple(s - o for s, o in zip(seed_kji, slab.offset_kji))
    for threshold in thresholds:
        seen = mean >= threshold
        box = tight(seen)  # most of a slab is empty
        if box is None:
            continue
        inner = filled(seen[box])
        start = nearest(inner, tuple(s - b.start for s, b in zip(seed, box)), spacing_mm, reach_mm)  # type: ignore[arg-type]
        if start is not None:
            mask = np.zeros_like(seen)
            mask[box] = filled(walk(inner, start, spacing_mm))
            return mask, threshold
    return None


def grow(
    cache: SlabCache,
    depth: int,
    seed_kji: tuple[int, int, int],
    slices: range,
    spacing_mm: tuple[float, float, float],
    *,
    thresholds: Sequence[float],
    reach_mm: float,
    max_slices: int | None = None,
) -> Grown | None:
    """Segment a structure, adding slices for as long as it reaches an end of the slab.

    Parameters
    ----------
    depth
        Number of slices of the CT; no slices are added where it is 0.
    slices
        To begin with; must hold the seed's slice.
    max_slices
        No more are added once the slab has so many; 100 mm if not given.
    """
    limit = max_slices or max(1, int(MAX_EXTENT_MM / spacing_mm[0]))
    while True:
        slab = cache.get(slices)
        found = cut(slab, seed_kji, spacing_mm, thresholds=thresholds, reach_mm=reach_mm)
        if found is None:
            return None
        mask, threshold = found
        first, stop = slab.offset_kji[0], slab.offset_kji[0] + len(mask)
        occupied = np.flatnonzero(mask.any(axis=(1, 2)))
        low = first - EXTEND_SLICES if occupied[0] < 1 and first > 0 else first
        high = stop + EXTEND_SLICES if occupied[-1] >= len(mask) - 1 and stop < depth else stop
        if (low, high) == (first, stop) or stop - first >= limit:
            return Grown(slab, mask, threshold)
        slices = range(max(low, 0), min(high, depth))


def enlarged(grown: Grown, tile_px: int) -> tuple[int, int] | None:
    """Extent to look at with several tiles of that many pixels of the CT, or None if one tile is enough."""
    extent = grown.extent_px
    return extent if max(extent) > single_tile_px(tile_px) else None
