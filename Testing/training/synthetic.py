"""Small made-up annotations, crops and scans, with truths that can be told by hand."""

from __future__ import annotations

import numpy as np

from training.data.crops import Crops
from training.data.scans import TrainingScan
from training.lidc.database import Annotation, Contour, Scan

TRAIN, VALIDATION, TEST = "LIDC-IDRI-0001", "LIDC-IDRI-0004", "LIDC-IDRI-0005"
"""A patient on each side of the split."""


def box_outline(row: int, column: int, height: int, width: int) -> list[tuple[int, int]]:
    """Every pixel on the border of a box, in order, first one repeated at the end."""
    top = [(row, c) for c in range(column, column + width)]
    right = [(r, column + width - 1) for r in range(row + 1, row + height)]
    bottom = [(row + height - 1, c) for c in range(column + width - 2, column - 1, -1)]
    left = [(r, column) for r in range(row + height - 2, row - 1, -1)]
    return top + right + bottom + left


def contour(z_mm: float, points: list[tuple[int, int]], inclusion: bool = True) -> Contour:
    return Contour(z_mm, inclusion, np.array(points, dtype=np.int64))


def annotation(number: int, *contours: Contour) -> Annotation:
    return Annotation(number, tuple(contours), {})


def annotated_scan(
    *annotations: Annotation, slices: int = 10, thickness_mm: float = 1.0, patient: str = TRAIN, series: str = "1.2.3"
) -> Scan:
    """Slices at z = 0, 1, 2 ... mm."""
    return Scan(1, patient, series, 0.7, thickness_mm, np.arange(slices, dtype=float), annotations)


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    """bool (size, size)."""
    rows, columns = np.ogrid[:size, :size]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def crops_of(images: np.ndarray, labels: np.ndarray, patients: list[str], nodules: list[int]) -> Crops:
    """Crops out of (n, 128, 128) images and labels; runs of one nodule number are its slices."""
    count, numbers = len(images), np.array(nodules, dtype=np.int32)
    index = np.arange(count)
    first = np.array([np.flatnonzero(numbers == n)[0] for n in numbers])
    last = np.array([np.flatnonzero(numbers == n)[-1] for n in numbers])
    return Crops(
        images=np.asarray(images, dtype=np.uint8),
        votes=(labels == 1).astype(np.uint8),
        labels=np.asarray(labels, dtype=np.uint8),
        readers=np.ones(count, np.uint8),
        patients=np.array(patients),
        series=np.array([f"1.2.{n}" for n in nodules]),
        nodules=numbers,
        below=np.maximum(index - 1, first),
        above=np.minimum(index + 1, last),
        spacing_mm=np.full(count, 0.7, np.float32),
    )


def disc_crops(patients: tuple[str, ...], nodules_each: int = 2, slices: int = 3, seed: int = 0) -> Crops:
    """Bright discs of 5 to 10 pixels radius near the middle, on a noisy dark ground: quick to learn."""
    rng = np.random.default_rng(seed)
    images, labels, owners, numbers = [], [], [], []
    for patient in patients:
        for _ in range(nodules_each):
            centre, radius = 64 + rng.uniform(-4, 4, size=2), rng.uniform(5, 10)
            number = len(set(numbers))
            for _ in range(slices):
                truth = disc(128, *centre, radius)
                noisy = 60 + 120 * truth + rng.normal(0, 8, size=truth.shape)
                images.append(np.clip(noisy, 0, 255).astype(np.uint8))
                labels.append(truth.astype(np.uint8))
                owners.append(patient)
                numbers.append(number)
    return crops_of(np.stack(images), np.stack(labels), owners, numbers)


def made_scan(
    shape: tuple[int, int, int] = (6, 144, 144),
    *,
    spacing_mm: tuple[float, float, float] = (2.5, 0.7, 0.7),
    patient: str = TRAIN,
    vessel: bool = True,
    seed: int = 0,
) -> TrainingScan:
    """Noisy lung all over, one annotated bright disc in the slices 2 and 3, and one bright disc that is no nodule."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(-850, 20, size=shape).astype(np.int16)
    labels, nodules = np.zeros(shape, np.uint8), np.zeros(shape, np.int16)
    size = shape[1]
    nodule = disc(size, 40, 44, 6)
    for k in (2, 3):
        hu[k][nodule] = 20
        if vessel:
            hu[k][disc(size, 100, 90, 6)] = 20
        labels[k][nodule] = 1
        nodules[k][nodule] = 1
    return TrainingScan(patient, "1.2.3", hu, labels, nodules, np.ones(shape, bool), spacing_mm)
