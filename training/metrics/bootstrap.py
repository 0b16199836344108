"""Patient-level bootstrap: how far a figure would move with other patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np


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
    repeats: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Statistic over images with a 95 % percentile interval from resampling whole patients.

    Images of one patient resemble each other, so patients, not images, are drawn with replacement.
    """
    if len(values) == 0:
        raise ValueError("Expected argument `values` to hold at least one image, got none")
    names, owner = np.unique(patients, return_inverse=True)
    members = [np.flatnonzero(owner == p) for p in range(len(names))]
    rng = np.random.default_rng(seed)
    draws = [
        statistic(values[np.concatenate([members[p] for p in rng.integers(len(names), size=len(names))])])
        for _ in range(repeats)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(float(statistic(values)), float(low), float(high), len(values), len(names))
