"""The candidate scorer and the operating points, from the candidates of the training scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.scorer import CandidateScorer, score
from training.evaluate.whole_scans import RELEVANT_READERS, Truth, near_mark

SCORER_FEATURES = ("view_mean", "view_low", "diameter_mm", "elongation", "attached", "contrast_hu", "lung_share")
"""What a nodule is told from a vessel by; few, because six scans hold few nodules."""

PENALTY = 1.0
"""Weight of the squared coefficients against the summed log loss of standardised features."""


@dataclass(frozen=True, eq=False)
class JudgedScan:
    """Candidates of one scan with their truth.

    ``kinds``: "nodule" (overlaps the consensus of a nodule; ``hits`` gives which), "finding" (touches an annotation or
    a mark without being one: neither right nor wrong), "false".
    """

    patient: str
    candidates: tuple[Candidate, ...]
    kinds: tuple[str, ...]
    hits: tuple[frozenset[int], ...]
    readers: tuple[int, ...]
    """Readers of each annotated nodule of the scan."""


def judge_candidates(
    candidates: list[Candidate], truth: Truth, shape: tuple[int, int, int], neither: np.ndarray | None = None
) -> JudgedScan:
    """Truth of each candidate of a scan whose array has ``shape`` [k, j, i].

    ``neither`` bool [k, j, i]: what touches it is a finding too.
    """
    owner = np.zeros(shape, dtype=np.int16)
    touched = np.zeros(shape, dtype=bool) if neither is None else neither.copy()
    for number, nodule in enumerate(truth.nodules, start=1):
        box = truth.box(nodule)
        owner[box][nodule.mask] = number
        touched[box] |= nodule.votes > 0
    kinds, hits = [], []
    for candidate in candidates:
        inside = owner[candidate.box][candidate.mask]
        found = frozenset(int(v) - 1 for v in np.unique(inside) if v)
        hits.append(found)
        if found:
            kinds.append("nodule")
        elif touched[candidate.box][candidate.mask].any() or near_mark(
            np.argwhere(candidate.mask) + candidate.offset_kji, truth
        ):
            kinds.append("finding")
        else:
            kinds.append("false")
    readers = tuple(n.readers for n in truth.nodules)
    return JudgedScan(truth.patient, tuple(candidates), tuple(kinds), tuple(hits), readers)


def fit_scorer(scans: list[JudgedScan], features: tuple[str, ...] = SCORER_FEATURES) -> CandidateScorer:
    """Logistic regression, nodules against false candidates, with a squared penalty; findings are left out.

    Nodules and false candidates weigh the same in sum, so that .5 lies where both are equally likely.

    Raises
    ------
    InputError
        When the scans hold no nodule or no false candidate.
    """
    pairs = [(c, k == "nodule") for s in scans for c, k in zip(s.candidates, s.kinds) if k != "finding"]
    x = np.array([[c.features[name] for name in features] for c, _ in pairs], dtype=np.float64)
    y = np.array([positive for _, positive in pairs], dtype=np.float64)
    if not 0 < y.sum() < len(y):
        raise InputError(
            f"a scorer is fitted to nodules and false candidates, and the model finds {int(y.sum())} nodules among "
            f"{len(y)} candidates in {len(scans)} scans",
            remedy="Train for longer, or prepare more scans; without operating points the model can be used too.",
        )
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z = (x - mean) / scale
    weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logit = z @ parameters[:-1] + parameters[-1]
        value = (weight * (np.logaddexp(0, logit) - y * logit)).sum() + PENALTY / 2 * (parameters[:-1] ** 2).sum()
        error = weight * (1 / (1 + np.exp(-logit)) - y)
        return float(value), np.append(z.T @ error + PENALTY * parameters[:-1], error.sum())

    best = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return CandidateScorer(features, tuple(mean), tuple(scale), tuple(best[:-1]), float(best[-1]))


def two_fold_scores(
    scans: list[JudgedScan], features: tuple[str, ...] = SCORER_FEATURES, folds: Sequence[int] | None = None
) -> list[np.ndarray]:
    """Scores of each scan's candidates by a scorer that was fitted on the scans of the other folds.

    Where a false-positive reduction looked at the candidates, it has its say as in use.

    Parameters
    ----------
    folds
        Fold of each scan; two by turns if not given. Whether the network saw the scans is another matter.
    """
    numbers = [n % 2 for n in range(len(scans))] if folds is None else list(folds)
    fitted = {
        fold: fit_scorer([scan for scan, other in zip(scans, numbers) if other != fold], features)
        for fold in set(numbers)
    }
    return [np.array([score(c.features, fitted[n]) for c in scan.candidates]) for scan, n in zip(scans, numbers)]


def operating_curve(scans: list[JudgedScan], scores: list[np.ndarray]) -> list[dict[str, float | int]]:
    """Raw counts at every useful threshold, from strict to sensitive.

    ``found`` of ``nodules`` (three and more readers; where none has so many, all), ``found_any`` of ``nodules_any``
    (any reader), ``false_positives`` over all ``scans`` (candidates that touch no annotation and no mark).
    """
    several = any(readers >= RELEVANT_READERS for scan in scans for readers in scan.readers)
    least = RELEVANT_READERS if several else 1
    # Rounded down, so that a candidate at its own level counts here and in use.
    levels = sorted({float(np.floor(v * 1e4) / 1e4) for s in scores for v in s}, reverse=True)
    return [_counts(scans, scores, level, least) for level in levels]


def _counts(scans: list[JudgedScan], scores: list[np.ndarray], threshold: float, least: int) -> dict[str, float | int]:
    found = total = found_any = total_any = false = 0
    for scan, values in zip(scans, scores):
        kept = values >= threshold
        hits = set().union(*(h for h, k in zip(scan.hits, kept) if k)) if kept.any() else set()
        relevant = {n for n, readers in enumerate(scan.readers) if readers >= least}
        found, total = found + len(hits & relevant), total + len(relevant)
        found_any, total_any = found_any + len(hits), total_any + len(scan.readers)
        false += sum(kind == "false" for kind, k in zip(scan.kinds, kept) if k)
    return {
        "threshold": threshold, "found": found, "nodules": total, "found_any": found_any, "nodules_any": total_any,
        "false_positives": false, "scans": len(scans),
    }  # fmt: skip


def operating_points(curve: list[dict[str, float | int]], per_scan: dict[str, float]) -> list[dict[str, object]]:
    """The most sensitive threshold with no more than so many false positives a scan, by name."""
    points: list[dict[str, object]] = []
    for name, limit in per_scan.items():
        fitting = [p for p in curve if p["false_positives"] <= limit * p["scans"]]
        if fitting:
            points.append({"name": name, **fitting[-1]})
    return points
