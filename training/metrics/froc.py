"""Free-response operating characteristic by the rule of LUNA16 (Setio et al., Medical Image Analysis 42, 2017).

A candidate hits a nodule when its centre lies closer to the nodule's centre than the nodule's radius. A nodule's
score is the highest of its hits; further hits are not counted. A candidate that hits nothing but lies on an
irrelevant finding (of one or two readers, under 3 mm, a non-nodule) is neither hit nor false. Between two points of
the curve the sensitivity is interpolated linearly, as the challenge's script does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from training.metrics.bootstrap import REPEATS, draw, weights

RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""False positives a scan at which sensitivity is read; CPM is the mean over them."""

MIN_SCANS = 5
"""With fewer scans there is no interval: resampling so few says nothing of others."""


@dataclass(frozen=True, eq=False)
class Detections:
    """One scan: what was found and what is there; centres are (n, 3) in mm in one frame, in whatever axis order."""

    centres_mm: np.ndarray
    probabilities: np.ndarray
    nodules_mm: np.ndarray
    radii_mm: np.ndarray
    ignored_mm: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    ignored_radii_mm: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for places, sizes in (
            ("centres_mm", "probabilities"),
            ("nodules_mm", "radii_mm"),
            ("ignored_mm", "ignored_radii_mm"),
        ):
            place = np.asarray(getattr(self, places), dtype=np.float64).reshape(-1, 3)
            size = np.asarray(getattr(self, sizes), dtype=np.float64).reshape(-1)
            if len(place) != len(size):
                raise ValueError(f"Expected argument `{sizes}` to hold {len(place)} numbers, got {len(size)}")
            object.__setattr__(self, places, place)
            object.__setattr__(self, sizes, size)


@dataclass(frozen=True, eq=False)
class Matched:
    """One scan: ``nodule_scores`` (n,), -inf for a nodule that no candidate hits; ``false_scores`` (f,)."""

    nodule_scores: np.ndarray
    false_scores: np.ndarray


@dataclass(frozen=True)
class FrocPoint:
    """Sensitivity at a number of false positives a scan.

    ``sensitivity`` is interpolated (LUNA16), with its interval from resampling scans where there are enough; ``found``
    of ``nodules`` with ``false_positives`` are the counts at ``threshold``, the most sensitive one that keeps the rate
    (None where even the strictest exceeds it).
    """

    rate: float
    sensitivity: float
    low: float | None
    high: float | None
    found: int
    nodules: int
    false_positives: int
    threshold: float | None


@dataclass(frozen=True)
class Froc:
    """The curve at LUNA16's rates; ``cpm`` is the mean sensitivity over them."""

    points: tuple[FrocPoint, ...]
    cpm: float
    cpm_low: float | None
    cpm_high: float | None
    n_scans: int
    n_nodules: int
    n_hit_by_any: int
    n_false: int

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def match(scan: Detections) -> Matched:
    """Which candidates hit a nodule, which are false."""
    hits = _within(scan.centres_mm, scan.nodules_mm, scan.radii_mm)
    scores = np.where(hits, scan.probabilities[:, None], -np.inf).max(axis=0, initial=-np.inf)
    irrelevant = _within(scan.centres_mm, scan.ignored_mm, scan.ignored_radii_mm).any(axis=1)
    return Matched(scores, scan.probabilities[~hits.any(axis=1) & ~irrelevant])


def froc(scans: Sequence[Detections | Matched], *, repeats: int = REPEATS // 2, seed: int = 0) -> Froc | None:
    """The curve over scans; None where they hold no nodule to find.

    Intervals come from resampling scans; draws without a nodule are left out.
    """
    matched = [match(s) if isinstance(s, Detections) else s for s in scans]
    nodules = sum(len(m.nodule_scores) for m in matched)
    if not nodules:
        return None
    score = np.concatenate([*(m.nodule_scores for m in matched), *(m.false_scores for m in matched)])
    hit = np.arange(len(score)) < nodules
    owner = np.concatenate(
        [np.repeat(np.arange(len(matched)), [len(getattr(m, name)) for m in matched])
         for name in ("nodule_scores", "false_scores")]
    )  # fmt: skip
    seen = np.isfinite(score)
    order = np.argsort(-score[seen], kind="stable")
    score, hit, owner = (v[seen][order] for v in (score, hit, owner))
    last = np.append(score[1:] != score[:-1], True) if len(score) else np.zeros(0, bool)  # equal scores come together
    total = np.array([len(m.nodule_scores) for m in matched], dtype=np.float64)
    one = np.ones(len(matched))
    value, fps, found = _curve(hit, owner, last, total, one)
    low = high = [None] * len(RATES)
    cpm_low = cpm_high = None
    if len(matched) >= MIN_SCANS:
        drawn = weights(draw(len(matched), repeats, seed), len(matched))
        draws = np.stack([_curve(hit, owner, last, total, w)[0] for w in drawn if w @ total > 0])
        low, high = np.percentile(draws, [2.5, 97.5], axis=0).tolist()
        cpm_low, cpm_high = (float(v) for v in np.percentile(draws.mean(axis=1), [2.5, 97.5]))
    points = []
    for n, rate in enumerate(RATES):
        reached = int(np.searchsorted(fps * len(matched), rate * len(matched) + 1e-9, side="right")) - 1
        threshold = float(score[last][reached - 1]) if reached > 0 else None
        points.append(
            FrocPoint(rate, float(value[n]), low[n], high[n], int(found[reached]), nodules,
                      round(fps[reached] * len(matched)), threshold)
        )  # fmt: skip
    return Froc(tuple(points), cpm(value), cpm_low, cpm_high, len(matched), nodules, int(hit.sum()), int((~hit).sum()))


def cpm(sensitivities: Sequence[float] | np.ndarray) -> float:
    """Competition performance metric: the mean of the sensitivities at LUNA16's seven rates."""
    if len(sensitivities) != len(RATES):
        raise ValueError(f"Expected argument `sensitivities` to hold {len(RATES)} values, got {len(sensitivities)}")
    return float(np.mean(sensitivities))


def _within(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """bool (points, centres): closer than the radius."""
    return ((points[:, None] - centres[None]) ** 2).sum(axis=-1) < radii[None] ** 2


def _curve(
    hit: np.ndarray, owner: np.ndarray, last: np.ndarray, total: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sensitivities at the rates, and the curve: false positives a scan and nodules found, from nothing on."""
    each = weight[owner]
    found = np.concatenate([[0.0], np.cumsum(each * hit)[last]])
    fps = np.concatenate([[0.0], np.cumsum(each * ~hit)[last]]) / weight.sum()
    # At equal rates np.interp reads the last, most sensitive point, as the challenge's script does.
    return np.interp(RATES, fps, found / (weight @ total)), fps, found
