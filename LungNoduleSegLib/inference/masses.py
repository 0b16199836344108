"""Clicks in what is large: of that a network sees pieces at best, and all of it where pixels are larger."""

from __future__ import annotations

import numpy as np

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.click_settings import ClickSettings
from LungNoduleSegLib.inference.coarse import CoarseEngine, native_px
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.grow import Grown, cut
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.slab import predict_slab


def larger_pixels(
    engine: Engine,
    ct: CT,
    seed: tuple[int, int, int],
    settings: ClickSettings,
    own: Grown | None,
    monitor: Monitor | None = None,
) -> Engine | None:
    """An engine of larger pixels to follow a structure with, where a look through it shows something much larger.

    Parameters
    ----------
    ct
        With axial slices.
    seed
        Voxel [k, j, i] of the CT.
    own
        What the CT's own pixels show; None if nothing.

    Returns
    -------
    None where the CT's own pixels are as large, or show as much: on the seed's slice, and beyond an end where ``own``
    breaks off with a large disc.
    """
    px = native_px(engine.tile_px, ct.spacing_mm[2], settings.large_pixel_mm)
    if px == engine.tile_px:
        return None
    larger = CoarseEngine(engine, px)
    disc = np.pi / 4 * settings.large_mm**2 / float(np.prod(ct.spacing_mm[1:]))
    areas = {} if own is None else _areas(own)
    looks = {seed[0]: areas.get(seed[0], 0)}
    for end, beyond in ((min(areas, default=0), -1), (max(areas, default=0), 1)):
        if areas.get(end, 0) >= disc and 0 <= end + beyond < ct.shape[0]:
            looks[end + beyond] = 0
    polling = None if monitor is None else monitor.polling()
    for k, area in looks.items():
        there = (k, seed[1], seed[2])
        slab = predict_slab(larger, ct.hu, range(k, k + 1), there[1:], monitor=polling)
        found = cut(slab, there, ct.spacing_mm, thresholds=settings.thresholds[:1], reach_mm=settings.reach_mm)
        if found is not None and found[0].sum() >= max(disc, settings.large_gain * area):
            return larger
    return None


def _areas(grown: Grown) -> dict[int, int]:
    """Pixels of a structure on each slice of the CT that it lies on."""
    areas = grown.mask.sum(axis=(1, 2))
    return {grown.slab.offset_kji[0] + int(k): int(areas[k]) for k in np.flatnonzero(areas)}


def holds(grown: Grown, own: Grown) -> bool:
    """Whether a structure has more voxels than another one and holds at least half of its; slabs may differ."""
    voxels = np.argwhere(own.mask) + np.subtract(own.slab.offset_kji, grown.slab.offset_kji)
    there = voxels[((voxels >= 0) & (voxels < grown.mask.shape)).all(axis=1)]
    held = int(grown.mask[tuple(there.T)].sum())
    return bool(grown.mask.sum() > len(voxels)) and 2 * held >= len(voxels)
