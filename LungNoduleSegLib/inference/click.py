"""One click, and further ones: the nodule at a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.across import settled
from LungNoduleSegLib.inference.click_settings import ClickSettings
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.grow import Grown, SlabCache, cut, enlarged, grow
from LungNoduleSegLib.inference.local_region import RADIUS_MM, local_region
from LungNoduleSegLib.inference.masses import holds, larger_pixels
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.partition import partition
from LungNoduleSegLib.inference.regions import filled, nearest, tight
from LungNoduleSegLib.inference.slab import inside, joined
from LungNoduleSegLib.inference.views import PLAIN, VIEWS

Voxel = tuple[int, int, int]

CLOSING_MM = (1.5, 3.0, 4.5)
"""Gaps in the wall of a cavity that are closed, tried in this order, until the seed lies inside."""


@dataclass(frozen=True, eq=False)
class SeedRegion:
    """What one positive click means.

    Attributes
    ----------
    offset_kji, mask
        Box in the CT, and bool [k, j, i]; holds the seed.
    probability
        float32 on the box: mean over the views, 0 where the network saw nothing.
    grown
        What was grown from what the network saw, its ends settled; None for a region by HU alone.
    warning
        A sentence, or "".
    """

    offset_kji: Voxel
    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    grown: Grown | None
    warning: str = ""


def segment_seed(
    engine: Engine, ct: CT, seed: Voxel, settings: ClickSettings | None = None, monitor: Monitor | None = None
) -> SeedRegion:
    """The structure at a voxel of an axial CT.

    A crop is centred on the seed, then on what it shows, until it stays where it is; then a slab of slices around it is
    predicted in one batch, recentred likewise, and walked from the largest slice up and down. Last, its ends are
    settled. What is large is followed at larger pixels.
    """
    settings = settings or ClickSettings()
    grown = _grown(engine, ct, seed, settings, monitor)
    larger = larger_pixels(engine, ct, seed, settings, grown, monitor)
    if larger is not None:
        mass = _grown(larger, ct, seed, settings, monitor)
        grown = mass if mass is not None and (grown is None or holds(mass, grown)) else grown
    if grown is None:
        offset, mask = local_region(ct.hu, seed, ct.spacing_mm)
        return SeedRegion(
            offset,
            mask,
            np.zeros(mask.shape, np.float32),
            None,
            "The network sees no nodule at this point; "
            f"the segment is what stands out there by its HU, within {RADIUS_MM:g} mm.",
        )
    grown = settled(ct, grown, _nearest_voxel(grown, seed, ct, settings))
    mask, warning = _holding_seed(grown, seed, ct)
    offset, mask = inside(ct.shape, grown.slab.offset_kji, mask)
    _, mean = inside(ct.shape, grown.slab.offset_kji, grown.slab.mean)
    box = tight(mask)
    assert box is not None
    k, j, i = (o + s.start for o, s in zip(offset, box))
    if grown.threshold < settings.thresholds[0] and not warning:
        warning = f"The network is unsure here: the outline is drawn at a probability of {grown.threshold:g}."
    return SeedRegion((k, j, i), np.ascontiguousarray(mask[box]), np.nan_to_num(mean[box]), grown, warning)


def _grown(engine: Engine, ct: CT, seed: Voxel, settings: ClickSettings, monitor: Monitor | None) -> Grown | None:
    known: dict[tuple[tuple[int, int], tuple[int, int]], SlabCache] = {}

    def looked_at(centre: tuple[int, int], extent: tuple[int, int] = (0, 0)) -> SlabCache:
        if (centre, extent) not in known:
            known[centre, extent] = SlabCache(engine, ct.hu, centre, (PLAIN,), extent, monitor)
        return known[centre, extent]

    follow = partial(grow, thresholds=settings.thresholds, reach_mm=settings.reach_mm)
    centre = _located(looked_at, follow, ct, seed, settings)
    if centre is None:
        return None
    spacing, depth = ct.spacing_mm, ct.shape[0]
    half = max(1, round(settings.slab_mm / spacing[0]))
    slices = range(max(seed[0] - half, 0), min(seed[0] + half + 1, depth))
    extent = (0, 0)
    best: Grown | None = None
    visited: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    while (centre, extent) not in visited and len(visited) < 4:
        visited.add((centre, extent))
        grown = follow(looked_at(centre, extent), depth, seed, slices, spacing)
        if grown is None:
            break
        best = grown
        # From here on only the slices of the structure, one more at each end, and of the seed matter.
        low, high = min(grown.slices.start, seed[0]), max(grown.slices.stop, seed[0] + 1)
        slices = range(max(low - 1, 0), min(high + 1, depth))
        extent = _on_grid(enlarged(grown, engine.tile_px) or (0, 0), 16, np.ceil)
        centre = _recentred(centre, grown.centre_ji, settings.grid_px)
    if best is None or settings.views == 1:
        return best
    plain = looked_at(centre, extent).get(slices)
    others = SlabCache(engine, ct.hu, centre, VIEWS[1 : settings.views], extent, monitor).get(best.slices)
    slab = joined(plain, others)
    found = cut(slab, seed, spacing, thresholds=settings.thresholds, reach_mm=settings.reach_mm)
    return best if found is None else Grown(slab, *found)


def _nearest_voxel(grown: Grown, seed: Voxel, ct: CT, settings: ClickSettings) -> Voxel | None:
    """The structure's voxel nearest to the seed, in the CT."""
    offset = grown.slab.offset_kji
    local = tuple(s - o for s, o in zip(seed, offset))
    found = nearest(grown.mask, local, ct.spacing_mm, settings.reach_mm)  # type: ignore[arg-type]
    return None if found is None else tuple(v + o for v, o in zip(found, offset))  # type: ignore[return-value]


