"""A whole CT searched: lung mask, a look at each size of pixels, candidates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.grow import Grown
from LungNoduleSegLib.inference.monitor import Cancel, Clock, Monitor, Progress
from LungNoduleSegLib.inference.orientation import axial_view
from LungNoduleSegLib.inference.outline import outline
from LungNoduleSegLib.inference.reduction import Reduction
from LungNoduleSegLib.inference.rescore import reduced
from LungNoduleSegLib.inference.scales import Place, look, scales
from LungNoduleSegLib.inference.scorer import CandidateScorer
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.spread import SpreadBox, spread_box
from LungNoduleSegLib.inference.tiles import ProbabilityVolume


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Attributes
    ----------
    candidates
        All, at the most sensitive point, by falling probability; masks lie on the CT's own grid.
    best_probability, best_ras
        Highest probability of a voxel in the lungs and its place (x, y, z) in mm; None where nothing was searched.
    counts
        Number of tiles and components at each stage; tiles that were looked at ahead of their turn for what was then
        found to be known count too.
    seconds
        Wall time of each stage.
    spread
        How far the views disagree around each component that was looked at anew; None unless it was asked for.
    """

    candidates: list[Candidate]
    best_probability: float
    best_ras: tuple[float, float, float] | None
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    spread: tuple[SpreadBox, ...] | None = None
    _probability: Callable[[], NDArray[np.float16]] | None = None

    def probability(self) -> NDArray[np.float16]:
        """Highest probability at any size of pixels, on the CT's own grid, float16 [k, j, i]; 0 where none looked."""
        assert self._probability is not None
        return self._probability()


def search(
    engine: Engine,
    ct: CT,
    settings: SearchSettings | None = None,
    *,
    lung: NDArray[np.bool_] | None = None,
    roi: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None,
    scorer: CandidateScorer | None = None,
    reduction: Reduction | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    uncertainty: bool = False,
) -> Search:
    """Search a CT for nodules.

    Parameters
    ----------
    lung
        bool [k, j, i] on the CT's grid; made by :func:`LungNoduleSegLib.ct.lung_mask` if not given.
    roi
        Two corners of a box in RAS mm; only what lies inside is searched.
    scorer
        Turns features into the probability of a candidate; without it the plain score is used.
    reduction
        Looks at each candidate once more; its opinion weighs as much as the scorer's. Without a scorer it is kept among
        the features alone.
    progress, cancel
        ``progress(fraction, message)``; ``cancel()`` true raises :class:`Cancelled`. Both are called by the thread that
        called this alone, ``cancel`` up to 50 times a second; batches that are under way end first.
    uncertainty
        Keeps how far the views disagree. Costs no prediction, and the memory of the boxes alone.

    Raises
    ------
    InputError
        If there is no lung, the mask does not fit, or the box lies outside.
    Cancelled
    """
    settings = settings or SearchSettings()
    engine = _Counting(engine)
    monitor = Monitor(progress, cancel)
    clock = Clock()
    monitor.stage(0.0, 0.06, "Finding the lungs")
    turned = axial_view(ct)
    ct_axial = turned.ct
    lung_axial = _where(ct_axial, None if lung is None else turned.turn(_checked(ct, lung)), roi)
    clock.lap("lungs")

    box = _bounding_box(lung_axial)
    # The rim of a mask that was given, or cut off by a box, is not the generous rim of our own.
    rim_mm = settings.first_rim_mm if lung is None and roi is None else 0.0
    place = Place(ct_axial, lung_axial, box, rim_mm)
    sizes = scales(engine, ct_axial.spacing_mm, settings)
    looks = [look(scale, place, settings, monitor, clock, scorer) for scale in sizes]

    monitor.stage(0.75, 1.0 if reduction is None else 0.95, "Outlining candidates")
    before = engine.tiles
    components = [(seen.scale.engine, component) for seen in looks for component in seen.kept]
    spread: list[SpreadBox] = []

    def note(grown: Grown) -> None:
        if uncertainty:
            spread.append(spread_box(turned, grown.slab))

    candidates = outline(components, ct_axial, lung_axial, settings, scorer, monitor, note)
    clock.lap("candidates")
    if reduction is not None:
        candidates = _judged(ct_axial, candidates, scorer, reduction, monitor)
        clock.lap("reduction")
    if not turned.same:
        candidates = [_turned_back(c, turned.box_back) for c in candidates]
    best, best_kji = max((_best(seen.volume, lung_axial[box]) for seen in looks), key=lambda found: found[0])
    where = None if best_kji is None else tuple(float(v) for v in ct_axial.kji_to_ras(best_kji))
    monitor.step(1.0)

    def probability() -> NDArray[np.float16]:
        highest = looks[0].volume.full(ct_axial.shape)
        for seen in looks[1:]:
            np.maximum(highest, seen.volume.full(ct_axial.shape), out=highest)
        return np.ascontiguousarray(turned.back(highest))

    return Search(
        candidates=candidates,
        best_probability=best,
        best_ras=where,  # type: ignore[arg-type]
        counts={
            **{name: sum(seen.counts[name] for seen in looks) for name in looks[0].counts},
            "candidate_tiles": engine.tiles - before,
            "candidates": len(candidates),
        },
        seconds=clock.laps,
        spread=tuple(spread) if uncertainty else None,
        _probability=probability,
    )


