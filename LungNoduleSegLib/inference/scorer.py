"""From a candidate's features to one score in 0..1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from LungNoduleSegLib.inference.features import FEATURES

FULL_SIZE_MM = 12.0
"""From this diameter on size adds nothing to the plain score."""

STACK = "stack"
"""Name of the feature that the false-positive reduction gives: its logit. Absent where it was not asked."""

LEAST_REDUCED = 0.02
"""Probability by the fitted scorer alone below which the false-positive reduction is not asked."""

LIMIT = 6.0
"""Standard deviations at which a feature is cut off: nothing in a scan like no other may decide alone."""


def plain_score(features: Mapping[str, float]) -> float:
    """Score without a fitted scorer: mean probability over the views x size / elongation, 0..1.

    Vessels are long and thin and do not survive being turned; nodules of less than about 5 mm rank among vessels.
    """
    size = min(features["diameter_mm"], FULL_SIZE_MM) / FULL_SIZE_MM
    return float(np.clip(features["view_mean"] * size / max(features["elongation"], 1.0), 0.0, 1.0))


@dataclass(frozen=True)
class CandidateScorer:
    """Logistic regression on standardised features.

    Parameters
    ----------
    features
        Names out of :data:`~LungNoduleSegLib.inference.features.FEATURES`.
    mean, scale
        Of each feature over the candidates that it was fitted on.
    coefficients, intercept
        Of the standardised features.

    Raises
    ------
    ValueError
        For unknown names, unequal lengths, scales that are not positive, or values that are not finite.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        for name in ("mean", "scale", "coefficients"):
            values = tuple(float(v) for v in getattr(self, name))
            object.__setattr__(self, name, values)
            if len(values) != len(self.features):
                raise ValueError(f"Expected argument `{name}` to have {len(self.features)} values, got {len(values)}")
            if not np.all(np.isfinite(values)):
                raise ValueError(f"Expected argument `{name}` to be finite, got {values}")
        object.__setattr__(self, "features", tuple(self.features))
        unknown = [n for n in self.features if n not in FEATURES]
        if unknown:
            raise ValueError(f"Expected argument `features` to name features out of {FEATURES}, got {unknown}")
        if any(s <= 0 for s in self.scale) or not np.isfinite(self.intercept):
            raise ValueError("Expected argument `scale` to be positive and `intercept` to be finite")

    def __call__(self, features: Mapping[str, float]) -> float:
        """Probability 0..1 that a candidate with these features is a nodule."""
        return _probability(self.logit(features))

    def logit(self, features: Mapping[str, float]) -> float:
        """Logarithm of the odds of that."""
        values = np.array([features[name] for name in self.features])
        standard = np.clip((values - self.mean) / self.scale, -LIMIT, LIMIT)
        return float(standard @ np.array(self.coefficients) + self.intercept)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for a model card."""
        return {
            "features": list(self.features),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "coefficients": list(self.coefficients),
            "intercept": float(self.intercept),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CandidateScorer:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**data, "features": tuple(data["features"])})


def score(features: Mapping[str, float], scorer: CandidateScorer | None) -> float:
    """With the fitted scorer if there is one, else :func:`plain_score`.

    Where the false-positive reduction looked at the candidate, the mean of its logit and the scorer's is what counts.
    """
    if scorer is None:
        return plain_score(features)
    alone = scorer(features)
    if STACK not in features or alone < LEAST_REDUCED:
        return alone
    return _probability((scorer.logit(features) + features[STACK]) / 2)


def _probability(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))
