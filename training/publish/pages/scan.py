"""One complete scan for a model's page: the figures as JSON, and a picture of every annotated nodule."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib.segmenter.segmenter import Segmenter
from training.lidc.consensus import ConsensusNodule
from training.publish.operating import ScanLook, look_at_scan
from training.sources import Sources

SHOWN_MM = 44.0
"""Side of the square that a nodule is shown in."""


@dataclass(frozen=True, eq=False)
class NoduleView:
    """The axial slice through the middle of one annotated nodule.

    ``hu`` (n, n) int16 about its centroid, ``mm_per_px`` (rows, columns); ``truth``, ``result`` and ``click`` bool
    (n, n): the consensus, all results of the whole scan, and what one click in the nodule gives.
    """

    title: str
    hu: np.ndarray
    truth: np.ndarray
    result: np.ndarray
    click: np.ndarray
    mm_per_px: tuple[float, float]


def measure_scan(segmenter: Segmenter, patient: str, sources: Sources) -> tuple[dict[str, Any], list[NoduleView]]:
    """A whole CT at the default operating point and one click a nodule.

    Returns
    -------
    The figures, in JSON types, with the hash of the weights; and a view a nodule, in the same order: most readers
    first.
    """
    look = look_at_scan(segmenter, patient, sources)
    order = sorted(range(len(look.rows)), key=lambda n: (-look.rows[n]["readers"], -look.rows[n]["diameter_mm"]))
    nodules = []
    for n in order:
        kept = ("readers", "diameter_mm", "z_mm", "found", "probability", "dice", "hd95_mm", "click_dice")
        row = {name: look.rows[n][name] for name in kept}
        rounded = {"z_mm": round(row["z_mm"], 1), "probability": round(row["probability"], 3)}
        nodules.append({"words": words(look.truth.nodules[n]), **row, **rounded})
    card = segmenter.card
    figures = {
        "sha256": None if card is None else card.sha256,
        "patient": patient,
        "threshold": segmenter.default_threshold,
        "slices": look.ct.shape[0],
        "results": look.figures.results,
        "false_strict": look.figures.strict_false,
        "false_luna16": look.figures.luna16_false,
        "nodules": nodules,
    }
    return json.loads(json.dumps(figures)), [_view(look, n, number) for number, n in enumerate(order, start=1)]


def words(nodule: ConsensusNodule) -> str:
    """What the readers' median ratings say of a nodule."""

    def median(name: str) -> float | None:
        values = [a.ratings[name] for a in nodule.annotations if name in a.ratings]
        return float(np.median(values)) if values else None

    found = []
    texture, calcification = median("texture"), median("calcification")
    if texture is not None:
        found.append("solid" if texture >= 4 else "part-solid" if texture >= 2 else "ground-glass")
    if calcification is not None and calcification < 6:
        found.append("calcified")
    if (median("spiculation") or 0) >= 3:
        found.append("spiculated")
    if median("internalStructure") == 4:
        found.append("air inside")
    return ", ".join(found) or "not rated"


def with_times(figures: dict[str, Any], benchmark: Path, model: str) -> dict[str, Any]:
    """The figures with the seconds that `benchmarks/whole_ct.py --json` measured of this model."""
    data = json.loads(benchmark.read_text(encoding="utf-8"))
    rows = [
        {
            "ct": row["ct"], "slices": row["ours"]["shape"][0], "engine": row["ours"]["engine"],
            "seconds": round(row["ours"]["seconds"], 1), "peak_mb": round(row["ours"]["peak_mb"]),
        }
        for row in data["rows"]
        if row["model"] == model
    ]  # fmt: skip
    return {**figures, "times": {"machine": data["machine"], "rows": rows}} if rows else figures


def _view(look: ScanLook, n: int, number: int) -> NoduleView:
    nodule, row = look.truth.nodules[n], look.rows[n]
    centre = look.truth.centre_kji(nodule)
    k = round(float(centre[0]))
    mm = look.ct.spacing_mm[1:]
    rows, columns = (
        slice(max(round(float(c) - SHOWN_MM / 2 / m), 0), round(float(c) + SHOWN_MM / 2 / m))
        for c, m in zip(centre[1:], mm)
    )
    truth = np.zeros(look.ct.shape, bool)
    truth[look.truth.box(nodule)] = nodule.mask
    part = (k, rows, columns)
    title = f"{number}: {row['readers']} reader{'s' if row['readers'] > 1 else ''}, {row['diameter_mm']:.1f} mm"
    return NoduleView(
        title, look.ct.hu[part], truth[part], look.labels[part] > 0, look.clicks[n][part], (float(mm[0]), float(mm[1]))
    )
