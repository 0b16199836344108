"""Sentences that every report shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

RESEARCH_USE = "For research use only: not a medical device, not for diagnosis or treatment."


def headline(result: Any) -> str:
    """The number of nodules: "No nodule found", "1 nodule", "4 nodules"."""
    count = len(result.nodules)
    if count == 0:
        return "No nodule found"
    return "1 nodule" if count == 1 else f"{count} nodules"


def ras_text(point: Sequence[float]) -> str:
    """A place in mm with the letters of its directions: ``R 55.2, P 33.1, I 104.0 mm``."""
    names = [("R", "L"), ("A", "P"), ("S", "I")]
    return ", ".join(f"{pair[v < 0]} {abs(v):.1f}" for pair, v in zip(names, point)) + " mm"


@dataclass(frozen=True)
class BestPlace:
    """The most probable place of a run: ``probability`` 0..1, ``ras`` in mm, ``diameter_mm`` of a candidate or None."""

    probability: float
    ras: tuple[float, float, float]
    diameter_mm: float | None = None


def best_place(result: Any) -> BestPlace | None:
    """The best candidate, which a threshold is applied to; without any, the voxel that the network rated highest."""
    if result.candidates:
        best = max(result.candidates, key=lambda candidate: candidate.probability)
        return BestPlace(best.probability, best.centroid_ras, best.diameter_mm)
    if result.best is None:
        return None
    return BestPlace(result.best[0], tuple(result.best[1]))


def best_sentence(result: Any) -> str:
    """The highest probability and its place, for a run that found nothing; empty where nothing was rated."""
    best = best_place(result)
    if best is None:
        return ""
    what = "of a voxel" if best.diameter_mm is None else f"of a candidate ({best.diameter_mm:.1f} mm)"
    return f"Highest probability {what}: {best.probability:.2f} at {ras_text(best.ras)}."


def training_sentence(result: Any) -> str:
    """What it means that the model has seen this CT; empty where it has not."""
    if not result.seen_in_training:
        return ""
    part = {"train": "trained on this CT", "validation": "tuned on this CT (validation)"}[result.seen_in_training]
    return f"The model was {part}: what it finds here says nothing about other patients."
