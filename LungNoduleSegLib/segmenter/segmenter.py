"""One loaded model: crops, whole CTs and clicks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.base import base_region
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.click import SeedRegion, Voxel, combine, segment_seed
from LungNoduleSegLib.inference.click_settings import ClickSettings
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.monitor import Cancel, Monitor, Progress
from LungNoduleSegLib.inference.orientation import AxialView, axial_view
from LungNoduleSegLib.inference.reduction import Reduction
from LungNoduleSegLib.inference.regions import centroid, equivalent_diameter
from LungNoduleSegLib.inference.rescore import as_candidate, reduced
from LungNoduleSegLib.inference.scorer import CandidateScorer
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.whole_ct import search
from LungNoduleSegLib.segmenter.crops import predict_views, prepared
from LungNoduleSegLib.segmenter.result import Result

if TYPE_CHECKING:
    from LungNoduleSegLib.weights import Card

DEFAULT_THRESHOLD = 0.3
"""Without an operating point in the card."""

MIN_DIAMETER_MM = 3.0
"""What is smaller is not a nodule to report (LIDC-IDRI's own limit)."""

TRAINED_SPACING_MM = (0.4, 1.0)
"""In-plane spacings of LIDC-IDRI, 0.461 to 0.977 mm, with a little room; tiles are taken at native resolution."""

REMEMBERED_SEEDS = 32

Point = tuple[float, float, float]


class Segmenter:
    """A model that is ready to run.

    Parameters
    ----------
    engine
        Predicts tiles.
    card
        Card of the model; None for an engine of one's own.
    settings, click_settings, scorer
        Defaults come from the card.
    reduction
        The false-positive reduction that the card describes, with its weights; None for none.
    """

    def __init__(
        self,
        engine: Engine,
        card: Card | None = None,
        *,
        settings: SearchSettings | None = None,
        click_settings: ClickSettings | None = None,
        scorer: CandidateScorer | None = None,
        reduction: Reduction | None = None,
    ):
        self.engine = engine
        self.card = card
        after: Any = {} if card is None else card.postprocessing
        cut = float(after.get("mask_threshold") or 0.5)
        coarse = float(after.get("coarse_pixel_mm", SearchSettings.coarse_pixel_mm))
        self.settings = settings or SearchSettings(mask_threshold=cut, coarse_pixel_mm=coarse)
        self.click_settings = click_settings or ClickSettings(
            thresholds=(cut, *(t for t in ClickSettings().thresholds if t < cut))
        )
        fitted = after.get("candidate_scorer")
        self.scorer = scorer or (None if fitted is None else CandidateScorer.from_dict(fitted))
        self.reduction = reduction
        self._views: WeakKeyDictionary[CT, AxialView] = WeakKeyDictionary()
        self._seeds: WeakKeyDictionary[CT, OrderedDict[Voxel, SeedRegion]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Name of the model."""
        return "" if self.card is None else self.card.name

    @property
    def input_slices(self) -> int:
        """Neighbouring slices that the network looks at: 1 or 3."""
        return self.engine.input_slices

    @property
    def default_threshold(self) -> float:
        """Threshold of the card's default operating point."""
        point = None if self.card is None else self.card.default_operating_point
        return DEFAULT_THRESHOLD if point is None else float(point["threshold"])

    def __repr__(self) -> str:
        return f"Segmenter({self.name or type(self.engine).__name__}: {getattr(self.engine, 'description', '')})"

    def predict_crops(self, crops: ArrayLike) -> NDArray[np.float32]:
        """Probabilities of crops.

        Parameters
        ----------
        crops
            (n, 128, 128), each a single slice, repeated as its own neighbours; or (n, input_slices, 128, 128). HU, or
            8-bit values: what is of an 8-bit type, or lies between 0 and 255 and is not all air, counts as the latter.
            Each slice is normalised on its own, so gain and offset do not matter. The model's card says how many
            mirrored views of each, at which magnifications, are averaged.

        Returns
        -------
        (n, 128, 128) float32, 0..1.

        Raises
        ------
        InputError
            For another shape, or values that are not finite numbers.
        """
        px = self.engine.tile_px
        tiles, grey = prepared(crops, px, self.input_slices)
        if len(tiles) == 0:
            return np.zeros((0, px, px), np.float32)
        after: Any = {} if self.card is None else self.card.postprocessing
        return predict_views(
            self.engine,
            tiles,
            views=int(after.get("crop_views", 1)),
            logit_offset=float(after.get("crop_logit_offset", 0.0)),
            min_range=1.0 if grey else None,
            zooms=tuple(after.get("crop_zooms", (1.0,))),
        )

    def segment(
        self,
        ct: CT,
        roi: tuple[Point, Point] | None = None,
        lung_mask: NDArray | None = None,
        threshold: float | None = None,
        min_diameter_mm: float | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        *,
        uncertainty: bool = False,
    ) -> Result:
        """Find and segment the nodules of a CT.

        Parameters
        ----------
        roi
            Two corners of a box in RAS mm; only nodules inside are searched.
        lung_mask
            bool or label volume [k, j, i] on the CT's grid, used instead of the one made here.
        threshold
            0..1; the card's default operating point if not given. `Result.at` changes it afterwards.
        min_diameter_mm
            Smallest diameter (of the ball of equal volume), 3 mm if not given.
        progress, cancel
            ``progress(fraction, message)``; ``cancel() -> bool`` is polled between batches.
        uncertainty
            Keeps for `Result.uncertainty` how far the views of each candidate disagree; no further prediction is made.

        Raises
        ------
        InputError
            No lung in the CT, or arguments that do not fit.
        Cancelled
        """
        threshold = self.default_threshold if threshold is None else float(threshold)
        smallest = MIN_DIAMETER_MM if min_diameter_mm is None else float(min_diameter_mm)
        if not 0.0 <= threshold <= 1.0:
            raise InputError(f"Expected argument `threshold` to lie in 0..1, got {threshold}")
        if not smallest >= 0.0:
            raise InputError(f"Expected argument `min_diameter_mm` to be at least 0, got {min_diameter_mm}")
        start = time.perf_counter()
        found = search(
            self.engine,
            ct,
            self.settings,
            lung=lung_mask,
            roi=roi,
            scorer=self.scorer,
            reduction=self.reduction,
            progress=progress,
            cancel=cancel,
            uncertainty=uncertainty,
        )
        best = None if found.best_ras is None else (found.best_probability, found.best_ras)
        return Result(
            ct=ct,
            candidates=tuple(found.candidates),
            threshold=threshold,
            min_diameter_mm=smallest,
            best=best,
            parameters={
                **self._parameters(),
                "threshold": threshold,
                "min_diameter_mm": smallest,
                "roi": roi,
                "lung_mask": "given" if lung_mask is not None else "made",
                "search": self.settings.to_dict(),
                "counts": found.counts,
                **({"uncertainty": True} if uncertainty else {}),
            },
            seconds={**found.seconds, "segment": time.perf_counter() - start},
            warnings=self._warnings(ct),
            spread=found.spread,
            _probability=found.probability,
            **self._origin(ct),
        )

    def click(
        self,
        ct: CT,
        positive_ras: Sequence[Point],
        negative_ras: Sequence[Point] = (),
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        *,
        base: tuple[Voxel, NDArray] | None = None,
    ) -> Result:
        """Segment the nodule at a point, and refine it by further points.

        Parameters
        ----------
        positive_ras
            Points (x, y, z) in RAS mm that lie in the nodule; at least one, unless there is a ``base``.
        negative_ras
            Points that do not. Positive points end inside, negative ones outside, in whatever order they are given.
        progress, cancel
            ``progress(fraction, message)``; ``cancel() -> bool`` is polled between batches.
        base
            A segment that the points change, ``(offset_kji, mask)`` with a bool mask [k, j, i] on the CT's grid:
            positive points add what they mean, negative ones cut from all of it. One point of either kind is enough.

        Returns
        -------
        Result
            With one nodule, ``kind`` "SEMIAUTOMATIC". Points where the network sees nothing give a small region by HU
            and a warning.

        Raises
        ------
        InputError
            No positive point, a point outside of the CT, the same voxel clicked both ways, or a ``base`` that does not
            lie in the CT or of which nothing would be left.
        Cancelled
        """
        start = time.perf_counter()
        monitor = Monitor(progress, cancel)
        view = self._axial(ct)
        positive, negative = self._voxels(ct, view, positive_ras), self._voxels(ct, view, negative_ras)
        if not positive and not (base is not None and negative):
            raise InputError("a click needs a positive point", remedy="Give one point inside of the nodule.")
        both = set(positive) & set(negative)
        if both:
            raise InputError(
                "a positive and a negative point lie in the same voxel", remedy="Move one of them, or remove it."
            )
        part = None if base is None else base_region(view, base, positive, negative)
        seeds = [*positive, *(() if part is None else part.anchors)]
        regions = []
        for n, seed in enumerate(seeds):
            monitor.stage(n / len(seeds), (n + 1) / len(seeds), "Segmenting")
            regions.append(self._region(view.ct, seed, monitor))
        if part is not None:
            regions = part.changed(regions)
        whole = combine(view.ct, regions, seeds, negative)
        if whole is None:
            raise InputError("nothing would be left of the segment", remedy="Delete it instead, or move the point.")
        candidate = self._candidate(view, whole)
        monitor.stage(0.99, 1.0, "Segmenting")
        monitor.step(1.0)
        peak = np.unravel_index(int(whole.probability.argmax()), whole.probability.shape)
        place = view.ct.kji_to_ras(np.add(peak, whole.offset_kji)).tolist()

        def probability() -> NDArray[np.float16]:
            out = np.zeros(view.ct.shape, np.float16)
            box = tuple(slice(o, o + n) for o, n in zip(whole.offset_kji, whole.probability.shape))
            out[box] = whole.probability
            return np.ascontiguousarray(view.back(out))

        return Result(
            ct=ct,
            candidates=(candidate,),
            threshold=None,
            min_diameter_mm=0.0,
            kind="SEMIAUTOMATIC",
            best=(float(whole.probability.max()), (place[0], place[1], place[2])),
            parameters={
                **self._parameters(),
                "positive_ras": [list(map(float, p)) for p in positive_ras],
                "negative_ras": [list(map(float, p)) for p in negative_ras],
                **({} if base is None else {"changes_a_segment": True}),
            },
            seconds={"click": time.perf_counter() - start},
            warnings=(*self._warnings(ct), *([whole.warning] if whole.warning else [])),
            _probability=probability,
            **self._origin(ct),
        )

    def _axial(self, ct: CT) -> AxialView:
        with self._lock:
            if ct not in self._views:
                view = axial_view(ct)
                if view.same:
                    return view  # nothing worth keeping, and the entry would keep the CT alive
                self._views[ct] = view
            return self._views[ct]

    def _voxels(self, ct: CT, view: AxialView, points: Sequence[Point]) -> list[Voxel]:
        """Distinct voxels in ascending order: the order of clicks does not matter."""
        if len(points) == 0:
            return []
        places = np.asarray(points, dtype=np.float64)
        if places.ndim != 2 or places.shape[1] != 3 or not np.all(np.isfinite(places)):
            raise InputError(f"Expected points to be a list of (x, y, z) in RAS mm, got {points}")
        kji = np.rint(ct.ras_to_kji(places)).astype(np.int64)
        outside = ((kji < 0) | (kji >= ct.shape)).any(axis=1)
        if outside.any():
            x, y, z = places[int(outside.argmax())]
            raise InputError(
                f"the point ({x:.1f}, {y:.1f}, {z:.1f}) mm lies outside of the CT",
                remedy="Points are RAS coordinates in mm, as Slicer shows them.",
            )
        return sorted({(int(k), int(j), int(i)) for k, j, i in view.voxel(kji)})

    def _region(self, ct: CT, seed: Voxel, monitor: Monitor) -> SeedRegion:
        with self._lock:
            known = self._seeds.setdefault(ct, OrderedDict())
            if seed in known:
                known.move_to_end(seed)
                return known[seed]
        region = segment_seed(self.engine, ct, seed, self.click_settings, monitor)
        with self._lock:
            known[seed] = region
            while len(known) > REMEMBERED_SEEDS:
                known.popitem(last=False)
        return region

    def _candidate(self, view: AxialView, whole: SeedRegion) -> Candidate:
        if whole.grown is not None:
            scored = as_candidate(view.ct, whole.grown, None, self.scorer)
            scored = reduced(view.ct, scored, self.scorer, self.reduction)
            probability, features = scored.probability, dict(scored.features)
        else:
            probability, features = float(whole.probability[whole.mask].mean()), {}
        offset, mask = view.box_back(whole.offset_kji, whole.mask)
        x, y, z = view.ct.kji_to_ras(centroid(whole.mask) + whole.offset_kji).tolist()
        return Candidate(
            offset_kji=offset,
            mask=mask,
            probability=probability,
            peak=float(whole.probability.max()),
            centroid_ras=(x, y, z),
            diameter_mm=equivalent_diameter(float(mask.sum()) * view.ct.voxel_volume_mm3),
            features=features,
        )

    def _parameters(self) -> dict[str, Any]:
        names = {"engine": "name", "device": "device", "precision": "precision", "batch_size": "batch_size"}
        return {key: getattr(self.engine, name) for key, name in names.items() if hasattr(self.engine, name)}

    def _origin(self, ct: CT) -> dict[str, Any]:
        if self.card is None:
            return {"model": type(self.engine).__name__}
        from LungNoduleSegLib.weights import trained_on

        return {
            "model": self.card.name,
            "model_sha256": self.card.sha256 or "",
            "seen_in_training": trained_on(self.card, ct.series_uid) if ct.series_uid else None,
        }

    def _warnings(self, ct: CT) -> tuple[str, ...]:
        found = [*ct.warnings, *getattr(self.engine, "warnings", ())]
        low, high = TRAINED_SPACING_MM
        plane = self._axial(ct).ct.spacing_mm[1:]
        if min(plane) < low or max(plane) > high:
            found.append(
                f"Pixels of {plane[0]:.2f} x {plane[1]:.2f} mm lie outside of what the models were trained on "
                f"({low} to {high} mm); nodules look too {'large' if min(plane) < low else 'small'} to them."
            )
        return tuple(found)
