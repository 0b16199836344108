"""A whole CT's result against the annotations: found, missed, false, and how well outlined."""

from __future__ import annotations

import csv
import gzip
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from LungNoduleSegLib.ct import CT
from training.lidc.consensus import ConsensusNodule, consensus_nodules
from training.lidc.database import Scan, read_scans
from training.metrics import dice_of_masks, hausdorff_95_mm, volume_error

MARK_REACH_MM = 5.0
"""A result this near a mark without contour is taken to mean that finding (LUNA16 leaves both out)."""

RELEVANT_READERS = 3
"""LUNA16 (Setio et al., Medical Image Analysis 2017) asks for nodules of at least three readers."""


@dataclass(frozen=True)
class NoduleRow:
    """One annotated nodule: what the result made of it.

    Sizes in mm, volumes in mm3, z in mm, pixel row and column of the 512x512 slice. ``diameter_mm`` is that of the ball
    with the consensus' volume. What was not found has no outline to measure: ``hd95_mm`` and ``volume_error`` are None.
    """

    patient: str
    readers: int
    row: int
    column: int
    z_mm: float
    volume_mm3: float
    diameter_mm: float
    found: bool
    probability: float
    dice: float
    result_mm3: float = 0.0
    hd95_mm: float | None = None
    volume_error: float | None = None


@dataclass(frozen=True)
class ScanFigures:
    """One scan: its nodules, and false results counted by both conventions (`strict`, `luna16`)."""

    patient: str
    rows: tuple[NoduleRow, ...]
    strict_false: int
    luna16_false: int
    results: int

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Truth:
    """Annotations of one scan on its own voxels.

    ``origin_rc`` (row, column) of the first voxel in the 512x512 slice, ``z_mm`` of the slices, ``marks`` (m, 3) float
    [k, j, i] of findings without contour.
    """

    patient: str
    nodules: tuple[ConsensusNodule, ...]
    marks: np.ndarray
    origin_rc: tuple[int, int]
    z_mm: np.ndarray
    spacing_mm: tuple[float, float, float]

    def box(self, nodule: ConsensusNodule) -> tuple[slice, slice, slice]:
        """Where a nodule's votes lie in the scan's array [k, j, i]."""
        first = (nodule.offset_kji[0], *(o - c for o, c in zip(nodule.offset_kji[1:], self.origin_rc)))
        return tuple(slice(a, a + n) for a, n in zip(first, nodule.votes.shape))  # type: ignore[return-value]

    def centre_kji(self, nodule: ConsensusNodule) -> np.ndarray:
        """float (3,): centroid of the consensus in the scan's array."""
        return np.argwhere(nodule.mask).mean(axis=0) + [s.start for s in self.box(nodule)]

    def diameter_mm(self, nodule: ConsensusNodule) -> float:
        """Of the ball with the consensus' volume."""
        return float((6 * nodule.mask.sum() * np.prod(self.spacing_mm) / np.pi) ** (1 / 3))

    def seed_kji(self, nodule: ConsensusNodule) -> tuple[int, int, int]:
        """The consensus voxel nearest the consensus' centroid."""
        voxels = np.argwhere(nodule.mask)
        distance = ((voxels - voxels.mean(axis=0)) * self.spacing_mm) ** 2
        nearest = voxels[distance.sum(axis=1).argmin()]
        return tuple(int(v + s.start) for v, s in zip(nearest, self.box(nodule)))  # type: ignore[return-value]


def read_truth(ct: CT, z_mm: np.ndarray, origin_rc: tuple[int, int], marks_table: Path | None) -> Truth:
    """Annotations of the CT's series. Raises ValueError when LIDC-IDRI's database does not hold it.

    ``marks_table`` (.csv or .csv.gz) lists what the readers marked without contour; without it these are not known.
    """
    (scan,) = read_scans(series_uids={ct.series_uid})
    nodules = tuple(n for n in consensus_nodules(scan, z_mm) if n.mask.any())
    return Truth(scan.patient_id, nodules, _marks(scan, z_mm, origin_rc, marks_table), origin_rc, z_mm, ct.spacing_mm)


