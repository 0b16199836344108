"""Figures over scans, by what the model has seen of them; groups are never pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from LungNoduleSegLib.weights import Card, trained_on
from training.data.split import NEVER_USED
from training.evaluate.records import Record
from training.evaluate.whole_scans import RELEVANT_READERS, NoduleRow
from training.lidc.database import Scan
from training.metrics import bootstrap, froc
from training.metrics.froc import MIN_SCANS

NOT_SEEN, DEVELOPMENT, CHOSEN_ON, SEEN = "not seen", "development", "seen in validation", "seen in training"
TWO_FOLDS = "two folds"
GROUPS = {
    NOT_SEEN: "no scan of the patient was trained on or looked at",
    TWO_FOLDS: "judged by a network that left the patient out of its training, one of several, with a candidate scorer "
    "that was fitted on scans of the others",
    DEVELOPMENT: "LIDC-IDRI-0063: no weight was fitted on it, but the program's decisions were tried on it",
    CHOSEN_ON: "the model was chosen by crops or scans of the patient",
    SEEN: "the model was trained on crops or scans of the patient: what it reaches here says little of other scans",
}


def group_of(patient: str, card: Card | None, scans: Sequence[Scan]) -> str:
    """Which group a patient's scans belong to: the most that the model has seen of any scan of the patient."""
    if card is not None:
        parts = {trained_on(card, s.series_uid) for s in scans if s.patient_id == patient}
        if "train" in parts:
            return SEEN
        if "validation" in parts:
            return CHOSEN_ON
    return DEVELOPMENT if patient in NEVER_USED else NOT_SEEN


def summarise(records: Sequence[Record]) -> dict[str, object]:
    """Figures of the scans of one group, raw counts beside every rate.

    Intervals come from resampling patients (FROC: scans), and are None for fewer than five of them.
    """
    rows = [row for record in records for row in record.figures.rows]
    curve = froc([record.matched() for record in records])
    scans = len(records)
    return {
        "scans": scans,
        "patients": sorted({r.patient for r in records}),
        "slices": sum(r.slices for r in records),
        "seconds_a_scan": round(float(np.mean([r.seconds for r in records])), 1),
        "nodules_by_readers": {str(n): sum(row.readers == n for row in rows) for n in (1, 2, 3, 4)},
        "froc_luna16": None if curve is None else curve.to_dict(),
        "at_operating_point": {
            "threshold": records[0].settings.threshold,
            "results": sum(r.figures.results for r in records),
            "found_by_readers": {str(n): _found(row for row in rows if row.readers == n) for n in (1, 2, 3, 4)},
            "found_of_3_and_4_readers": _found(row for row in rows if row.readers >= RELEVANT_READERS),
            "found_of_any": _found(rows),
            **_false("strict", [r.figures.strict_false for r in records]),
            **_false("luna16", [r.figures.luna16_false for r in records]),
        },
        "outlines_of_found": {
            "of_3_and_4_readers": _outlines([r for r in rows if r.readers >= RELEVANT_READERS]),
            "of_any": _outlines(rows),
        },
    }


def _found(rows) -> dict[str, int]:
    hits = [row.found for row in rows]
    return {"found": sum(hits), "nodules": len(hits)}


def _false(name: str, counts: list[int]) -> dict[str, object]:
    return {f"false_{name}": sum(counts), f"false_{name}_a_scan": round(sum(counts) / len(counts), 2)}


def _outlines(rows: Sequence[NoduleRow]) -> dict[str, object]:
    """Means over the nodules that were found; of the misses nothing can be said but that they are misses."""
    found = [row for row in rows if row.found]
    patients = np.array([row.patient for row in found])
    values = {
        "dice_3d": [row.dice for row in found],
        "hd95_mm": [row.hd95_mm for row in found],
        "volume_error": [row.volume_error for row in found],
        "absolute_volume_error": [abs(row.volume_error or 0.0) for row in found],
    }
    return {"nodules": len(found)} | {name: _mean(np.array(v, dtype=float), patients) for name, v in values.items()}


def _mean(values: np.ndarray, patients: np.ndarray) -> dict[str, float | int | None] | None:
    if len(values) == 0:
        return None
    estimate = bootstrap(values, patients)
    enough = estimate.n_patients >= MIN_SCANS
    return {
        "mean": round(estimate.value, 4),
        "low": round(estimate.low, 4) if enough else None,
        "high": round(estimate.high, 4) if enough else None,
        "median": round(float(np.median(values)), 4),
        "n_nodules": estimate.n_images,
        "n_patients": estimate.n_patients,
    }
