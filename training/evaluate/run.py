"""A model over whole CTs: records scan by scan, then the tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from pathlib import Path

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.segmenter.segmenter import Segmenter
from LungNoduleSegLib.weights import Card
from training.evaluate.luna16 import ANNOTATION_COLUMNS, CANDIDATE_COLUMNS, table
from training.evaluate.places import find_marks, find_places
from training.evaluate.records import Record, examined, settings_of, write
from training.evaluate.summary import GROUPS, group_of, summarise
from training.evaluate.whole_scans import RELEVANT_READERS, NoduleRow
from training.lidc.database import read_scans

CONVENTIONS = {
    "found": "a result overlaps the 50 % consensus of a nodule",
    "false_strict": "a result that overlaps no annotation of any reader",
    "false_luna16": "of those, the ones within 5 mm of no mark of a nodule under 3 mm or a non-nodule",
    "froc_luna16": "candidates of 3 mm and more; nodules of 3 and 4 readers; a hit lies within the nodule's radius of "
    "its centre; findings of 1 and 2 readers, nodules under 3 mm and non-nodules are neither hit nor false; "
    "sensitivity interpolated linearly; cpm = mean at 1/8, 1/4, 1/2, 1, 2, 4, 8 false positives a scan",
    "hd95_mm": "larger of the two directed 95th percentiles of distances between surface voxels, on the scan's spacing",
    "volume_error": "(result - consensus) / consensus, the results that overlap a nodule joined",
    "intervals": "95 %, patients resampled (FROC: scans); none for fewer than five",
    "groups": {"pooled": "never", **GROUPS},
}


def evaluate_source(
    segmenter: Segmenter,
    source: Path,
    output: Path,
    *,
    patients: Iterable[str] | None = None,
    marks: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, object]:
    """Evaluate a model on the annotated scans below a folder and write the tables; goes on where it was stopped.

    ``output`` gets ``summary.json``, ``nodules.csv`` (a row a nodule), LUNA16's ``candidates.csv``,
    ``annotations.csv``, ``annotations_excluded.csv`` and ``seriesuids.csv``, and ``scans/SERIES.json``.

    Returns
    -------
    What ``summary.json`` holds.

    Raises
    ------
    InputError
        No scan to evaluate, or an output folder that cannot be written.
    """
    annotated = read_scans()
    found = find_places(source, patients, scans=annotated)
    skipped, records = list(found.skipped), []
    try:
        (output / "scans").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the output folder cannot be written ({error.strerror or error})", path=output, remedy="Name another one."
        ) from error
    table_of_marks = find_marks(source, output, marks)
    settings = settings_of(segmenter, table_of_marks)
    for number, place in enumerate(found.places, start=1):
        try:
            record, kept = examined(segmenter, settings, place, table_of_marks, output / "scans")
        except InputError as error:
            skipped.append(f"{place.patient}, series {place.series}: {error}")
            say(f"{number}/{len(found.places)} {place.patient}: skipped: {error}")
            continue
        records.append(record)
        of = [row for row in record.figures.rows if row.readers >= RELEVANT_READERS]
        say(
            f"{number}/{len(found.places)} {place.patient}: {sum(row.found for row in of)} of {len(of)} nodules of 3 "
            f"and 4 readers found, false positives {record.figures.strict_false} strict, {record.figures.luna16_false} "
            f"luna16{' (kept from before)' if kept else f', {record.seconds:.0f} s'}"
        )
    if not records:
        raise InputError("none of the scans could be evaluated", path=source, remedy=skipped[-1])
    groups = {p: group_of(p, segmenter.card, annotated) for p in {r.patient for r in records}}
    about = {
        "model": _model(segmenter.card) | asdict(settings),
        "source": source.name,
        "marks": None if table_of_marks is None else table_of_marks.name,
        "scans_annotated_in_all": len(annotated),
        "skipped": skipped,
    }
    return write_tables(output, about, records, groups)


def write_tables(
    output: Path, about: dict[str, object], records: list[Record], groups: dict[str, str]
) -> dict[str, object]:
    """Write ``summary.json`` and the tables of records; ``groups`` gives the group of each patient.

    Returns
    -------
    What ``summary.json`` holds: ``about``, and the figures of each group.
    """
    summary = {
        **about,
        "conventions": CONVENTIONS,
        "without_world_coordinates": sorted(r.patient for r in records if not r.world),
        "groups": {
            name: summarise(members)
            for name in GROUPS
            if (members := [r for r in records if groups[r.patient] == name])
        },
    }
    _write_rows(output, records, groups)
    text = json.dumps(summary, indent=2)
    write(output / "summary.json", text)
    return json.loads(text)


def _model(card: Card | None) -> dict[str, object]:
    return {} if card is None else {"version": card.version, "title": card.title}


def _write_rows(output: Path, records: list[Record], groups: dict[str, str]) -> None:
    names = [f.name for f in fields(NoduleRow)]
    columns = ("seriesuid", "group", "coordX", "coordY", "coordZ", *names)
    rows = []
    for record in records:
        for row, place in zip(record.figures.rows, record.nodule_places):
            where = place if record.world else ("", "", "")
            values = ("" if (v := getattr(row, name)) is None else v for name in names)
            rows.append((record.series, groups[record.patient], *where, *values))
    write(output / "nodules.csv", table(columns, rows))
    # A cropped scan has no place in the patient, and LUNA16 asks for one.
    placed = [r for r in records if r.world]
    for name, columns, part in (
        ("candidates.csv", CANDIDATE_COLUMNS, "candidates"),
        ("annotations.csv", ANNOTATION_COLUMNS, "annotations"),
        ("annotations_excluded.csv", ANNOTATION_COLUMNS, "excluded"),
    ):
        write(output / name, table(columns, ((r.series, *row) for r in placed for row in getattr(r, part))))
    write(output / "seriesuids.csv", "".join(f"{r.series}\n" for r in placed))
