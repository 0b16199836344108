"""Candidates and annotations as LUNA16 writes them, and its rule for hits.

World coordinates are DICOM's patient coordinates in mm (LPS: x to the patient's left, y to the back, z to the head), of
centroids; ``diameter_mm`` is that of the ball with the volume of the 50 % consensus. A test compares them with the
challenge's own row for LIDC-IDRI-0001's nodule: (56.21, 86.34, -115.87), 23.35 mm.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate
from training.evaluate.whole_scans import MARK_REACH_MM, RELEVANT_READERS, Truth
from training.metrics import Detections

CANDIDATE_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "probability")
ANNOTATION_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")

UNKNOWN_DIAMETER_MM = -1.0
"""A mark without contour; the challenge's script then takes 10 mm, that is, a radius of `MARK_REACH_MM`."""


def to_lps(ras: np.ndarray) -> np.ndarray:
    """(..., 3) mm from RAS to LPS, or back."""
    return np.asarray(ras, dtype=np.float64) * (-1.0, -1.0, 1.0)


def annotated_lps(truth: Truth, ct: CT) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 3) LPS mm and diameters (n,) mm of every annotated nodule."""
    centres = np.array([truth.centre_kji(n) for n in truth.nodules], dtype=np.float64).reshape(-1, 3)
    return to_lps(ct.kji_to_ras(centres)), np.array([truth.diameter_mm(n) for n in truth.nodules])


def detections(candidates: Sequence[Candidate], truth: Truth, ct: CT) -> Detections:
    """One scan for `training.metrics.froc`: nodules of three and four readers to find, everything else to ignore."""
    centres, diameters = annotated_lps(truth, ct)
    relevant = np.array([n.readers >= RELEVANT_READERS for n in truth.nodules], dtype=bool)
    marks = to_lps(ct.kji_to_ras(truth.marks.reshape(-1, 3)))
    return Detections(
        centres_mm=to_lps(np.array([c.centroid_ras for c in candidates], dtype=np.float64).reshape(-1, 3)),
        probabilities=np.array([c.probability for c in candidates]),
        nodules_mm=centres[relevant],
        radii_mm=diameters[relevant] / 2,
        ignored_mm=np.concatenate([centres[~relevant], marks]),
        ignored_radii_mm=np.concatenate([diameters[~relevant] / 2, np.full(len(marks), MARK_REACH_MM)]),
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with LUNA16's line ends."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
