"""Complete scans (or scans cropped to the lungs) with their consensus, for true negatives and shifted positives."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from LungNoduleSegLib.ct import CT, lung_mask, read_ct
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import CLIP_HU
from training.data.crops import IGNORE
from training.data.split import ALWAYS_TRAIN
from training.lidc.consensus import consensus_nodules
from training.lidc.database import Scan, read_scans

SMALL_NODULE_MARGIN_MM = 5.0
"""Nothing this near a mark of a nodule under 3 mm is a true negative."""

AIR_HU = CLIP_HU[0]
_FORMAT = 3


@dataclass(frozen=True, eq=False)
class TrainingScan:
    """One scan in memory.

    ``hu`` int16 [k, j, i]; ``labels`` uint8 [k, j, i]: 0 background, 1 consensus, 255 left out of the loss; ``nodules``
    int16 [k, j, i] running number of the nodule of any reader, 0 elsewhere; ``lung`` bool [k, j, i]; ``spacing_mm``
    (k, j, i).
    """

    patient: str
    series: str
    hu: np.ndarray
    labels: np.ndarray
    nodules: np.ndarray
    lung: np.ndarray
    spacing_mm: tuple[float, float, float]

    @property
    def positive_index(self) -> np.ndarray:
        """Flat indices of the voxels of the consensus, ascending."""
        return np.flatnonzero(self.labels == 1)

    @cached_property
    def lung_rows(self) -> np.ndarray:
        """int64 (k * j,): voxels of the lungs up to the end of each row: finds one among millions in little memory."""
        return np.cumsum(self.lung.sum(axis=2, dtype=np.int64).ravel())

    @property
    def lung_voxels(self) -> int:
        """How many voxels the lungs have."""
        return int(self.lung_rows[-1])

    def lung_place(self, number: int) -> tuple[int, int, int]:
        """(k, j, i) of one voxel of the lungs, counted from 0 in the order of memory."""
        row = int(np.searchsorted(self.lung_rows, number, side="right"))
        k, j = divmod(row, self.lung.shape[1])
        before = int(self.lung_rows[row - 1]) if row else 0
        return k, j, int(np.flatnonzero(self.lung[k, j])[number - before])

    def tile(
        self, centre_kji: tuple[int, int, int], size: int, slices: int, together: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """HU (slices, size, size) int16 around a voxel, and the labels (size, size) of the middle slice.

        The window is moved inside where the scan is large enough, and padded with air otherwise; slices beyond the
        ends repeat the last one. With ``together``, each slice is the mean of so many, as a thicker one shows them, and
        nodule is what is nodule in at least half of those.
        """
        k, j, i = (int(v) for v in centre_kji)
        hu = np.full((slices, size, size), AIR_HU, dtype=np.int16)
        labels = np.zeros((size, size), dtype=np.uint8)
        first_j, first_i = tile_start(j, size, self.hu.shape[1]), tile_start(i, size, self.hu.shape[2])
        j0, i0 = max(first_j, 0), max(first_i, 0)
        j1, i1 = min(first_j + size, self.hu.shape[1]), min(first_i + size, self.hu.shape[2])
        window = (slice(j0 - first_j, j1 - first_j), slice(i0 - first_i, i1 - first_i))
        for number, step in enumerate(range(-(slices // 2), slices // 2 + 1)):
            first = k - (together - 1) // 2 + step * together
            levels = [min(max(level, 0), self.hu.shape[0] - 1) for level in range(first, first + together)]
            if together == 1:
                hu[number][window] = self.hu[levels[0], j0:j1, i0:i1]
            else:
                hu[number][window] = np.round(self.hu[levels, j0:j1, i0:i1].mean(axis=0, dtype=np.float32))
            if step == 0:
                labels[window] = _together(self.labels[levels, j0:j1, i0:i1])
        return hu, labels


def _together(labels: np.ndarray) -> np.ndarray:
    """Labels (n, h, w) of n slices as those of one."""
    if len(labels) == 1:
        return labels[0]
    nodule = (labels == 1).mean(axis=0) >= 0.5
    return np.where(nodule, 1, np.where((labels == IGNORE).any(axis=0), IGNORE, 0)).astype(np.uint8)


def tile_start(centre: int, size: int, extent: int) -> int:
    """First index of a tile around ``centre`` along an axis: inside the scan, or negative where the scan is smaller."""
    first = centre - size // 2
    return min(max(first, 0), extent - size) if extent >= size else (extent - size) // 2


def load_scans(
    dicom: Path, boxes: Path, marks: Path, cache: Path, patients: frozenset[str] = ALWAYS_TRAIN
) -> list[TrainingScan]:
    """The training scans of those patients: ``dicom/PATIENT`` folders and ``boxes/PATIENT.npz``; cached one by one."""
    found = []
    for patient in sorted(patients):
        stored = cache / f"{patient}.npz"
        if stored.is_file():
            with np.load(stored) as data:
                if int(data["format"]) == _FORMAT:
                    found.append(_from_arrays(data))
                    continue
        scan = _read(patient, dicom, boxes, marks)
        cache.mkdir(parents=True, exist_ok=True)
        beside = stored.with_suffix(".part.npz")
        np.savez(
            beside, format=_FORMAT, patient=scan.patient, series=scan.series, hu=scan.hu, labels=scan.labels,
            nodules=scan.nodules, lung=scan.lung, spacing_mm=scan.spacing_mm,
        )  # fmt: skip
        beside.replace(stored)
        found.append(scan)
    return found


def _from_arrays(data) -> TrainingScan:
    return TrainingScan(
        str(data["patient"]), str(data["series"]), data["hu"], data["labels"], data["nodules"], data["lung"],
        tuple(float(v) for v in data["spacing_mm"]),
    )  # fmt: skip


def _read(patient: str, dicom: Path, boxes: Path, marks: Path) -> TrainingScan:
    if (dicom / patient).is_dir():
        ct, z_mm, origin = read_lidc_scan(dicom / patient)
    elif (boxes / f"{patient}.npz").is_file():
        ct, z_mm, origin = read_lung_box(boxes / f"{patient}.npz")
    else:
        remedy = f"Put its DICOM folder there, or {patient}.npz in {boxes}."
        raise InputError(f"no scan of {patient} found", path=dicom, remedy=remedy)
    annotated = read_scans(series_uids={ct.series_uid})
    if not annotated:
        raise InputError(f"no annotations of {patient}'s series {ct.series_uid} in the database", path=dicom)
    (scan,) = annotated
    return annotated_scan(patient, ct, scan, z_mm, origin, marks)


def annotated_scan(
    patient: str, ct: CT, scan: Scan, z_mm: np.ndarray, origin: tuple[int, int], marks: Path | None
) -> TrainingScan:
    """A CT with its consensus; ``z_mm`` and ``origin`` (row, column) say which part of the annotated scan it is.

    Without the table of ``marks``, what is near a nodule under 3 mm counts as background.
    """
    hu = np.clip(ct.hu, *CLIP_HU)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    nodules = np.zeros(hu.shape, dtype=np.int16)
    for number, nodule in enumerate(consensus_nodules(scan, z_mm), start=1):
        k, j, i = (o - s for o, s in zip(nodule.offset_kji, (0, *origin)))
        box = tuple(slice(a, a + n) for a, n in zip((k, j, i), nodule.votes.shape))
        labels[box][nodule.mask] = 1
        nodules[box][nodule.votes > 0] = number
    if marks is not None:
        small = small_nodule_zone(ct, scan, marks, z_mm, origin)
        labels[small & (labels == 0)] = IGNORE
    return TrainingScan(patient, ct.series_uid, hu, labels, nodules, lung_mask(ct), ct.spacing_mm)


def read_lidc_scan(folder: Path | list[Path]) -> tuple[CT, np.ndarray, tuple[int, int]]:
    """A DICOM scan (folder or files), the z of its slices in mm, and the (row, column) of its first pixel: (0, 0)."""
    ct = read_ct(folder)
    z_mm = ct.ijk_to_ras[2, 3] + ct.ijk_to_ras[2, 2] * np.arange(ct.hu.shape[0])
    return ct, z_mm, (0, 0)


def read_lung_box(path: Path) -> tuple[CT, np.ndarray, tuple[int, int]]:
    """A scan cropped to the lungs (.npz), the z of its slices in mm, and (row, column) of its first pixel."""
    with np.load(path) as data:
        spacing = tuple(float(v) for v in data["spacing_mm"])
        ct = CT.from_array(np.ascontiguousarray(data["hu"]), spacing_mm=spacing, series_uid=str(data["series"]))
        return ct, data["z_mm"], tuple(int(v) for v in data["origin_rc"])


def small_nodule_zone(ct: CT, scan: Scan, marks: Path, z_mm: np.ndarray, origin: tuple[int, int]) -> np.ndarray:
    """bool [k, j, i]: within 5 mm of a reader's mark of a nodule under 3 mm.

    ``z_mm`` of the slices that k counts and ``origin`` (row, column) of the first pixel place a cropped scan.
    """
    zone = np.zeros(ct.hu.shape, dtype=bool)
    opened = gzip.open if marks.suffix == ".gz" else open
    with opened(marks, "rt", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["series_instance_uid"] != scan.series_uid or row["kind"] != "nodule_lt3":
                continue
            distance = np.abs(z_mm - float(row["z_mm"]))
            if distance.min() > SMALL_NODULE_MARGIN_MM:
                continue  # above or below a cropped scan
            k = int(distance.argmin())
            _ball(zone, (k, int(float(row["row"])) - origin[0], int(float(row["column"])) - origin[1]), ct.spacing_mm)
    return zone


def _ball(zone: np.ndarray, centre: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> None:
    reach = [int(np.ceil(SMALL_NODULE_MARGIN_MM / s)) for s in spacing_mm]
    low = [max(c - r, 0) for c, r in zip(centre, reach)]
    high = [min(c + r + 1, n) for c, r, n in zip(centre, reach, zone.shape)]
    if any(a >= b for a, b in zip(low, high)):
        return
    grid = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high))]
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing_mm))
    zone[tuple(slice(a, b) for a, b in zip(low, high))] |= squared <= SMALL_NODULE_MARGIN_MM**2
