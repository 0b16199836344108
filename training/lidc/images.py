"""Which images a protocol makes of the annotated scans: one per nodule and slice, or one per slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.lidc.consensus import MIN_PIXELS, ConsensusNodule, consensus_nodules
from training.lidc.database import Scan

PER = ("nodule", "slice")
SCANS = ("first", "all")

CLEAN_SLICES = 51
"""Caudal slices that the thesis took of each patient without nodule."""


@dataclass(frozen=True)
class ImageProtocol:
    """What counts as one image.

    Parameters
    ----------
    per
        ``nodule``: a slice with two nodules is two images, each with the mask of its own nodule (the thesis' way,
        contradictory masks). ``slice``: it is one image with the union of its nodules.
    more_than_px
        A nodule is on a slice where its consensus has more pixels than this.
    min_readers
        A nodule counts when at least so many readers are in its cluster.
    scans
        ``first``: the first scan of each patient, in the order given (the database's order of ids). ``all``: every
        scan; eight patients have two.
    """

    per: str = "slice"
    more_than_px: int = MIN_PIXELS
    min_readers: int = 1
    scans: str = "first"

    def __post_init__(self):
        for name, value, allowed in (("per", self.per, PER), ("scans", self.scans, SCANS)):
            if value not in allowed:
                raise InputError(f"unknown {name} {value!r}", remedy=f"Choose one of {', '.join(allowed)}.")
        for name, value, low in (("more_than_px", self.more_than_px, 0), ("min_readers", self.min_readers, 1)):
            if value < low:
                raise InputError(f"{name} is {value}", remedy=f"Give {low} or more.")


@dataclass(frozen=True)
class Image:
    """One slice of one scan, with what is annotated on it.

    ``nodules`` are the numbers from 1 of `consensus_nodules`, ``readers`` and ``areas_px`` belong to them, in order.
    ``box`` is (first row, first column, row after the last, column after the last) of their consensus; None on an
    image without nodule.
    """

    patient_id: str
    series_uid: str
    k: int
    z_mm: float
    nodules: tuple[int, ...] = ()
    readers: tuple[int, ...] = ()
    areas_px: tuple[int, ...] = ()
    box: tuple[int, int, int, int] | None = None


def first_scans(scans: Iterable[Scan]) -> list[Scan]:
    """The first scan of each patient, in the order given."""
    first: dict[str, Scan] = {}
    for scan in scans:
        first.setdefault(scan.patient_id, scan)
    return list(first.values())


def without_nodule(scans: Iterable[Scan]) -> list[Scan]:
    """The first scan of each patient of whom no scan has an annotation."""
    every = list(scans)
    annotated = {scan.patient_id for scan in every if scan.annotations}
    return [scan for scan in first_scans(every) if scan.patient_id not in annotated]


def images(scans: Iterable[Scan], protocol: ImageProtocol) -> Iterator[Image]:
    """Every image with nodule, scan by scan, slices ascending."""
    for scan in first_scans(scans) if protocol.scans == "first" else scans:
        yield from scan_images(scan, consensus_nodules(scan), protocol)


def scan_images(scan: Scan, nodules: Sequence[ConsensusNodule], protocol: ImageProtocol) -> list[Image]:
    """Images with nodule of one scan; ``nodules`` are its own, on the slices of the database (``scan.z_mm``)."""
    on_slice: dict[int, list[tuple[int, int, tuple[int, int, int, int]]]] = {}  # k -> (number, area, box)
    for number, nodule in enumerate(nodules, start=1):
        if nodule.readers < protocol.min_readers:
            continue
        for level, mask in enumerate(nodule.mask):
            area = int(mask.sum())
            if area > protocol.more_than_px:
                k = nodule.offset_kji[0] + level
                on_slice.setdefault(k, []).append((number, area, _box(mask, nodule.offset_kji[1:])))
    groups = ((k, found) for k, every in sorted(on_slice.items()) for found in _parts(every, protocol.per))
    return [_image(scan, k, found, nodules) for k, found in groups]


def clean_images(scans: Iterable[Scan], slices: int = CLEAN_SLICES) -> list[Image]:
    """The thesis' negatives: the first (caudal) slices of each patient without nodule."""
    return [
        Image(scan.patient_id, scan.series_uid, k, float(scan.z_mm[k]))
        for scan in without_nodule(scans)
        for k in range(min(slices, len(scan.z_mm)))
    ]


def image_mask(image: Image, nodules: Sequence[ConsensusNodule]) -> np.ndarray:
    """bool [j, i] in ``image.box``: the union of the image's nodules, which are numbered as for `scan_images`."""
    if image.box is None:
        return np.zeros((0, 0), dtype=bool)
    top, left, bottom, right = image.box
    union = np.zeros((bottom - top, right - left), dtype=bool)
    for number in image.nodules:
        first_k, first_j, first_i = nodules[number - 1].offset_kji
        rows, columns = np.nonzero(nodules[number - 1].mask[image.k - first_k])
        union[rows + first_j - top, columns + first_i - left] = True
    return union


def _parts(found: list, per: str) -> list[list]:
    return [[one] for one in found] if per == "nodule" else [found]


def _image(scan: Scan, k: int, found: list, nodules: Sequence[ConsensusNodule]) -> Image:
    numbers, areas, boxes = zip(*found)
    low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
    return Image(
        scan.patient_id, scan.series_uid, k, float(scan.z_mm[k]), numbers,
        tuple(nodules[n - 1].readers for n in numbers), areas, tuple(int(v) for v in (*low, *high)),
    )  # fmt: skip


def _box(mask: np.ndarray, first: tuple[int, int]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        int(rows[0] + first[0]), int(columns[0] + first[1]),
        int(rows[-1] + first[0] + 1), int(columns[-1] + first[1] + 1),
    )  # fmt: skip
