"""How much of a score is leakage: the same network under the slice split (leaky) and the patient split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from training.metrics import Difference
from training.report.layout import images_seen
from training.report.resample import unpaired
from training.report.rows import Row


@dataclass(frozen=True)
class Leak:
    """A row under both splits, and the score under ``slice`` less the score under ``patient``."""

    by_slice: Row
    by_patient: Row
    gaps: dict[str, Difference]


def leaks(rows: Iterable[Row], measures: tuple[str, ...] = ("iou_pos", "dice_pos", "sensitivity")) -> list[Leak]:
    """Every row that was run under both splits at one scale, on as many images seen in training.

    The test images differ (that is the point), so this is no comparison image by image; patients on both test sides
    are drawn together.
    """
    rows = list(rows)
    by_place = {(r.scale, r.study, r.row): r for r in rows if r.protocol == "patient"}
    found = []
    for row in rows:
        other = by_place.get((row.scale, row.study, row.row))
        if row.protocol != "slice" or other is None or images_seen(row) != images_seen(other):
            continue
        gaps = {}
        for measure in measures:
            a, b = row.sample(measure), other.sample(measure)
            if a is not None and b is not None:
                gaps[measure] = unpaired(a, b)
        found.append(Leak(row, other, gaps))
    return found
