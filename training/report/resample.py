"""How far a figure would move with other patients and other seeds, where `training.metrics` knows one seed only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.metrics import Difference, Estimate, paired_bootstrap
from training.metrics.bootstrap import REPEATS, draw, per_patient, weights


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


def _means(sample: Sample, names: np.ndarray, people: np.ndarray, seed: int) -> np.ndarray:
    """(repeats,) means where patient ``names[p]`` is drawn ``people[:, p]`` times, with the seeds drawn too."""
    owner = np.searchsorted(names, sample.patients)
    # bincount inside `per_patient` goes up to the last patient that this sample holds.
    total = people[:, : owner.max() + 1] @ np.bincount(owner)
    sums, runs = per_patient(sample.values, owner), sample.seeds
    # Few runs, resampled, spread too little by (runs - 1) / runs in variance; see `paired_bootstrap`.
    centre = sums.mean(axis=0)
    sums = centre + np.sqrt(runs / max(runs - 1, 1)) * (sums - centre)
    chosen = weights(draw(runs, len(people), seed), runs) / runs
    drawn = ((people[:, : sums.shape[1]] @ sums.T) * chosen).sum(axis=1)
    # A draw may hold none of a small sample's patients; it says nothing then.
    return np.where(total > 0, drawn / np.maximum(total, 1), np.nan)


def estimate(sample: Sample, *, repeats: int = REPEATS, seed: int = 0) -> Estimate:
    """Mean over images and seeds with its 95 % interval, whole patients and seeds drawn with replacement."""
    names = np.unique(sample.patients)
    people = weights(draw(len(names), repeats, seed), len(names))
    low, high = np.nanpercentile(_means(sample, names, people, seed + 1), [2.5, 97.5])
    return Estimate(float(sample.values.mean()), float(low), float(high), sample.values.shape[1], len(names))


def paired(a: Sample, b: Sample) -> Difference:
    """Mean of ``a`` less mean of ``b``, image by image: both are of the same images in one order."""
    return paired_bootstrap(a.values, b.values, a.patients)


def unpaired(a: Sample, b: Sample, *, repeats: int = REPEATS, seed: int = 0) -> Difference:
    """Mean of ``a`` less mean of ``b`` on different images; patients that both have are drawn together.

    ``n_images`` is of ``a``; ``n_patients`` counts those of either.
    """
    names = np.unique(np.concatenate([a.patients, b.patients]))
    people = weights(draw(len(names), repeats, seed), len(names))
    draws = _means(a, names, people, seed + 1) - _means(b, names, people, seed + 2)
    draws = draws[np.isfinite(draws)]
    low, high = np.percentile(draws, [2.5, 97.5])
    beyond = min((draws <= 0).sum(), (draws >= 0).sum())
    return Difference(
        value=float(a.values.mean() - b.values.mean()),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * (beyond + 1) / (len(draws) + 1))),
        n_images=len(a.patients),
        n_patients=len(names),
        n_seeds=(a.seeds, b.seeds),
        standard_error=float(draws.std()),
    )
