"""``report`` and ``cases``: the studies' results beside the thesis', and pictures for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import Cache, Data
from training.sources import Sources

Results = Annotated[Path, typer.Argument(help="Folder that `study` wrote to.")]


def report(
    results: Results,
    output: Annotated[Path, typer.Option(help="Folder for the report.")],
    cases: Annotated[Path | None, typer.Option(help="Folder of PNG pictures, as `cases` writes it.")] = None,
) -> None:
    """One HTML and one Markdown report with intervals, differences, claims and the raw results."""
    from training.report.write import write_report

    for path in write_report(results, output, cases=cases):
        typer.echo(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


def cases(
    results: Results,
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    patient: Annotated[str, typer.Option(help="Complete scan to show; others than 0063 may not be published.")] = (
        "LIDC-IDRI-0063"
    ),
    count: Annotated[int, typer.Option(min=1, help="Worst and best slices, so many of each.")] = 3,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Draw the worst and best slices of one complete scan, for `report --cases`."""
    from training.data.scans import load_scans
    from training.report.draw_cases import write_cases
    from training.report.results import read_results
    from training.report.rows import rows_of

    rows, sources = rows_of(read_results(results)), Sources.find(data, cache)
    marks = sources.data / "lidc_marks.csv"
    folders = (sources.data / "LIDC-IDRI", sources.data / "lung_boxes", marks, sources.cache / "scans-shown")
    (scan,) = load_scans(*folders, patients=frozenset({patient}))
    for path in write_cases(rows, scan, output, count=count):
        typer.echo(str(path))
