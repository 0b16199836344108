"""The operating curve of a model: one slider from "few false" to "everything" and the threshold that it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from LungNoduleSegLib.weights.card import Card

LOWEST_THRESHOLD = 0.0
"""At the end of the slider every candidate of the run is shown."""


@dataclass(frozen=True)
class OperatingCurve:
    """Thresholds along a slider from 0 (only the surest) to 100 (every candidate).

    The card's operating points lie at equal distances on it, the one with the highest threshold first; between two of
    them the threshold changes linearly. Below the first one it rises half way to 1, beyond the last one it falls to 0.

    Attributes
    ----------
    positions, thresholds
        Where the threshold is known, both with the same length: positions rise from 0 to 100, thresholds fall.
    points
        The card's operating points in the same order (one less at each end).
    default
        Position of the card's default operating point, the middle where it names none.
    """

    positions: tuple[float, ...]
    thresholds: tuple[float, ...]
    points: tuple[Mapping[str, Any], ...]
    default: float

    @classmethod
    def of(cls, card: Card | None) -> OperatingCurve:
        """The curve of a card; without a card, or without operating points, a straight line from 1 to 0."""
        points = sorted(() if card is None else card.operating_points, key=lambda point: -point["threshold"])
        places = [100.0 * number / (len(points) + 1) for number in range(len(points) + 2)]
        known = [float(point["threshold"]) for point in points]
        top = (1.0 + known[0]) / 2 if known else 1.0
        default = next((place for place, point in zip(places[1:], points) if point.get("default")), 50.0)
        return cls(tuple(places), (top, *known, LOWEST_THRESHOLD), tuple(points), default)

    def threshold(self, position: float) -> float:
        """Threshold, 0..1, at a position of the slider; beyond its ends that of the end."""
        return _between(position, self.positions, self.thresholds)

    def position(self, threshold: float) -> float:
        """Position, 0..100, of a threshold: the inverse of `threshold`."""
        falling = tuple(-value for value in self.thresholds)
        return _between(-threshold, falling, self.positions)

    def nearest(self, position: float) -> Mapping[str, Any] | None:
        """The card's operating point at this position, within one step of the slider; None between two of them."""
        for place, point in zip(self.positions[1:], self.points):
            if abs(place - position) < 0.5:
                return point
        return None


def describe_point(point: Mapping[str, Any]) -> str:
    """What an operating point gave where it was measured, as one sentence; empty where the card does not say."""
    try:
        scans, false = int(point["scans"]), int(point["false_positives"])
        found, all_of_them = int(point["found_any"]), int(point["nodules_any"])
    except (KeyError, TypeError, ValueError):
        return ""
    rate = false / scans
    results = "1 false result" if rate == 1 else f"{rate:.3g} false results"
    # Whose scans they were decides what the figures are worth; the card says it in words.
    whose = "training scans" if "training" in str(point.get("source", "")) else "scans"
    return f"Measured on {scans} {whose}: {found} of {all_of_them} nodules found, {results} a scan."


def _between(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    if x <= xs[0]:
        return ys[0]
    for x0, x1, y0, y1 in zip(xs, xs[1:], ys, ys[1:]):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x1 > x0 else y1
    return ys[-1]
