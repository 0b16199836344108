"""The table of nodules: the same columns in Slicer, on the command line and in CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.nodules.nodule import Nodule

Value = str | int | float | None

_MM, _MM3, _HU, _PROBABILITY = 2, 1, 1, 4
"""Decimals: finer than what a CT resolves, coarse enough to read."""

_SPEC: dict[str, tuple[type, Callable[[Nodule], Value]]] = {
    "name": (str, lambda n: n.name),
    "label": (int, lambda n: n.label),
    "uid": (str, lambda n: n.uid),
    "side": (str, lambda n: n.side),
    "attenuation": (str, lambda n: n.attenuation),
    "long_axis_mm": (float, lambda n: round(n.long_axis_mm, _MM)),
    "short_axis_mm": (float, lambda n: round(n.short_axis_mm, _MM)),
    "mean_diameter_mm": (float, lambda n: round(n.mean_diameter_mm, _MM)),
    "volume_mm3": (float, lambda n: round(n.volume_mm3, _MM3)),
    "mean_hu": (float, lambda n: round(n.mean_hu, _HU)),
    "probability": (float, lambda n: round(n.probability, _PROBABILITY)),
    "solid_diameter_mm": (float, lambda n: None if n.solid_diameter_mm is None else round(n.solid_diameter_mm, _MM)),
    "centroid_r_mm": (float, lambda n: round(n.centroid_ras[0], _MM)),
    "centroid_a_mm": (float, lambda n: round(n.centroid_ras[1], _MM)),
    "centroid_s_mm": (float, lambda n: round(n.centroid_ras[2], _MM)),
}

COLUMNS: tuple[str, ...] = tuple(_SPEC)
"""Names of the columns, in order; units in the name, the centroid in RAS."""


def rows(nodules: Iterable[Nodule]) -> list[dict[str, Value]]:
    """One dict a nodule with the keys :data:`COLUMNS`: str, int, float, or None where nothing was measured."""
    return [{name: value(nodule) for name, (_, value) in _SPEC.items()} for nodule in nodules]


def write_csv(path: str | os.PathLike[str], nodules: Iterable[Nodule]) -> Path:
    """Write the table as UTF-8 CSV with a header; complete or not at all.

    The file is written beside its place and moved there in one step, so that an existing table is either kept or
    replaced. No nodule gives a header only.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written.
    """
    target = Path(path)
    beside = target.parent / f".{uuid4().hex[:12]}.tmp"  # short: the target's own name may be as long as allowed
    try:
        with beside.open("x", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows(nodules))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except OSError as error:
        raise InputError(
            f"the table could not be written ({error.strerror or error})",
            path=target,
            remedy="Give a folder that exists and that you may write to.",
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()
    return target


def read_csv(path: str | os.PathLike[str]) -> list[dict[str, Value]]:
    """Read a table back, equal to :func:`rows` of what was written; further columns are left out.

    Raises
    ------
    InputError
        If the file is missing, is not UTF-8, lacks a column, or holds something else than numbers where they belong.
    """
    source = Path(path)
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets put a byte order mark in front
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"not a table of nodules: column {', '.join(missing)} is missing", path=source)
            return [_parsed(row, source, reader.line_num) for row in reader]
    except OSError as error:
        raise InputError(f"the table could not be read ({error.strerror or error})", path=source) from error
    except UnicodeDecodeError as error:
        raise InputError("the table is not UTF-8 text", path=source, remedy="Save it as CSV UTF-8.") from error


def _parsed(row: dict[str, str | None], source: Path, line: int) -> dict[str, Value]:
    parsed: dict[str, Value] = {}
    for name, (kind, _) in _SPEC.items():
        text = row[name]
        if kind is str:
            parsed[name] = text or ""
            continue
        try:
            parsed[name] = None if name == "solid_diameter_mm" and not text else kind(text)
        except (TypeError, ValueError) as error:
            raise InputError(f"line {line}, column {name}: {text!r} is not a number", path=source) from error
    return parsed