def _located(
    looked_at: Callable[..., SlabCache], follow: Callable, ct: CT, seed: Voxel, settings: ClickSettings
) -> tuple[int, int] | None:
    """Where to centre the crop, from three slices at the seed; None where nothing is seen within reach."""
    centre = (seed[1], seed[2])
    slices = range(max(seed[0] - 1, 0), min(seed[0] + 2, ct.shape[0]))
    found = None
    for _ in range(3):
        grown = follow(looked_at(centre), 0, seed, slices, ct.spacing_mm)
        if grown is None:
            return found
        found = _recentred(None, grown.centre_ji, settings.grid_px)
        if max(abs(a - b) for a, b in zip(found, centre)) <= settings.grid_px:
            return found
        centre = found
    return found


def _recentred(old: tuple[int, int] | None, middle: tuple[float, float], grid: int) -> tuple[int, int]:
    # A centre on the border between two places of the grid stays where it is instead of moving to and fro.
    if old is not None and max(abs(m - o) for m, o in zip(middle, old)) <= 0.75 * grid:
        return old
    return _on_grid(middle, grid, np.rint)


def _on_grid(values: tuple[float, float], grid: int, rounding) -> tuple[int, int]:
    a, b = (int(rounding(v / grid)) * grid for v in values)
    return a, b


def _holding_seed(grown: Grown, seed: Voxel, ct: CT) -> tuple[NDArray[np.bool_], str]:
    """The mask, made to hold the seed: in an open cavity by closing its wall, else by a bridge of single voxels."""
    local = tuple(s - o for s, o in zip(seed, grown.slab.offset_kji))
    if grown.mask[local]:
        return grown.mask, ""
    for radius in CLOSING_MM:
        closed = filled(_closed(grown.mask, radius, ct.spacing_mm))
        if closed[local]:
            return closed, ""
    at = np.argwhere(grown.mask)
    end = at[int(np.argmin(np.linalg.norm((at - local) * ct.spacing_mm, axis=1)))]
    steps = int(np.abs(end - local).max())
    line = np.rint(np.linspace(local, end, steps + 1)).astype(int)
    mask = grown.mask.copy()
    mask[tuple(line.T)] = True
    return mask, "The point lies beside what the network sees; the nearest nodule was taken and joined to it."


def _closed(mask: NDArray[np.bool_], radius_mm: float, spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Closing on each slice by a disc."""
    r = [max(1, round(radius_mm / s)) for s in spacing_mm[1:]]
    y, x = np.mgrid[-r[0] : r[0] + 1, -r[1] : r[1] + 1]
    disc = ((y / r[0]) ** 2 + (x / r[1]) ** 2 <= 1)[None]
    pad = [(0, 0), (r[0], r[0]), (r[1], r[1])]
    closed = ndimage.binary_closing(np.pad(mask, pad), disc)
    return closed[:, r[0] : -r[0], r[1] : -r[1]] | mask


def combine(
    ct: CT, regions: Sequence[SeedRegion], positive: Sequence[Voxel], negative: Sequence[Voxel]
) -> SeedRegion | None:
    """All clicks together: the union of what the positive ones mean, less what the negative ones take from it.

    Every positive point ends inside and every negative one outside; the order of the clicks does not matter; what no
    negative click reaches stays as the positive ones made it. None if nothing is left, which takes a region without a
    positive point in it.
    """
    low = np.min([r.offset_kji for r in regions], axis=0)
    high = np.max([np.add(r.offset_kji, r.mask.shape) for r in regions], axis=0)
    mask = np.zeros(high - low, bool)
    probability = np.zeros(high - low, np.float32)
    for region in regions:
        part = tuple(slice(o - a, o - a + n) for o, a, n in zip(region.offset_kji, low, region.mask.shape))
        mask[part] |= region.mask
        np.maximum(probability[part], region.probability, out=probability[part])

    def placed(points: Sequence[Voxel]) -> list[Voxel]:
        inner = [tuple(int(v) for v in np.subtract(p, low)) for p in points]
        return [p for p in inner if all(0 <= v < n for v, n in zip(p, mask.shape))]  # type: ignore[misc]

    hu = ct.hu[tuple(slice(a, b) for a, b in zip(low, high))]
    kept = partition(mask, hu, probability, ct.spacing_mm, placed(positive), placed(negative))
    box = tight(kept)
    if box is None:
        return None
    offset = tuple(int(a) + s.start for a, s in zip(low, box))
    warning = " ".join(dict.fromkeys(r.warning for r in regions if r.warning))
    grown = regions[0].grown if len(regions) == 1 else None
    return SeedRegion(offset, np.ascontiguousarray(kept[box]), probability[box], grown, warning)  # type: ignore[arg-type]
