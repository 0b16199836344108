"""A whole CT's result against the annotations: found, missed, false, and how well outlined."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from LungNoduleSegLib.ct import CT
from training.lidc.consensus import ConsensusNodule, consensus_nodules
from training.lidc.database import Scan, read_scans

MARK_REACH_MM = 5.0
"""A result this near a mark without contour is taken to mean that finding (LUNA16 leaves both out)."""

RELEVANT_READERS = 3
"""LUNA16 (Setio et al., Medical Image Analysis 2017) asks for nodules of at least three readers."""


@dataclass(frozen=True)
class NoduleRow:
    """One annotated nodule: what the result made of it. Sizes in mm, volumes in mm3, z in mm, pixel row and column."""

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

    def seed_kji(self, nodule: ConsensusNodule) -> tuple[int, int, int]:
        """The consensus voxel nearest the consensus' centroid."""
        voxels = np.argwhere(nodule.mask)
        distance = ((voxels - voxels.mean(axis=0)) * self.spacing_mm) ** 2
        nearest = voxels[distance.sum(axis=1).argmin()]
        return tuple(int(v + s.start) for v, s in zip(nearest, self.box(nodule)))  # type: ignore[return-value]


def read_truth(ct: CT, z_mm: np.ndarray, origin_rc: tuple[int, int], marks_table: Path) -> Truth:
    """Annotations of the CT's series. Raises ValueError when LIDC-IDRI's database does not hold it."""
    (scan,) = read_scans(series_uids={ct.series_uid})
    nodules = tuple(n for n in consensus_nodules(scan, z_mm) if n.mask.any())
    return Truth(scan.patient_id, nodules, _marks(scan, z_mm, origin_rc, marks_table), origin_rc, z_mm, ct.spacing_mm)


def _marks(scan: Scan, z_mm: np.ndarray, origin_rc: tuple[int, int], table: Path) -> np.ndarray:
    found = []
    with table.open(newline="", encoding="utf-8") as stream:
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
    touched: set[int] = set()
    rows = []
    for nodule in truth.nodules:
        box = truth.box(nodule)
        here = labels[box]
        touched |= set(np.unique(here[nodule.votes > 0]).tolist()) - {0}
        hits = sorted(set(np.unique(here[nodule.mask]).tolist()) - {0})
        predicted = int(np.isin(labels, hits).sum()) if hits else 0
        overlap = int(np.isin(here[nodule.mask], hits).sum()) if hits else 0
        rows.append(_row(nodule, truth, hits, probabilities, 2 * overlap / (predicted + int(nodule.mask.sum()))))
    others = sorted(set(np.unique(labels).tolist()) - {0} - touched)
    near = [label for label in others if near_mark(np.argwhere(labels == label), truth)]
    results = len(set(np.unique(labels).tolist()) - {0})
    return ScanFigures(truth.patient, tuple(rows), len(others), len(others) - len(near), results)


def _row(
    nodule: ConsensusNodule, truth: Truth, hits: list[int], probabilities: dict[int, float], dice: float
) -> NoduleRow:
    centre = np.argwhere(nodule.mask).mean(axis=0) + nodule.offset_kji
    volume = float(nodule.mask.sum() * np.prod(truth.spacing_mm))
    return NoduleRow(
        patient=truth.patient,
        readers=nodule.readers,
        row=round(float(centre[1])),
        column=round(float(centre[2])),
        z_mm=float(np.interp(centre[0], np.arange(len(truth.z_mm)), truth.z_mm)),
        volume_mm3=round(volume, 1),
        diameter_mm=round(float((6 * volume / np.pi) ** (1 / 3)), 1),
        found=bool(hits),
        probability=max((probabilities.get(h, 0.0) for h in hits), default=0.0),
        dice=round(dice, 3),
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
