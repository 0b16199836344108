"""A small database with the real columns: two scans, three annotations, four contours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

RATINGS = (
    "subtlety", "internalStructure", "calcification", "sphericity", "margin",
    "lobulation", "spiculation", "texture", "malignancy",
)  # fmt: skip


def write_database(path: Path) -> None:
    columns = ", ".join(f'"{r}" integer' for r in RATINGS)
    connection = sqlite3.connect(path)
    connection.executescript(
        f"""
        create table scans (id integer primary key, patient_id text, series_instance_uid text,
                            pixel_spacing float, slice_thickness float);
        create table zvals (id integer primary key, scan_id integer, val float);
        create table annotations (id integer primary key, scan_id integer, {columns});
        create table contours (id integer primary key, annotation_id integer, inclusion boolean,
                               image_z_position float, coords text);
        insert into scans values (1, 'LIDC-IDRI-0078', '1.2.3', 0.65, 3.0), (2, 'LIDC-IDRI-0001', '1.2.4', 0.7, 2.5);
        insert into zvals values (1, 1, -10.0), (2, 2, 5.0), (3, 1, -16.0), (4, 1, -13.0), (5, 2, 2.5);
        insert into annotations values (4, 1, 1, 2, 3, 4, 5, 1, 2, 3, 4), (2, 1, 5, 1, 6, 3, 3, 1, 1, 5, 2),
                                       (9, 2, 3, 1, 6, 3, 3, 1, 1, 5, 1);
        insert into contours values (7, 4, 0, -13.0, '11,20\n12,21'), (5, 4, 1, -13.0, '10,20\n11,21\n10,22'),
                                    (6, 2, 1, -10.0, '1,2'), (8, 9, 1, 5.0, '3,4\n5,6');
        """
    )
    connection.commit()
    connection.close()
