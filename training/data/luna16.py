"""The 888 scans of LUNA16 and their ten folds, from lists that the user gives: they are not ours to ship."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from LungNoduleSegLib.errors import InputError

LUNA16_SCANS, LUNA16_FOLDS = 888, 10


def read_luna16(lists: Path, known: Iterable[str] | None = None) -> dict[str, int]:
    """LUNA16's folds: series UID -> 0..9.

    Parameters
    ----------
    lists
        A CSV table with the columns seriesuid and fold (or subset), or LUNA16's own folder: ``subset0`` to ``subset9``
        with the scans' files (``UID.mhd``), or with ``subsetN.txt`` / ``subsetN.csv`` listing them.
    known
        Series that are annotated; one that is not among them is an error.

    Raises
    ------
    InputError
        Not 888 scans in ten folds, a scan in two folds, or an unknown series.
    """
    folds: dict[str, int] = {}
    for series, fold in _listed(lists):
        if folds.get(series, fold) != fold:
            raise InputError(f"series {series} is in the folds {folds[series]} and {fold}", path=lists)
        folds[series] = fold
    found = sorted(set(folds.values()))
    if found != list(range(LUNA16_FOLDS)) or len(folds) != LUNA16_SCANS:
        raise InputError(
            f"{len(folds)} scans in {len(found)} folds, not {LUNA16_SCANS} in {LUNA16_FOLDS} (0 to 9)", path=lists,
            remedy="Give the lists of LUNA16: a table with seriesuid and fold, or the folder with subset0 to subset9.",
        )  # fmt: skip
    strange = sorted(set(folds) - set(known)) if known is not None else []
    if strange:
        raise InputError(f"{len(strange)} series are not annotated, {strange[0]} for one", path=lists)
    return folds


def _listed(lists: Path) -> list[tuple[str, int]]:
    if lists.is_file():
        with lists.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            column = next((n for n in ("fold", "subset") if n in (reader.fieldnames or ())), None)
            if column is None or "seriesuid" not in (reader.fieldnames or ()):
                raise InputError("no columns seriesuid and fold", path=lists, remedy="Name them in the first line.")
            return [(r["seriesuid"].strip(), int(re.sub(r"\D", "", r[column]) or -1)) for r in reader]
    if not lists.is_dir():
        raise InputError("no such file or folder", path=lists, remedy="Give the lists of LUNA16.")
    found = []
    for place in sorted(lists.iterdir()):
        match = re.fullmatch(r"subset(\d+)(\.txt|\.csv)?", place.name)
        if match and place.is_dir():
            found += [(path.stem, int(match.group(1))) for path in sorted(place.glob("*.mhd"))]
        elif match:
            names = re.findall(r"[\d.]{20,}", place.read_text(encoding="utf-8"))
            found += [(name.rstrip("."), int(match.group(1))) for name in names]
    return found
