"""The commands, gathered."""

from __future__ import annotations

from typing import Annotated

import typer

from LungNoduleSegLib import __version__
from LungNoduleSegLib.cli.click import SeedsCommand, click
from LungNoduleSegLib.cli.console import ending_cleanly
from LungNoduleSegLib.cli.models import models
from LungNoduleSegLib.cli.segment import segment
from LungNoduleSegLib.cli.weights import app as weights
from LungNoduleSegLib.report.text import RESEARCH_USE

app = typer.Typer(
    name="lungnoduleseg",
    help=f"Find and segment lung nodules in chest CT. {RESEARCH_USE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(segment)
app.command(cls=SeedsCommand)(click)
app.command()(models)
app.add_typer(weights, name="weights")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"LungNoduleSeg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Runs the command line of this process."""
    with ending_cleanly():
        app()
