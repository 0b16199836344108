"""``reduce``: the false-positive reduction, from crops and what networks found in scans that they had not seen."""

from __future__ import annotations

from typing import Annotated

import typer

from training.cli.options import Cache, Data, Marks, Scans
from training.sources import Sources


def reduce(
    source: Scans,
    run: Annotated[list[str], typer.Option(help="A run that was trained with --leave-out; two folds at least.")],
    name: Annotated[str, typer.Option(help="Name of the reduction, for `folds --reduction`.")],
    steps: Annotated[int, typer.Option(help="Steps of training of each network.")] = 1500,
    seed: Annotated[int, typer.Option()] = 0,
    marks: Marks = None,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Train the small network that tells nodules from what else a search finds: one for each fold, and one of all."""
    from training.evaluate.places import find_marks
    from training.publish.reductions import train_reductions
    from training.reduction.fit import FitConfig

    sources = Sources.find(data, cache)
    folder = sources.reduction(name)
    folder.mkdir(parents=True, exist_ok=True)
    table = find_marks(source, folder, marks)
    train_reductions(folder, run, source, table, sources, FitConfig(steps=steps, seed=seed), say=typer.echo)
    typer.echo(f"written: {folder}")