def _marks(scan: Scan, z_mm: np.ndarray, origin_rc: tuple[int, int], table: Path | None) -> np.ndarray:
    found: list[tuple[float, float, float]] = []
    if table is None:
        return np.zeros((0, 3))
    opened = gzip.open if table.suffix == ".gz" else open
    with opened(table, "rt", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["series_instance_uid"] == scan.series_uid:
                k = float(np.interp(float(row["z_mm"]), z_mm, np.arange(len(z_mm))))
                found.append((k, float(row["row"]) - origin_rc[0], float(row["column"]) - origin_rc[1]))
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def judge(labels: np.ndarray, probabilities: dict[int, float], truth: Truth) -> ScanFigures:
    """Compare a label volume with the annotations.

    Parameters
    ----------
    labels
        uint16 [k, j, i], 0 background, else one value a result.
    probabilities
        label -> probability of that result.

    Notes
    -----
    Found: a result overlaps the consensus of a nodule. Its Dice is taken with all results that overlap it joined.
    `strict` false: overlaps no annotation of any reader. `luna16` false: of those, the ones within 5 mm of no mark of a
    small nodule or non-nodule either.
    """
    boxes = dict(enumerate(ndimage.find_objects(labels), start=1))
    present = {label for label, box in boxes.items() if box is not None}
    touched: set[int] = set()
    rows = []
    for nodule in truth.nodules:
        here = labels[truth.box(nodule)]
        touched |= set(np.unique(here[nodule.votes > 0]).tolist()) - {0}
        hits = sorted(set(np.unique(here[nodule.mask]).tolist()) - {0})
        rows.append(_row(nodule, truth, labels, hits, probabilities, [boxes[h] for h in hits]))
    others = sorted(present - touched)
    near = [n for n in others if near_mark(_voxels(labels, n, boxes[n]), truth)]
    return ScanFigures(truth.patient, tuple(rows), len(others), len(others) - len(near), len(present))


def _voxels(labels: np.ndarray, label: int, box: tuple[slice, slice, slice]) -> np.ndarray:
    return np.argwhere(labels[box] == label) + [s.start for s in box]


def _row(
    nodule: ConsensusNodule,
    truth: Truth,
    labels: np.ndarray,
    hits: list[int],
    probabilities: dict[int, float],
    boxes: list[tuple[slice, slice, slice]],
) -> NoduleRow:
    inside = truth.box(nodule)
    centre = truth.centre_kji(nodule)
    voxel = float(np.prod(truth.spacing_mm))
    volume = float(nodule.mask.sum()) * voxel
    # Everything that matters lies in the smallest box around the nodule and the results that overlap it.
    around = tuple(slice(min(b[n].start for b in (inside, *boxes)), max(b[n].stop for b in (inside, *boxes)))
                   for n in range(3))  # fmt: skip
    predicted = np.isin(labels[around], hits)
    true = np.zeros(predicted.shape, dtype=bool)
    true[tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(inside, around))] = nodule.mask
    distance = hausdorff_95_mm(predicted, true, truth.spacing_mm)
    result = float(predicted.sum()) * voxel
    return NoduleRow(
        patient=truth.patient,
        readers=nodule.readers,
        row=round(float(centre[1]) + truth.origin_rc[0]),
        column=round(float(centre[2]) + truth.origin_rc[1]),
        z_mm=float(np.interp(centre[0], np.arange(len(truth.z_mm)), truth.z_mm)),
        volume_mm3=round(volume, 1),
        diameter_mm=round(truth.diameter_mm(nodule), 1),
        found=bool(hits),
        probability=max((probabilities.get(h, 0.0) for h in hits), default=0.0),
        dice=round(dice_of_masks(predicted, true), 3),
        result_mm3=round(result, 1),
        hd95_mm=None if distance is None else round(distance, 2),
        volume_error=round(volume_error(result, volume), 3) if hits else None,
    )


def near_mark(voxels: np.ndarray, truth: Truth) -> bool:
    """Whether one of the voxels (n, 3) [k, j, i] lies within 5 mm of a mark without contour."""
    spacing = np.asarray(truth.spacing_mm)
    reach = MARK_REACH_MM**2
    return any((((voxels - mark) * spacing) ** 2).sum(axis=1).min() <= reach for mark in truth.marks)


def dice_3d(predicted: np.ndarray, nodule: ConsensusNodule, truth: Truth) -> float:
    """Dice of a bool volume [k, j, i] with one nodule's consensus."""
    overlap = int((predicted[truth.box(nodule)] & nodule.mask).sum())
    return 2 * overlap / (int(predicted.sum()) + int(nodule.mask.sum()))
