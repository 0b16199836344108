"""A user's own cases: a CT and a segmentation of the nodules in it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from LungNoduleSegLib.ct.files import SUFFIXES, is_image_file
from LungNoduleSegLib.errors import InputError

COLUMNS = ("case", "ct", "segmentation")

_TRUTH = re.compile(r"^(.+?)(?:[._-](?:seg|segmentation|label|labels|mask))$", re.IGNORECASE)
_TRUTH_ALONE = re.compile(r"^(?:seg|segmentation|label|labels|mask)$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """One case: ``ct`` is a file or a DICOM folder, ``segmentation`` a file (or a folder with one DICOM SEG).

    Cases of one ``patient`` are on one side of the split; default: a patient of its own.
    """

    case: str
    ct: Path
    segmentation: Path
    patient: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "patient", self.patient or self.case)


def read_pairs(table: Path) -> list[Pair]:
    """Cases of a CSV table with the columns case, ct and segmentation, and patient where one has several cases.

    Relative paths count from the table.

    Raises
    ------
    InputError
        No such table, a column is missing, a case is named twice, or a file does not exist.
    """
    if not table.is_file():
        raise InputError("no such table", path=table, remedy=f"Give a CSV file with the columns {', '.join(COLUMNS)}.")
    with table.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise InputError(
                f"the table has no column {' and no column '.join(lacking)}", path=table,
                remedy=f"Its first line must name the columns {', '.join(COLUMNS)}.",
            )  # fmt: skip
        rows = list(reader)
    if not rows:
        raise InputError("the table lists no case", path=table, remedy="Add a line for each case.")
    pairs: dict[str, Pair] = {}
    for number, row in enumerate(rows, start=2):
        case = (row["case"] or "").strip()
        if not case or case in pairs:
            what = f"the case {case!r} is named twice" if case else "no name of a case"
            raise InputError(f"{what} (line {number})", path=table, remedy="Give each case a name of its own.")
        places = [table.parent / (row[name] or "").strip() for name in ("ct", "segmentation")]
        for place in places:
            if not place.exists():
                raise InputError(f"no such file: {place} (line {number})", path=table, remedy="Check the path.")
        pairs[case] = Pair(case, *places, (row.get("patient") or "").strip())
    return list(pairs.values())


def find_pairs(files: list[Path]) -> list[Pair]:
    """Cases by their names: ``NAME.nrrd`` beside ``NAME.seg.nrrd`` (or ``NAME_seg``, ``-label``, ``_mask``, ...), or a
    folder ``NAME`` with one image and one file called ``seg``, ``label`` or ``mask``.

    A segmentation that belongs to no image, or to several, is no pair.
    """
    images = [path for path in files if is_image_file(path)]
    truths, volumes = {}, {}
    for path in images:
        stem = stem_of(path)
        match = _TRUTH.match(stem)
        if match:
            truths.setdefault((path.parent, match.group(1)), []).append(path)
        elif _TRUTH_ALONE.match(stem):
            truths.setdefault((path.parent, None), []).append(path)
        else:
            volumes.setdefault(path.parent, []).append(path)
    pairs = []
    for (folder, stem), found in sorted(truths.items(), key=lambda item: str(item[1][0])):
        own = [v for v in volumes.get(folder, ()) if stem is None or stem_of(v) == stem]
        if len(own) == len(found) == 1:
            pairs.append(Pair(folder.name if stem is None else stem, own[0], found[0]))
    names = [pair.case for pair in pairs]
    for name in {n for n in names if names.count(n) > 1}:
        # Two folders with files of one name: the folder tells them apart.
        pairs = [Pair(f"{p.ct.parent.name}-{p.case}", p.ct, p.segmentation) if p.case == name else p for p in pairs]
    return pairs


def stem_of(path: Path) -> str:
    """A file's name without the suffix of its format."""
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem
