"""All annotation files of a folder, by the series that they belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from LungNoduleSegLib.errors import InputError
from training.lidc.xml import Reading, read_xml

CORRECTION = "correction"
"""In the name of the file that replaces another one of its series (LIDC-IDRI-0101, TCIA's erratum of March 2012)."""


@dataclass(frozen=True)
class Readings:
    """What the XML files of a folder say.

    ``by_series`` maps a SeriesInstanceUID to its reading (annotations and findings); ``skipped`` a file to the reason
    that it was left out.
    """

    by_series: dict[str, Reading]
    skipped: dict[Path, str]


def read_folder(folder: Path) -> Readings:
    """Read every XML file below a folder, whatever its layout and names.

    Files of radiographs, damaged files and files of other content are skipped and named. Where several files belong to
    one series and say the same, the first is taken; where they differ, the one that calls itself a correction, else
    none of them.
    """
    if not folder.is_dir():
        raise InputError("no folder with annotation files", path=folder, remedy="Check the path.")
    files: dict[str, list[Reading]] = {}
    skipped: dict[Path, str] = {}
    for path in xml_files(folder):
        try:
            reading = read_xml(path)
        except InputError as error:
            skipped[path] = error.finding
        else:
            files.setdefault(reading.series_uid, []).append(reading)
    chosen = {series: _choose(readings, skipped) for series, readings in files.items()}
    return Readings({series: reading for series, reading in chosen.items() if reading is not None}, skipped)


def xml_files(folder: Path) -> Iterator[Path]:
    """Files below a folder whose names end in .xml, in a fixed order; without what hides behind a leading dot."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, n) for n in sorted(names) if n.lower().endswith(".xml") and not n.startswith("."))


def _choose(readings: list[Reading], skipped: dict[Path, str]) -> Reading | None:
    first, *others = readings
    if all(first.same_marks(other) for other in others):
        skipped.update({other.path: f"says the same as {first.path}" for other in others})
        return first
    corrections = [reading for reading in readings if CORRECTION in reading.path.name.lower()]
    if len(corrections) == 1:
        skipped.update({r.path: f"corrected by {corrections[0].path}" for r in readings if r is not corrections[0]})
        return corrections[0]
    names = ", ".join(str(reading.path) for reading in readings)
    skipped.update({r.path: f"files of one series contradict each other: {names}" for r in readings})
    return None
