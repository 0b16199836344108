"""``lungnoduleseg weights``: the weights files of the models."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from LungNoduleSegLib.cli.console import ProgressBar, out, remark, reported

app = typer.Typer(no_args_is_help=True, help="Import, download, check and remove the weights of models.")
Name = Annotated[str, typer.Argument(help="Name of the model: see `lungnoduleseg models`.", show_default=False)]


@app.command("import")
@reported
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="The .safetensors file with its card (.json) beside it, the card, or a .zip of both."),
    ],
) -> None:
    """Take a model from a file into the user's folder, after its SHA-256 was checked."""
    from LungNoduleSegLib.weights import import_file

    entry = import_file(file)
    out().print(f"{entry.name} {entry.card.version}: {entry.path}", markup=False)


@app.command()
@reported
def download(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Download the weights of a listed model to the user's folder; an interrupted download goes on."""
    from LungNoduleSegLib.weights import download as fetch
    from LungNoduleSegLib.weights import find

    with ExitStack() as stack:
        steps: list[Callable[[float, str], None]] = []

        def agreed(question: str) -> bool:
            if not yes and not _confirmed(question):
                return False
            steps.append(
                stack.enter_context(ProgressBar([("download", 1.0)])).step("download")
            )  # not over the question
            return True

        def tell(fraction: float, message: str) -> None:
            for step in steps:
                step(fraction, message)

        entry = fetch(find(name), agreed, progress=tell)
    out().print(f"{entry.name} {entry.card.version}: {entry.path}", markup=False)


def _confirmed(question: str) -> bool:
    try:
        return typer.confirm(question)
    except typer.Abort:  # Ctrl-D, or no terminal to ask on
        return False


@app.command()
@reported
def verify() -> None:
    """Check the SHA-256 of every weights file that is here; exit code 2 when one is damaged."""
    from LungNoduleSegLib.errors import WeightsError
    from LungNoduleSegLib.weights import load_state, scan

    catalog, damaged = scan(), 0
    for entry in catalog.entries:
        if entry.path is None:
            continue
        try:
            load_state(entry)
            out().print(f"{entry.name} {entry.card.version}: sound ({entry.path})", markup=False)
        except WeightsError as error:
            damaged += 1
            remark(f"{entry.name}: {error}", "red")
    for problem in catalog.problems:
        damaged += 1
        remark(str(problem), "red")
    if damaged:
        raise typer.Exit(2)


@app.command()
@reported
def remove(name: Name) -> None:
    """Remove a model from the user's folder; shipped weights stay."""
    from LungNoduleSegLib.weights import remove as delete

    for path in delete(name):
        out().print(f"removed: {path}", markup=False)


@app.command()
@reported
def folder() -> None:
    """Print the folder of the user's weights (LUNGNODULESEG_WEIGHTS names another)."""
    from LungNoduleSegLib.weights import user_folder

    typer.echo(user_folder())
