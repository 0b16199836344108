"""``study``: the experiments of the thesis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import Cache, Data
from training.sources import Sources


def study(
    name: Annotated[str, typer.Argument(help="A, B, C, D, E, extra, leakage, all, or full (a large GPU, time-boxed).")],
    row: Annotated[list[str] | None, typer.Option(help="Only this row; repeatable.")] = None,
    scale: Annotated[str, typer.Option(help="compact or full.")] = "compact",
    protocol: Annotated[str, typer.Option(help="patient, or the thesis' leaky slice.")] = "patient",
    seeds: Annotated[int | None, typer.Option(help="Seeds of every row; default: its own, 4 or 2.")] = None,
    samples: Annotated[int | None, typer.Option(help="Images seen in every run.")] = None,
    width: Annotated[int | None, typer.Option(help="Channels at full resolution (compact).")] = None,
    tile: Annotated[int | None, typer.Option(help="Window in pixels.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of the results; default: studies/SCALE/ in the cache.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes that share the runs, one GPU each where there are some.")] = 1,
    slurm: Annotated[
        list[str] | None, typer.Option(help="Submit the jobs as a SLURM array; KEY=VALUE, e.g. partition=gpu.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="Time that `full` may take.")] = 30.0,
    bundle: Annotated[Path | None, typer.Option(help="Zip file that `full` packs its small results into.")] = None,
    dry_run: Annotated[bool, typer.Option(help="List the runs and stop.")] = False,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Run a study; finished runs are left alone, an interrupted one goes on."""
    import torch

    from training.studies.command import run_study
    from training.studies.plan import Settings
    from training.studies.spread import Job, spread

    if threads:
        torch.set_num_threads(threads)
    # Denormals of a fading moving average slow x86 arithmetic down a hundredfold.
    torch.set_flush_denormal(True)
    sources = Sources.find(data, cache)
    only = tuple(row or ())
    if name == "full":
        from training.studies.full_scale import run_full

        folder = results or sources.cache / "studies" / "full"
        run_full(sources, folder, minutes * 60, bundle=bundle, say=typer.echo)
        return
    folder = results or sources.cache / "studies" / scale
    settings = Settings.at(scale, protocol=protocol, seeds=seeds, samples=samples, width=width, px=tile)
    if slurm is None and (jobs == 1 or dry_run):
        run_study(name, settings, sources, folder, only=only, dry_run=dry_run, say=typer.echo)
        return
    parts = [
        Job(name, settings, sources, folder, only, number, jobs, threads, one_gpu=slurm is None)
        for number in range(jobs)
    ]
    spread(parts, folder / "jobs", slurm=None if slurm is None else tuple(slurm), say=typer.echo)
