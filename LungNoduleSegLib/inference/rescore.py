"""Candidates looked at again from crops centred on them: the final mask and the score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.components import Component
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.features import hu_features, shape_features, view_features
from LungNoduleSegLib.inference.grow import Grown, SlabCache, enlarged, grow
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.regions import centroid, tight
from LungNoduleSegLib.inference.scorer import CandidateScorer, score
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.slab import inside, predict_views
from LungNoduleSegLib.inference.views import VIEWS, View

WEAKEST = 0.1
"""A candidate is cut at no lower probability than this, however weak it is."""


def screen(
    engine: Engine, ct: CT, found: Sequence[Component], settings: SearchSettings, monitor: Monitor
) -> list[tuple[float, Component]]:
    """Look at the best slice of each component through a few views and keep what is still there.

    Returns
    -------
    (mean probability inside over the views, component), the best first, at most ``settings.max_candidates``.
    """
    px = engine.tile_px
    views = list(VIEWS[: settings.screen_views])
    places, looks = [], []
    for component in found:
        k = component.best_slice
        pixels = component.on_slice(k)
        j, i = ((pixels.min(axis=0) + pixels.max(axis=0) + 1) // 2).tolist()
        places += [(k, j - px // 2, i - px // 2)] * len(views)
        looks += views
    if not places:
        return []
    seen = predict_views(engine, ct.hu, np.array(places), looks, monitor)
    kept = []
    for n, component in enumerate(found):
        pixels = component.on_slice(component.best_slice)
        values = []
        for v, view in enumerate(views):
            m = n * len(views) + v
            local = pixels - places[m][1:] - view.shift
            local = local[((local >= 0) & (local < px)).all(axis=1)]
            values.append(float(seen[m][local[:, 0], local[:, 1]].mean()) if len(local) else 0.0)
        mean = float(np.mean(values))
        if mean >= settings.screen_threshold:
            kept.append((mean, component))
    kept.sort(key=lambda pair: (-pair[0] * _size(pair[1]), pair[1].summit))
    return kept[: settings.max_candidates]


def _size(component: Component) -> float:
    return float(len(component.voxels)) ** (1 / 3)


def resegment(
    engine: Engine, ct: CT, component: Component, settings: SearchSettings, monitor: Monitor | None = None
) -> Grown | None:
    """The final mask of a component, from crops centred on it over all its slices; None if nothing is left."""
    views: tuple[View, ...] = VIEWS[: settings.views]
    slices = range(component.slices.start - 2, component.slices.stop + 2)
    centre = component.middle_ji
    extent: tuple[int, int] | None = component.extent_px
    for _ in range(2):
        cache = SlabCache(engine, ct.hu, centre, views, extent or (0, 0), monitor)
        slab = cache.get(slices)
        voxels = component.voxels - slab.offset_kji
        shape = slab.by_view.shape[1:]
        voxels = voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]
        if len(voxels) == 0:
            return None
        values = slab.mean[tuple(voxels.T)]
        summit = voxels[int(values.argmax())] + slab.offset_kji
        peak = float(values.max())
        # A weak candidate is cut at half its own height, so that it has an outline at a sensitive threshold too.
        threshold = min(settings.mask_threshold, max(peak / 2, WEAKEST))
        if peak < threshold:
            return None
        seed = (int(summit[0]), int(summit[1]), int(summit[2]))
        grown = grow(cache, ct.shape[0], seed, slices, ct.spacing_mm, thresholds=(threshold,), reach_mm=0.1)
        if grown is None:
            return None
        wider = enlarged(grown)
        shifted = max(abs(a - b) for a, b in zip(grown.centre_ji, centre))
        if (wider is None and shifted <= 12) or (wider is not None and extent == wider and shifted <= 12):
            return grown
        # The component was only part of something larger: once more, centred on the whole.
        centre = (round(grown.centre_ji[0]), round(grown.centre_ji[1]))
        extent, slices = wider, range(grown.slices.start - 2, grown.slices.stop + 2)
    return grown


def candidate_features(ct: CT, component: Component | None, grown: Grown) -> dict[str, float]:
    """All of :data:`~LungNoduleSegLib.inference.features.FEATURES` of a segmented candidate.

    Parameters
    ----------
    component
        What the search's passes saw of it; without it the peak and mean are those of the crops.
    """
    offset, mask = placed_mask(ct, grown)
    inner = grown.slab.mean[grown.mask]
    return {
        "peak": component.peak if component else float(inner.max()),
        "coarse_mean": component.mean if component else float(inner.mean()),
        **view_features(grown.slab.by_view, grown.mask),
        **shape_features(mask, ct.spacing_mm),
        **hu_features(ct.hu, offset, mask, ct.spacing_mm),
    }


def placed_mask(ct: CT, grown: Grown) -> tuple[tuple[int, int, int], NDArray[np.bool_]]:
    """The mask on its bounding box, and the box's first voxel in the CT."""
    offset, mask = inside(ct.shape, grown.slab.offset_kji, grown.mask)
    box = tight(mask)
    assert box is not None
    return tuple(o + s.start for o, s in zip(offset, box)), np.ascontiguousarray(mask[box])  # type: ignore[return-value]


def as_candidate(
    ct: CT, grown: Grown, component: Component | None = None, scorer: CandidateScorer | None = None
) -> Candidate:
    """A grown structure as a candidate with features and score."""
    offset, mask = placed_mask(ct, grown)
    features = candidate_features(ct, component, grown)
    place = ct.kji_to_ras(centroid(mask) + offset)
    return Candidate(
        offset_kji=offset,
        mask=mask,
        probability=score(features, scorer),
        peak=features["peak"],
        centroid_ras=(float(place[0]), float(place[1]), float(place[2])),
        diameter_mm=features["diameter_mm"],
        features=features,
    )
