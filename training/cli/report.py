"""``report``: the studies' results beside the thesis'."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[Path, typer.Argument(help="Folder that `study` wrote to.")],
    output: Annotated[Path, typer.Option(help="Folder for the report.")],
    cases: Annotated[Path | None, typer.Option(help="Folder of PNG pictures of cases, with captions.json.")] = None,
) -> None:
    """One HTML and one Markdown report with intervals, differences, claims and the raw results."""
    from training.report.write import write_report

    for path in write_report(results, output, cases=cases):
        typer.echo(f"{path}: {path.stat().st_size / 1024:.0f} KiB")
