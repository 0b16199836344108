"""What one model made of one scan: everything that the tables are made of, kept as JSON so that a run can go on."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.segmenter.result import Result
from LungNoduleSegLib.segmenter.segmenter import MIN_DIAMETER_MM, Segmenter
from training.evaluate.luna16 import UNKNOWN_DIAMETER_MM, annotated_lps, detections, to_lps
from training.evaluate.places import Place, open_place
from training.evaluate.whole_scans import RELEVANT_READERS, NoduleRow, ScanFigures, Truth, judge
from training.metrics import Matched, match

FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """What a record depends on; one made with others is made anew."""

    model: str
    sha256: str
    threshold: float
    min_diameter_mm: float
    marks_sha256: str
    format: int = FORMAT


@dataclass(frozen=True)
class Record:
    """One scan.

    ``figures`` at the operating point; ``candidates`` and ``annotations`` rows (x, y, z in LPS mm, probability or
    diameter mm), at every threshold; ``nodule_scores`` (None for a miss) and ``false_scores`` by LUNA16's rule.
    """

    settings: Settings
    patient: str
    series: str
    world: bool
    slices: int
    spacing_mm: tuple[float, float, float]
    seconds: float
    figures: ScanFigures
    candidates: tuple[tuple[float, float, float, float], ...]
    annotations: tuple[tuple[float, float, float, float], ...]
    excluded: tuple[tuple[float, float, float, float], ...]
    nodule_places: tuple[tuple[float, float, float], ...]
    nodule_scores: tuple[float | None, ...]
    false_scores: tuple[float, ...]

    def matched(self) -> Matched:
        """For `training.metrics.froc`."""
        scores = [-np.inf if s is None else s for s in self.nodule_scores]
        return Matched(np.array(scores, dtype=np.float64), np.array(self.false_scores, dtype=np.float64))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Record:
        data = json.loads(text)
        figures = data["figures"]
        figures["rows"] = tuple(NoduleRow(**row) for row in figures["rows"])
        for name in ("candidates", "annotations", "excluded", "nodule_places"):
            data[name] = tuple(tuple(row) for row in data[name])
        for name in ("spacing_mm", "nodule_scores", "false_scores"):
            data[name] = tuple(data[name])
        return cls(**data | {"settings": Settings(**data["settings"]), "figures": ScanFigures(**figures)})


def settings_of(segmenter: Segmenter, marks: Path | None) -> Settings:
    """The default operating point of a model."""
    sha256 = "" if segmenter.card is None else segmenter.card.sha256 or ""
    return Settings(
        segmenter.name or type(segmenter.engine).__name__, sha256, segmenter.default_threshold, MIN_DIAMETER_MM,
        marks_sha256(marks),
    )  # fmt: skip


def marks_sha256(marks: Path | None) -> str:
    """Of a table of marks; "" without one."""
    return "" if marks is None else hashlib.sha256(marks.read_bytes()).hexdigest()


def examine(segmenter: Segmenter, place: Place, marks: Path | None) -> Record:
    """Segment one scan at the most sensitive point and judge it: candidates at every threshold, results at the default.

    Raises
    ------
    InputError
        A scan that cannot be read, or without lungs.
    """
    ct, truth = open_place(place, marks)
    settings = settings_of(segmenter, marks)
    start = time.perf_counter()
    everything = segmenter.segment(ct, threshold=0.0, min_diameter_mm=settings.min_diameter_mm)
    return record_of(settings, place, ct, truth, everything, time.perf_counter() - start)


def record_of(settings: Settings, place: Place, ct: CT, truth: Truth, everything: Result, seconds: float) -> Record:
    """The record of a scan whose candidates are all in ``everything``, whatever its threshold."""
    result = everything.at(settings.threshold, min_diameter_mm=settings.min_diameter_mm)
    figures = judge(result.labels, {n.label: n.probability for n in result.nodules}, truth)
    kept = [c for c in everything.candidates if c.diameter_mm >= settings.min_diameter_mm]
    found = match(detections(kept, truth, ct))
    centres, diameters = annotated_lps(truth, ct)
    relevant = np.array([n.readers >= RELEVANT_READERS for n in truth.nodules], dtype=bool)
    rows = np.column_stack([centres, diameters])
    marks = np.column_stack([to_lps(ct.kji_to_ras(truth.marks)), np.full(len(truth.marks), UNKNOWN_DIAMETER_MM)])
    places = to_lps(np.array([c.centroid_ras for c in kept], dtype=np.float64).reshape(-1, 3))
    return Record(
        settings=settings,
        patient=place.patient,
        series=place.series,
        world=place.world,
        slices=ct.shape[0],
        spacing_mm=ct.spacing_mm,
        seconds=round(seconds, 1),
        figures=figures,
        candidates=_rounded(np.column_stack([places, [c.probability for c in kept]])),
        annotations=_rounded(rows[relevant]),
        excluded=_rounded(np.concatenate([rows[~relevant], marks])),
        nodule_places=_rounded(centres),
        nodule_scores=tuple(None if np.isinf(s) else round(float(s), 6) for s in found.nodule_scores),
        false_scores=tuple(round(float(s), 6) for s in found.false_scores),
    )


def _rounded(rows: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), 6) for v in row) for row in rows)


def examined(
    segmenter: Segmenter, settings: Settings, place: Place, marks: Path | None, folder: Path
) -> tuple[Record, bool]:
    """The record of a scan: kept from before (True) where it was made with the same settings, else made and kept."""
    path = folder / f"{place.series}.json"
    if path.is_file():
        try:
            record = Record.from_json(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError, KeyError):
            record = None  # of another version
        if record is not None and record.settings == settings and record.world == place.world:
            return record, True
    record = examine(segmenter, place, marks)
    folder.mkdir(parents=True, exist_ok=True)
    write(path, record.to_json())
    return record, False


def write(path: Path, text: str) -> None:
    """Write beside, then rename: the file is whole or not there."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
