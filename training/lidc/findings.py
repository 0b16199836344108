"""What the readers marked without an outline: nodules under 3 mm and non-nodules. Neither truth nor true negatives."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from LungNoduleSegLib.errors import InputError

KINDS = ("nodule_lt3", "non_nodule")
COLUMNS = ("patient", "series_instance_uid", "reader", "kind", "z_mm", "column", "row")


@dataclass(frozen=True, order=True)
class Finding:
    """One point that one reader marked. ``reader`` counts the reading sessions of a file from 0."""

    reader: int
    kind: str
    z_mm: float
    column: int
    row: int

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"unknown kind of finding {self.kind!r}", remedy=f"Known are {', '.join(KINDS)}.")


def findings_csv(findings: Mapping[str, Iterable[Finding]], patients: Mapping[str, str]) -> str:
    """Findings by SeriesInstanceUID as CSV text, ordered by patient, series, reader, kind and place.

    Raises
    ------
    InputError
        When ``patients`` (SeriesInstanceUID -> patient) does not know a series.
    """
    if unknown := sorted(set(findings) - set(patients)):
        raise InputError(
            f"the patient of {len(unknown)} series is not known, first {unknown[0]}",
            remedy="Give the patient of every series that has findings.",
        )
    rows = sorted((patients[series], series, found) for series, every in findings.items() for found in every)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows((who, series, f.reader, f.kind, repr(f.z_mm), f.column, f.row) for who, series, f in rows)
    return text.getvalue()


def write_findings(path: Path, findings: Mapping[str, Iterable[Finding]], patients: Mapping[str, str]) -> None:
    """Write `findings_csv`, compressed when the name ends in .gz; beside, then renamed over the old file."""
    data = findings_csv(findings, patients).encode()
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise InputError(
            f"the findings could not be written ({error.strerror or error})", path=path, remedy="Choose another folder."
        ) from error
