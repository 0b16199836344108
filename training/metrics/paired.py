"""Two models on the same images: is there a difference, and how small a one could have been seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from training.metrics.bootstrap import REPEATS, draw, per_patient, weights

SIGNIFICANCE, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Difference:
    """Mean of A minus mean of B, with the paired bootstrap's 95 % interval.

    ``p`` is two-sided: twice the smaller share of draws on one side of zero. ``standard_error`` is the standard
    deviation of the draws. ``n_seeds`` counts the training runs of (A, B); with one of each, how far another run of the
    same training would differ is not in the interval.
    """

    value: float
    low: float
    high: float
    p: float
    n_images: int
    n_patients: int
    n_seeds: tuple[int, int] = (1, 1)
    standard_error: float = 0.0

    @property
    def separable(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    @property
    def smallest_detectable(self) -> float:
        """See `smallest_detectable_difference`."""
        return smallest_detectable_difference(self.standard_error)

    def to_dict(self) -> dict[str, object]:
        found = asdict(self) | {"smallest_detectable": self.smallest_detectable, "separable": self.separable}
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def smallest_detectable_difference(
    standard_error: float, *, significance: float = SIGNIFICANCE, power: float = POWER
) -> float:
    """Smallest true difference that a study of this standard error finds with the given power.

    (z(1 - significance / 2) + z(power)) x standard error, which is 2.80 standard errors at 5 % two-sided and 80 %: what
    is smaller may exist and be missed. The formula is the usual one of sample size planning for a normal estimate.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - significance / 2) + normal.inv_cdf(power)) * standard_error


def paired_bootstrap(
    values_a: np.ndarray, values_b: np.ndarray, patients: np.ndarray, *, repeats: int = REPEATS, seed: int = 0
) -> Difference:
    """Mean over images of A minus that of B, resampling patients, and seeds where there are several.

    Parameters
    ----------
    values_a, values_b
        (n,) one value an image, or (seeds, n) for several training runs; the number of runs may differ.
    patients
        (n,) patient of each image.

    Notes
    -----
    A draw takes whole patients, the same for A and B, and, independently for A and B, training runs. k runs drawn from
    k vary too little, by (k - 1) / k: their deviations from their mean are widened by the root of k / (k - 1) first
    (Rao and Wu, Journal of the American Statistical Association 83, 1988).

    Raises
    ------
    ValueError
        For no image, or numbers of images that differ.
    """
    a, b = (np.atleast_2d(np.asarray(v, dtype=np.float64)) for v in (values_a, values_b))
    if not a.shape[1] == b.shape[1] == len(patients) or len(patients) == 0:
        raise ValueError(
            "Expected arguments `values_a`, `values_b` and `patients` to hold the same images, at least one, "
            f"got {a.shape[1]}, {b.shape[1]} and {len(patients)}"
        )
    names, owner = np.unique(patients, return_inverse=True)
    people = weights(draw(len(names), repeats, seed), len(names))
    images = people @ np.bincount(owner)
    draws = (_drawn(a, owner, people, seed + 1) - _drawn(b, owner, people, seed + 2)) / images
    low, high = np.percentile(draws, [2.5, 97.5])
    beyond = min((draws <= 0).sum(), (draws >= 0).sum())
    return Difference(
        value=float(a.mean() - b.mean()),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * (beyond + 1) / (repeats + 1))),
        n_images=len(patients),
        n_patients=len(names),
        n_seeds=(len(a), len(b)),
        standard_error=float(draws.std()),
    )


def _drawn(values: np.ndarray, owner: np.ndarray, people: np.ndarray, seed: int) -> np.ndarray:
    """(repeats,) sum over drawn patients of the mean over drawn runs of values (seeds, n)."""
    sums, runs = per_patient(values, owner), len(values)
    if runs == 1:
        return people @ sums[0]
    centre = sums.mean(axis=0)
    widened = centre + (sums - centre) * np.sqrt(runs / (runs - 1))
    chosen = weights(draw(runs, len(people), seed), runs) / runs
    return ((people @ widened.T) * chosen).sum(axis=1)
