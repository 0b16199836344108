"""Candidates looked at again from crops centred on them: the final mask and the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.components import Component
from LungNoduleSegLib.inference.described import candidate_features, component_features, placed_mask
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.features import shape_features, view_features
from LungNoduleSegLib.inference.grow import Grown, SlabCache, cut, enlarged, grow
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.reduction import Reduction
from LungNoduleSegLib.inference.regions import centroid
from LungNoduleSegLib.inference.scorer import LEAST_REDUCED, STACK, CandidateScorer, plain_score, score
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.slab import Slab, joined, predict_views, single_tile_px
from LungNoduleSegLib.inference.views import PLAIN, VIEWS, View

WEAKEST = 0.1
"""A candidate is cut at no lower probability than this, however weak it is."""

MAX_SHIFT_PX = 12
"""A structure whose middle lies farther from the middle of its crops than this is looked at once more."""


def screen(
    engine: Engine,
    ct: CT,
    found: Sequence[Component],
    settings: SearchSettings,
    monitor: Monitor,
    scorer: CandidateScorer | None = None,
) -> list[tuple[float, Component]]:
    """Look at the best slice of each component through a few views and keep the most promising ones.

    A fitted scorer judges the component as it is, with those views: pieces of vessels, walls and of the mediastinum, of
    which no outline would make a nodule, are left here.

    Returns
    -------
    (provisional score, component), the best first, at most ``settings.max_candidates``: the plain score of the
    component as the search's passes saw it, with the mean probability inside over the views.
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
        if np.mean(values) < settings.screen_threshold:
            continue
        features = component_features(ct, component, values, _cut_at(component.peak, settings))
        if scorer is None or scorer(features) >= settings.least_screened:
            kept.append((plain_score(features), component))
    kept.sort(key=lambda pair: (-pair[0], pair[1].summit))
    return kept[: settings.max_candidates]


def resegment(
    engine: Engine,
    ct: CT,
    component: Component,
    settings: SearchSettings,
    scorer: CandidateScorer | None = None,
    monitor: Monitor | None = None,
) -> tuple[Grown | None, bool]:
    """A component outlined from crops centred on it over all its slices; its ends are not settled yet.

    One view finds how far it reaches, the others look at those slices, and all together give the mask. What scores too
    low in the first view to be reported at any threshold is left at that.

    Returns
    -------
    The structure, None if nothing is left of it, and whether it may be reported.
    """
    grown = _followed(engine, ct, component, settings, monitor)
    if grown is None or _hopeless(ct, component, grown, settings, scorer):
        return grown, False
    others: tuple[View, ...] = VIEWS[1 : settings.views]
    if not others:
        return grown, True
    cache = SlabCache(engine, ct.hu, grown.centre_px, others, enlarged(grown, engine.tile_px) or (0, 0), monitor)
    slab = joined(grown.slab, cache.get(grown.slices))
    seed = _summit(component, slab, grown)
    threshold = _cut_at(slab.mean[tuple(np.subtract(seed, slab.offset_kji))], settings)
    found = cut(slab, seed, ct.spacing_mm, thresholds=(threshold,), reach_mm=0.1)
    return (grown, False) if found is None else (Grown(slab, *found), True)


def _followed(
    engine: Engine, ct: CT, component: Component, settings: SearchSettings, monitor: Monitor | None
) -> Grown | None:
    slices = range(component.slices.start - 1, component.slices.stop + 1)
    centre, extent = component.middle_ji, component.extent_px
    grown = None
    for _ in range(2):
        cache = SlabCache(engine, ct.hu, centre, (PLAIN,), extent, monitor)
        slab = cache.get(slices)
        seed = _summit(component, slab, grown)
        threshold = _cut_at(slab.mean[tuple(np.subtract(seed, slab.offset_kji))], settings)
        again = grow(
            cache,
            ct.shape[0],
            seed,
            slices,
            ct.spacing_mm,
            thresholds=(threshold,),
            reach_mm=0.1,
            max_slices=2 * len(component.slices) + 4,
        )
        if again is None:
            return grown
        grown = again
        wider = enlarged(grown, engine.tile_px) or (0, 0)
        shifted = max(abs(a - b) for a, b in zip(grown.centre_ji, centre))
        if shifted <= MAX_SHIFT_PX and (max(extent) > single_tile_px(engine.tile_px)) == (max(wider) > 0):
            return grown
        # The component was only part of something larger: once more, centred on the whole.
        centre, extent = grown.centre_px, wider
        slices = range(grown.slices.start - 1, grown.slices.stop + 1)
    return grown


def _summit(component: Component, slab: Slab, grown: Grown | None) -> tuple[int, int, int]:
    """Voxel of the CT where the slab is most sure of the component, within what was grown from it before."""
    shape = slab.by_view.shape[1:]
    voxels = component.voxels - slab.offset_kji
    voxels = voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]
    if grown is not None:
        inner = np.argwhere(grown.mask) + np.subtract(grown.slab.offset_kji, slab.offset_kji)
        inner = inner[((inner >= 0) & (inner < shape)).all(axis=1)]
        voxels = inner if len(inner) else voxels
    best = voxels[int(slab.mean[tuple(voxels.T)].argmax())] + slab.offset_kji
    return int(best[0]), int(best[1]), int(best[2])


def _cut_at(peak: float, settings: SearchSettings) -> float:
    """A weak candidate is cut at half its own height, so that it has an outline at a sensitive threshold too."""
    return min(settings.mask_threshold, max(float(peak) / 2, WEAKEST))


def _hopeless(
    ct: CT, component: Component, grown: Grown, settings: SearchSettings, scorer: CandidateScorer | None
) -> bool:
    _, mask = placed_mask(ct, grown)
    seen = {**view_features(grown.slab.by_view, grown.mask), **shape_features(mask, ct.spacing_mm)}
    if plain_score(seen) < settings.least_score:
        return True
    return scorer is not None and scorer(candidate_features(ct, component, grown)) < settings.least_probability


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


def reduced(ct: CT, candidate: Candidate, scorer: CandidateScorer | None, reduction: Reduction | None) -> Candidate:
    """The candidate scored once more, with what the false-positive reduction says of it.

    It is not asked where the scorer alone is sure that it is nothing. Without a scorer the plain score stays, and what
    it says is a feature for fitting one.
    """
    if reduction is None or (scorer is not None and scorer(candidate.features) < LEAST_REDUCED):
        return candidate
    features = {**candidate.features, STACK: reduction(ct, candidate.offset_kji, candidate.mask)}
    return replace(candidate, probability=score(features, scorer), features=features)
