"""Where complete scans lie, and reading one with its annotations."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LungNoduleSegLib.ct import CT, read_ct
from LungNoduleSegLib.errors import InputError
from training.data.scans import read_lidc_scan, read_lung_box
from training.evaluate.whole_scans import Truth, read_truth
from training.lidc.database import Scan, read_scans
from training.sources import Sources

MARKS = ("lidc_marks.csv", "lidc_marks.csv.gz")


@dataclass(frozen=True)
class Place:
    """One annotated scan: the DICOM files of its series, or a scan cropped to the lungs (one .npz).

    A cropped scan lacks its place in the patient: its result has no world coordinates (``world`` is False).
    """

    patient: str
    series: str
    files: tuple[Path, ...]

    @property
    def world(self) -> bool:
        return self.files[0].suffix != ".npz"


@dataclass(frozen=True)
class Found:
    """Scans by patient and series, and what was passed over, with the reason."""

    places: tuple[Place, ...]
    skipped: tuple[str, ...]


def open_scan(patient: str, sources: Sources) -> tuple[CT, Truth]:
    """A complete or lung-cropped scan with its annotations; InputError when the data does not hold it."""
    dicom, box = sources.data / "LIDC-IDRI" / patient, sources.data / "lung_boxes" / f"{patient}.npz"
    if dicom.is_dir():
        ct, z_mm, origin = read_lidc_scan(dicom)
    elif box.is_file():
        ct, z_mm, origin = read_lung_box(box)
    else:
        raise InputError(f"no scan of {patient} found", path=dicom, remedy=f"Put its DICOM folder there, or {box}.")
    return ct, read_truth(ct, z_mm, origin, sources.data / "lidc_marks.csv")


def open_place(place: Place, marks: Path | None) -> tuple[CT, Truth]:
    """A found scan with its annotations. Raises InputError for a scan that cannot be read."""
    if place.world:
        ct = read_ct(list(place.files), series=place.series)
        z_mm = ct.ijk_to_ras[2, 3] + ct.ijk_to_ras[2, 2] * np.arange(ct.hu.shape[0])
        origin = (0, 0)
    else:
        ct, z_mm, origin = read_lung_box(place.files[0])
    return ct, read_truth(ct, z_mm, origin, marks)


def find_marks(source: Path, given: Path | None = None) -> Path | None:
    """The table of the readers' marks without contour: given, else ``lidc_marks.csv`` or ``.csv.gz`` in the source."""
    if given is not None and not given.is_file():
        raise InputError("no such table of marks", path=given, remedy="Check the path.")
    return given or next((source / name for name in MARKS if (source / name).is_file()), None)


def find_places(source: Path, patients: Iterable[str] | None = None, *, scans: list[Scan] | None = None) -> Found:
    """Every annotated scan below a folder, whatever its layout.

    Parameters
    ----------
    source
        A folder as TCIA delivers it, or the folder of development data. DICOM files are told apart by their
        SeriesInstanceUID, not by folder or name; cropped scans are ``lung_boxes/PATIENT.npz``.
    patients
        LIDC-IDRI-NNNN; default all.
    scans
        The annotated scans; default those of the installed database.

    Raises
    ------
    InputError
        A folder that does not exist or holds no annotated scan, or patients that it lacks.
    """
    if not source.is_dir():
        raise InputError("this folder of scans does not exist", path=source, remedy="Check the path.")
    known = {s.series_uid: s.patient_id for s in (read_scans() if scans is None else scans)}
    wanted = None if patients is None else set(patients)
    by_series, skipped = _dicom_below(source)
    places, boxed = [], []
    for series, files in by_series.items():
        if series in known:
            places.append(Place(known[series], series, tuple(files)))
        else:
            skipped.append(f"series {series} ({len(files)} files in {files[0].parent}): not annotated in LIDC-IDRI")
    for path in sorted((source / "lung_boxes").glob("*.npz")):
        with np.load(path) as data:
            series = str(data["series"])
        if series in by_series:
            skipped.append(f"{path.name}: its complete scan is there too")
        elif series in known:
            boxed.append(Place(known[series], series, (path,)))
        else:
            skipped.append(f"{path.name}: series {series} is not annotated in LIDC-IDRI")
    found = sorted((*places, *boxed), key=lambda p: (p.patient, p.series))
    if wanted is not None:
        missing = wanted - {p.patient for p in found}
        if missing:
            raise InputError(
                f"no annotated scan of {', '.join(sorted(missing))} found", path=source,
                remedy="Check the names (LIDC-IDRI-NNNN) and the folder.",
            )  # fmt: skip
        found = [p for p in found if p.patient in wanted]
    if not found:
        raise InputError(
            "no annotated scan of LIDC-IDRI in it", path=source,
            remedy="Name the folder that TCIA's download of LIDC-IDRI went to, or one like it.",
        )  # fmt: skip
    return Found(tuple(found), tuple(skipped))


def _dicom_below(source: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """DICOM files by SeriesInstanceUID, each slice once; and what was passed over."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    files: dict[str, list[Path]] = {}
    seen: set[str] = set()
    repeated = damaged = 0
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() not in ("", ".dcm", ".dicom", ".ima") or path.name == "DICOMDIR":
                continue
            try:
                tags = ["SOPInstanceUID", "SeriesInstanceUID"]
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
                series, instance = str(header.SeriesInstanceUID), str(header.SOPInstanceUID)
            except (InvalidDicomError, AttributeError, OSError, EOFError, ValueError):
                damaged += path.suffix.lower() == ".dcm"
                continue
            if instance in seen:
                repeated += 1
                continue
            seen.add(instance)
            files.setdefault(series, []).append(path)
    skipped = [f"{repeated} files: slices that are there twice"] if repeated else []
    return files, skipped + ([f"{damaged} files named .dcm that cannot be read as DICOM"] if damaged else [])
