"""How far a figure, or a difference of two, would move with other patients and other seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.metrics import Estimate

REPEATS = 2000

DETECTABLE = (1.960 + 0.842) / (2 * 1.960)
"""Smallest difference that a two-sided 5 % test finds with 80 % power, in widths of the 95 % interval."""


@dataclass(frozen=True)
class Sample:
    """A figure of merit: ``values`` (seeds, n) float of n test images, ``patients`` (n,) their patients."""

    values: np.ndarray
    patients: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.patients) or 0 in self.values.shape:
            raise ValueError(
                f"Expected `values` (seeds, n) with `patients` (n,), got {self.values.shape}, {self.patients.shape}"
            )

    @property
    def seeds(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Gap:
    """Mean of one sample less that of another, with a 95 % interval; ``seeds`` of the two."""

    value: float
    low: float
    high: float
    n_images: int
    n_patients: int
    seeds: tuple[int, int]

    @property
    def separable(self) -> bool:
        """The interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def detectable(self) -> float:
        """The smallest difference that a study like this one would have found (80 % power)."""
        return DETECTABLE * (self.high - self.low)

    @property
    def seeds_resampled(self) -> bool:
        return min(self.seeds) > 1

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def _means(sample: Sample, names: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(repeats,) means under the patients' ``weights`` (repeats, patients), with the seeds resampled."""
    owner = np.searchsorted(names, sample.patients)
    images = np.bincount(owner, minlength=len(names))
    sums = np.stack([np.bincount(owner, weights=v, minlength=len(names)) for v in sample.values])
    seeds = sample.seeds
    # A few seeds, resampled, spread too little by (s - 1) / s in variance; their deviations are enlarged to make up.
    centre = sums.mean(axis=0)
    sums = centre + np.sqrt(seeds / max(seeds - 1, 1)) * (sums - centre)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(weights)) / seeds
    total = weights @ images
    # A draw may hold none of the patients of a small sample; it says nothing then.
    return np.where(total > 0, ((weights @ sums.T) * drawn).sum(axis=1) / np.maximum(total, 1), np.nan)


def estimate(sample: Sample, *, repeats: int = REPEATS, seed: int = 0) -> Estimate:
    """Mean over images and seeds with its 95 % interval, whole patients and seeds drawn with replacement."""
    names = np.unique(sample.patients)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=repeats)
    low, high = np.nanpercentile(_means(sample, names, weights, rng), [2.5, 97.5])
    return Estimate(float(sample.values.mean()), float(low), float(high), sample.values.shape[1], len(names))


def gap(a: Sample, b: Sample, *, repeats: int = REPEATS, seed: int = 0) -> Gap:
    """Mean of ``a`` less mean of ``b``.

    Each draw takes the same patients for both, so that patients that both have cancel (paired); the seeds of the two
    are drawn apart, because their trainings are.
    """
    names = np.unique(np.concatenate([a.patients, b.patients]))
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=repeats)
    draws = _means(a, names, weights, rng) - _means(b, names, weights, rng)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    value = float(a.values.mean() - b.values.mean())
    return Gap(value, float(low), float(high), a.values.shape[1], len(names), (a.seeds, b.seeds))
