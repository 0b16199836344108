"""What a folder holds that training can use: CT series by their headers, public crops, lung boxes, clean slices."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from LungNoduleSegLib.ct.headers import looks_like_dicom, quiet_pydicom
from LungNoduleSegLib.ct.sources import SourceFile
from LungNoduleSegLib.errors import InputError

CROPS_TABLE = "lidc_crops.csv"
MARKS_TABLES = ("lidc_marks.csv", "lidc_marks.csv.gz")

_NO_DICOM = (".png", ".jpg", ".npz", ".npy", ".csv", ".json", ".txt", ".xml", ".zip", ".gz", ".nrrd", ".nii", ".py")
_TAGS = ["SeriesInstanceUID", "SOPInstanceUID", "Modality", "PatientID", "ImagePositionPatient", "ImageType"]


@dataclass(frozen=True)
class Header:
    """What finding needs of one DICOM file. ``z_mm`` is None where the file has no position."""

    path: Path
    series: str
    instance: str
    modality: str
    patient: str
    z_mm: float | None
    localizer: bool


@dataclass(frozen=True)
class Damaged:
    """A file that claims to be DICOM and cannot be read."""

    path: Path
    reason: str


@dataclass
class Found:
    """Everything in a source. ``files`` are candidates for DICOM, not yet opened."""

    files: list[Path] = field(default_factory=list)
    public: list[Path] = field(default_factory=list)
    """Folders of patients in the public layout."""
    boxes: list[Path] = field(default_factory=list)
    clean: list[Path] = field(default_factory=list)
    """Folders of slices of patients without nodules."""
    crops_table: Path | None = None
    marks: Path | None = None
    xml: bool = False
    """Whether there are XML files, as LIDC-IDRI's download brings them: they tell the marks too."""


def find(source: Path) -> Found:
    """Walk a source once.

    Raises
    ------
    InputError
        There is no such folder, or a part of it cannot be listed.
    """
    if not source.is_dir():
        raise InputError("no such folder", path=source, remedy="Give the folder that holds the data.")
    found, problems = Found(), []
    for parent, folders, names in os.walk(source, onerror=problems.append):
        here = Path(parent)
        folders.sort()
        if any(re.fullmatch(r"nodule-\d+", name) for name in folders):
            found.public.append(here)
            folders.clear()  # tens of thousands of small files: read when their turn comes
            continue
        names.sort()
        slices = [name for name in names if re.fullmatch(r"slice-\d+\.png", name)]
        if slices and len(slices) == len(names):
            found.clean.append(here)
            continue
        for name in names:
            path = here / name
            if name == CROPS_TABLE:
                found.crops_table = found.crops_table or path
            elif name in MARKS_TABLES:
                found.marks = found.marks or path
            elif name.lower().endswith(".xml"):
                found.xml = True
            elif name.endswith(".npz") and here.name == "lung_boxes":
                found.boxes.append(path)
            elif not name.lower().endswith(_NO_DICOM):
                found.files.append(path)
    if problems:
        raise InputError(
            f"cannot be listed ({problems[0].strerror})", path=problems[0].filename or source,
            remedy="Check that you may read this folder.",
        )  # fmt: skip
    return found


def read_headers(paths: Sequence[Path]) -> list[Header | Damaged]:
    """Headers of those files that are DICOM images; what is no DICOM file is passed over."""
    return [one for one in (_read_header(path) for path in paths) if one is not None]


def _read_header(path: Path) -> Header | Damaged | None:
    import pydicom

    try:
        if not looks_like_dicom(SourceFile(path, str(path))):
            if path.suffix.lower() in (".dcm", ".dicom"):
                return Damaged(path, "empty" if path.stat().st_size == 0 else "not a DICOM file, or a damaged one")
            return None
        with quiet_pydicom():
            data = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
            if path.name == "DICOMDIR":
                return None
            if not data.get("SeriesInstanceUID"):
                return Damaged(path, "damaged header (no SeriesInstanceUID)")
            position = data.get("ImagePositionPatient")
            return Header(
                path, str(data.SeriesInstanceUID), str(data.get("SOPInstanceUID") or path),
                str(data.get("Modality") or ""), str(data.get("PatientID") or ""),
                float(position[2]) if position else None,
                "LOCALIZER" in (data.get("ImageType") or ()),
            )  # fmt: skip
    except InputError as error:
        return Damaged(path, error.finding)
    except Exception as error:  # pydicom raises whatever the damage leads to
        return Damaged(path, f"damaged header ({error})")


def by_series(headers: Iterable[Header]) -> dict[str, list[Header]]:
    """Headers of CT images by SeriesInstanceUID, in the order of their paths."""
    series: dict[str, list[Header]] = {}
    for header in sorted(headers, key=lambda h: str(h.path)):
        if header.modality == "CT" and not header.localizer:
            series.setdefault(header.series, []).append(header)
    return series