def find_candidates(
    engine: Engine, ct: CT, settings: SearchSettings | None = None, **options
) -> list[Candidate]:
    """All candidates of a CT with their features, without a threshold: what a scorer is fitted on.

    Options are those of :func:`search`.
    """
    return search(engine, ct, settings, **options).candidates


class _Counting:
    """An engine that counts its tiles; several threads may ask it."""

    def __init__(self, engine: Engine):
        self._engine, self.tiles, self._lock = engine, 0, threading.Lock()
        self.input_slices, self.tile_px = engine.input_slices, engine.tile_px

    @property
    def batch_size(self) -> int:
        return self._engine.batch_size  # it may shrink on the way

    def predict(self, tiles: NDArray, *, min_range: float | None = None) -> NDArray[np.float32]:
        with self._lock:
            self.tiles += len(tiles)
        return self._engine.predict(tiles, min_range=min_range)


def _checked(ct: CT, lung: NDArray) -> NDArray[np.bool_]:
    lung = np.asarray(lung)
    if lung.shape != ct.shape:
        raise InputError(f"Expected argument `lung_mask` to have the CT's shape {ct.shape}, got {lung.shape}")
    return lung if lung.dtype == bool else lung > 0


def _where(ct: CT, lung: NDArray[np.bool_] | None, roi: tuple | None) -> NDArray[np.bool_]:
    box = None if roi is None else roi_box(ct, roi)
    if lung is None:
        from LungNoduleSegLib.ct import lung_mask

        lung = lung_mask(ct)
    if not lung.any():
        raise InputError("no lung was found in this CT", remedy="Give a chest CT in HU, or a lung mask of your own.")
    if box is None:
        return lung
    limited = np.zeros(ct.shape, bool)
    limited[box] = lung[box]
    if not limited.any():
        raise InputError("the region of interest holds no lung", remedy="Move or enlarge the region of interest.")
    return limited


def roi_box(ct: CT, roi: tuple[tuple[float, float, float], tuple[float, float, float]]) -> tuple[slice, slice, slice]:
    """Voxels of the CT whose centres may lie in a box given by two corners in RAS mm; its bounding box if oblique."""
    corners = np.asarray(roi, dtype=np.float64)
    if corners.shape != (2, 3) or not np.all(np.isfinite(corners)):
        raise InputError(f"Expected argument `roi` to be two RAS corners ((x, y, z), (x, y, z)) in mm, got {roi}")
    eight = np.array([[corners[a, 0], corners[b, 1], corners[c, 2]] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    kji = ct.ras_to_kji(eight)
    low = np.maximum(np.ceil(kji.min(axis=0) - 1e-6), 0).astype(int)
    high = np.minimum(np.floor(kji.max(axis=0) + 1e-6) + 1, ct.shape).astype(int)
    if np.any(low >= high):
        raise InputError("the region of interest lies outside of the CT", remedy="Move the region of interest.")
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high))  # type: ignore[return-value]


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    spans = []
    for axis in range(3):
        at = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(at[0]), int(at[-1]) + 1))
    return spans[0], spans[1], spans[2]


def _judged(
    ct: CT, candidates: list[Candidate], scorer: CandidateScorer | None, reduction: Reduction, monitor: Monitor
) -> list[Candidate]:
    """The candidates as the false-positive reduction sees them, by falling probability."""
    monitor.stage(0.95, 1.0, "Judging candidates")
    judged = []
    for n, candidate in enumerate(candidates):
        monitor.step(n / len(candidates))
        judged.append(reduced(ct, candidate, scorer, reduction))
    return sorted(judged, key=lambda c: (-c.probability, c.offset_kji))


def _turned_back(candidate: Candidate, box_back: Callable) -> Candidate:
    offset, mask = box_back(candidate.offset_kji, candidate.mask)
    return replace(candidate, offset_kji=offset, mask=mask)


def _best(volume: ProbabilityVolume, lung: NDArray[np.bool_]) -> tuple[float, NDArray[np.int64] | None]:
    best, where = 0.0, None
    for k in range(len(volume.mean)):
        plane = np.where(lung[k], volume.mean[k], 0)
        if plane.max() > best:
            best = float(plane.max())
            where = np.array([k, *np.unravel_index(int(plane.argmax()), plane.shape)]) + volume.offset_kji
    return best, where
