"""The command line, put together from its groups."""

from __future__ import annotations

import sys

import typer

from LungNoduleSegLib.errors import LungNoduleSegError
from training.cli import data, evaluate, facts, folds, models, page, reduction, report, runs, study

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Train the networks on LIDC-IDRI.")
for command in (
    facts.facts,
    data.prepare,
    runs.train,
    runs.average,
    runs.check,
    models.export,
    models.operate,
    models.remeasure,
    models.calibrate,
    models.quantise,
    models.scans,
    page.page,
    evaluate.evaluate,
    folds.folds,
    reduction.reduce,
    study.study,
    report.report,
    report.cases,
):
    app.command()(command)


def main() -> None:
    """Entry point: errors that are the input's fault are one sentence, not a traceback."""
    try:
        app()
    except LungNoduleSegError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
