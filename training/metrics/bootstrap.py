"""Patient-level bootstrap: how far a figure would move with other patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

REPEATS = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure with its patient-level bootstrap 95 % interval."""

    value: float
    low: float
    high: float
    n_images: int
    n_patients: int

    def to_dict(self) -> dict[str, float | int]:
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    values: np.ndarray,
    patients: np.ndarray,
    *,
    statistic: Callable[[np.ndarray], float] = np.mean,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Estimate:
    """Statistic over images with a 95 % percentile interval from resampling whole patients.

    Images of one patient resemble each other, so patients, not images, are drawn with replacement.
    """
    if len(values) == 0:
        raise ValueError("Expected argument `values` to hold at least one image, got none")
    names, owner = np.unique(patients, return_inverse=True)
    drawn = draw(len(names), repeats, seed)
    if statistic is np.mean:
        totals = np.column_stack([per_patient(np.asarray(values, dtype=np.float64), owner), np.bincount(owner)])
        sums = weights(drawn, len(names)) @ totals
        draws = sums[:, 0] / sums[:, 1]
    else:
        members = [np.flatnonzero(owner == p) for p in range(len(names))]
        draws = np.array([statistic(values[np.concatenate([members[p] for p in row])]) for row in drawn])
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(float(statistic(values)), float(low), float(high), len(values), len(names))


def bootstrap_totals(
    totals: np.ndarray,
    compute: Callable[[np.ndarray], np.ndarray],
    *,
    n_images: int,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Estimate:
    """A figure that depends on sums over patients only: sensitivity, accuracy, and the like.

    Parameters
    ----------
    totals
        (patients, m): one row of sums a patient.
    compute
        Maps sums (..., m) to the figure (...); NaN where a draw has nothing to compute it from. Such draws are left out
        of the interval.

    Raises
    ------
    ValueError
        For no patient, or where the figure of all patients is not a number.
    """
    value = float(compute(totals.sum(axis=0))) if len(totals) else np.nan
    if np.isnan(value):
        raise ValueError("Expected argument `totals` to hold patients that the figure can be computed of, got none")
    draws = compute(weights(draw(len(totals), repeats, seed), len(totals)) @ totals)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high), n_images, len(totals))


def draw(count: int, repeats: int, seed: int) -> np.ndarray:
    """int (repeats, count): patients drawn with replacement."""
    return np.random.default_rng(seed).integers(count, size=(repeats, count))


def weights(drawn: np.ndarray, count: int) -> np.ndarray:
    """float (repeats, count): how often each of ``count`` patients (or seeds, or scans) was drawn."""
    repeats = len(drawn)
    flat = (drawn + count * np.arange(repeats)[:, None]).ravel()
    return np.bincount(flat, minlength=repeats * count).reshape(repeats, count).astype(np.float64)


def per_patient(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Sums of values (..., n) by patient, (..., patients); ``owner`` (n,) counts patients from 0."""
    count = int(owner.max()) + 1
    flat = values.reshape(-1, values.shape[-1])
    return np.stack([np.bincount(owner, weights=row, minlength=count) for row in flat]).reshape(
        *values.shape[:-1], count
    )
