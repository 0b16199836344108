"""Where complete scans lie, and reading one with its annotations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from LungNoduleSegLib.ct import CT, read_ct
from LungNoduleSegLib.errors import InputError
from training.data.scans import read_lidc_scan, read_lung_box
from training.evaluate.whole_scans import Truth, read_truth
from training.lidc.database import Scan, read_scans
from training.lidc.findings import write_findings
from training.lidc.readings import read_folder
from training.prepare.finding import Damaged, Header, by_series, find, read_headers
from training.prepare.series import check_series
from training.sources import Sources

MARKS = ("lidc_marks.csv", "lidc_marks.csv.gz")
MARKS_WRITTEN = "marks.csv"
SHOWN = 10


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


def find_marks(source: Path, output: Path, given: Path | None = None) -> Path | None:
    """The table of what the readers marked without contour (`training.lidc.findings`), or None where nothing tells.

    The one that is given; else ``lidc_marks.csv`` or ``.csv.gz`` in the source; else the source's XML files, written as
    ``output``/marks.csv.
    """
    if given is not None:
        if not given.is_file():
            raise InputError("no such table of marks", path=given, remedy="Check the path.")
        return given
    for name in MARKS:
        if (source / name).is_file():
            return source / name
    readings = read_folder(source).by_series
    if not readings:
        return None
    write_findings(output / MARKS_WRITTEN, {s: r.findings for s, r in readings.items()}, dict.fromkeys(readings, ""))
    return output / MARKS_WRITTEN


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

    Returns
    -------
    Scans by patient and series. Series that are incomplete, or not annotated, files that are there twice or damaged are
    passed over and named.

    Raises
    ------
    InputError
        A folder that does not exist or holds no annotated scan, or patients that it lacks.
    """
    known = {s.series_uid: s for s in (read_scans() if scans is None else scans)}
    listed = find(source)
    headers = read_headers(listed.files)
    skipped = [f"{h.path}: {h.reason}" for h in headers if isinstance(h, Damaged)]
    complete, skipped_series = _complete(by_series(h for h in headers if isinstance(h, Header)), known)
    boxed, skipped_boxes = _boxed(listed.boxes, known, {p.series for p in complete})
    skipped += skipped_series + skipped_boxes
    found = sorted((*complete, *boxed), key=lambda p: (p.patient, p.series))
    wanted = None if patients is None else set(patients)
    missing = set() if wanted is None else wanted - {p.patient for p in found}
    if missing or not found:
        what = f"usable scan of {', '.join(sorted(missing))}" if missing else "usable annotated scan of LIDC-IDRI"
        remedy = "Check the names (LIDC-IDRI-NNNN) and the folder."
        if skipped:
            remedy += f" Passed over: {'; '.join(skipped[:SHOWN])}{'; ...' if len(skipped) > SHOWN else ''}."
        raise InputError(f"no {what} in it", path=source, remedy=remedy)
    return Found(tuple(p for p in found if wanted is None or p.patient in wanted), tuple(skipped))


def _complete(series: dict[str, list[Header]], known: dict[str, Scan]) -> tuple[list[Place], list[str]]:
    places, skipped = [], []
    for uid, headers in series.items():
        if uid not in known:
            skipped.append(f"series {uid} ({len(headers)} files in {headers[0].path.parent}): not annotated")
            continue
        checked = check_series(headers, known[uid])
        name = f"{known[uid].patient_id}, series {uid}"
        skipped += [f"{name}: {remark}" for remark in (*checked.remarks, *filter(None, [checked.fault]))]
        if not checked.fault:
            places.append(Place(known[uid].patient_id, uid, checked.files))
    return places, skipped


def _boxed(boxes: list[Path], known: dict[str, Scan], complete: set[str]) -> tuple[list[Place], list[str]]:
    places, skipped = [], []
    for path in boxes:
        with np.load(path) as data:
            uid = str(data["series"])
        if uid in complete:
            skipped.append(f"{path.name}: its complete scan is there too")
        elif uid not in known:
            skipped.append(f"{path.name}: series {uid} is not annotated")
        else:
            places.append(Place(known[uid].patient_id, uid, (path,)))
    return places, skipped
