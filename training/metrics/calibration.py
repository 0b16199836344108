"""Whether probabilities mean what they say: reliability bins, expected calibration error, Brier score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 20


@dataclass(frozen=True, eq=False)
class Calibration:
    """Pixels by predicted probability, in equal bins (a bin holds its lower edge; the last one both).

    ``counts`` (bins,) pixels; ``positives`` (bins,) those of them that are nodule; ``probability_sums`` (bins,) sum of
    the probabilities, None where it was not kept (then the bin's middle stands for its mean); ``squared_error`` sum of
    (probability - truth) squared, None where it was not kept.
    """

    counts: np.ndarray
    positives: np.ndarray
    probability_sums: np.ndarray | None = None
    squared_error: float | None = None

    @property
    def confidence(self) -> np.ndarray:
        """(bins,) mean probability of each bin, NaN where it is empty."""
        bins = len(self.counts)
        middle = (np.arange(bins) + 0.5) / bins
        sums = middle * self.counts if self.probability_sums is None else self.probability_sums
        return _divided(sums, self.counts)

    @property
    def observed(self) -> np.ndarray:
        """(bins,) share of nodule pixels in each bin, NaN where it is empty."""
        return _divided(self.positives, self.counts)

    @property
    def ece(self) -> float | None:
        """Expected calibration error: mean of |observed - confidence|, bins weighted by their pixels."""
        total = self.counts.sum()
        if not total:
            return None
        return float(np.nansum(np.abs(self.observed - self.confidence) * self.counts) / total)

    @property
    def brier(self) -> float | None:
        """Mean squared difference of probability and truth; None where its sum was not kept."""
        total = self.counts.sum()
        return None if self.squared_error is None or not total else float(self.squared_error / total)

    def __add__(self, other: Calibration) -> Calibration:
        sums = None
        if self.probability_sums is not None and other.probability_sums is not None:
            sums = self.probability_sums + other.probability_sums
        error = None
        if self.squared_error is not None and other.squared_error is not None:
            error = self.squared_error + other.squared_error
        return Calibration(self.counts + other.counts, self.positives + other.positives, sums, error)

    def to_dict(self) -> dict[str, object]:
        """For JSON; empty bins have no rates."""
        return {
            "counts": self.counts.tolist(),
            "positives": self.positives.tolist(),
            "confidence": [None if np.isnan(v) else round(float(v), 5) for v in self.confidence],
            "observed": [None if np.isnan(v) else round(float(v), 5) for v in self.observed],
            "ece": self.ece,
            "brier": self.brier,
        }


def calibration(probability: np.ndarray, truth: np.ndarray, *, bins: int = BINS) -> Calibration:
    """Calibration of probabilities (any shape, 0..1) against a bool truth of the same shape."""
    p, t = np.asarray(probability, dtype=np.float64).ravel(), np.asarray(truth).ravel().astype(bool)
    if p.shape != t.shape or (p.size and not (p.min() >= 0 and p.max() <= 1)):
        raise ValueError("Expected argument `probability` to lie in 0..1 and to have the shape of `truth`")
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    return Calibration(
        np.bincount(place, minlength=bins),
        np.bincount(place[t], minlength=bins),
        np.bincount(place, weights=p, minlength=bins),
        float(((p - t) ** 2).sum()),
    )


def _divided(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, values / np.maximum(counts, 1), np.nan)
