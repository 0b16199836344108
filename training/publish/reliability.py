"""Whether a model's probabilities mean what they say: of pixels and of candidates, as a card keeps it.

Of pixels: those of positive crops whose probability is at least `LEAST`. The rest, nearly all of a crop, is background
that the model is sure of: it would make any calibration error small. What of the nodules lies there is counted beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.data.crops import IGNORE, Crops
from training.metrics import Calibration, bootstrap_totals, calibration
from training.publish.scoring import JudgedScan

BINS = 10
LEAST = 0.01

PIXELS = (
    "expected calibration error of the pixels with a probability of at least {least}: mean over {bins} equal bins, "
    "weighted by their pixels, of the difference between mean probability (as `predict_crops` gives it) and share of "
    "nodule pixels (consensus); the crops hold a nodule each, so that on whole CTs the same probability means less"
)
CANDIDATES = (
    "expected calibration error of the candidates' score against being a nodule (overlap with the consensus of any "
    "number of readers), by two folds: the scorer that gave a score was not fitted on the candidate's scan; it weighs "
    "nodules and false candidates alike, whatever their number; findings that are neither are counted, not judged; "
    "{source}"
)


def pixel_reliability(
    probability: np.ndarray, crops: Crops, index: np.ndarray, *, least: float = LEAST, repeats: int = 2000
) -> dict[str, Any]:
    """The calibration of probabilities (n, 128, 128) of the crops at ``index``, as ``metrics.PART.calibration``.

    Returns
    -------
    ``value``, ``low``, ``high``: expected calibration error with its interval over patients; ``brier`` likewise, of the
    same pixels; ``pixels``, ``nodule_pixels`` (of them) and ``nodule_pixels_below`` (of those left out); ``bins`` with
    raw counts. Empty where no pixel reaches ``least``. Pixels that the loss leaves out count neither way.
    """
    names, owner = np.unique(crops.patients[index], return_inverse=True)
    parts = [Calibration(np.zeros(BINS), np.zeros(BINS), np.zeros(BINS), 0.0) for _ in names]
    below = 0
    for n, crop in enumerate(index):  # one by one: all pixels of all crops at once would take gigabytes
        label, p = crops.labels[crop], probability[n]
        chosen = (p >= least) & (label != IGNORE)
        parts[owner[n]] += calibration(p[chosen], label[chosen] == 1, bins=BINS)
        below += int(((label == 1) & ~chosen).sum())
    whole = sum(parts[1:], parts[0])
    if not whole.counts.sum():
        return {}
    rows = np.array([[*p.counts, *p.positives, *p.probability_sums, p.squared_error] for p in parts])  # type: ignore[misc]
    error = bootstrap_totals(rows, _error, n_images=len(index), repeats=repeats).to_dict()
    brier = bootstrap_totals(rows, _brier, n_images=len(index), repeats=repeats).to_dict()
    return {
        **error,
        "what": PIXELS.format(least=least, bins=BINS),
        "least_probability": least,
        "brier": {name: brier[name] for name in ("value", "low", "high")},
        "pixels": int(whole.counts.sum()),
        "nodule_pixels": int(whole.positives.sum()),
        "nodule_pixels_below": below,
        "bins": bins_of(whole),
    }


def candidate_reliability(scans: Sequence[JudgedScan], scores: Sequence[np.ndarray], source: str) -> dict[str, Any]:
    """The calibration of the candidates' two-fold scores, as ``metrics.candidates.calibration``.

    Parameters
    ----------
    scores
        Of each scan's candidates, from `training.publish.scoring.two_fold_scores`.
    source
        On what, for people.

    Returns
    -------
    As `pixel_reliability` does, of candidates and without intervals (the scans are few); each bin also counts the
    ``findings`` that are neither right nor wrong.
    """
    kinds = np.array([kind for scan in scans for kind in scan.kinds])
    values = np.concatenate([np.zeros(0), *scores])
    judged = kinds != "finding"
    if not judged.any():
        return {}
    found = calibration(values[judged], kinds[judged] == "nodule", bins=BINS)
    findings = calibration(values[~judged], np.zeros((~judged).sum(), bool), bins=BINS)
    assert found.ece is not None and found.brier is not None
    return {
        "value": round(found.ece, 4),
        "what": CANDIDATES.format(source=source),
        "brier": {"value": round(found.brier, 4)},
        "candidates": int(judged.sum()),
        "nodules": int((kinds == "nodule").sum()),
        "scans": len(scans),
        "bins": {**bins_of(found), "findings": findings.counts.tolist()},
    }


def bins_of(found: Calibration) -> dict[str, list[Any]]:
    """Raw counts, mean probability and share of positives of each bin; empty bins have none of the two."""
    whole = found.to_dict()
    counts = {name: [int(v) for v in getattr(found, name)] for name in ("counts", "positives")}
    return {**counts, "confidence": whole["confidence"], "observed": whole["observed"]}  # type: ignore[dict-item]


def _error(sums: np.ndarray) -> np.ndarray:
    counts, positives, probability = np.split(sums[..., : 3 * BINS], 3, axis=-1)
    return _over(np.abs(positives - probability).sum(axis=-1), counts.sum(axis=-1))


def _brier(sums: np.ndarray) -> np.ndarray:
    return _over(sums[..., -1], sums[..., :BINS].sum(axis=-1))


def _over(sums: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return np.where(pixels > 0, sums / np.maximum(pixels, 1), np.nan)
