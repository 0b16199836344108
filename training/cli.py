"""``python -m training``: prepare, train, evaluate, export."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from LungNoduleSegLib.errors import LungNoduleSegError
from training.sources import Sources

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Train the networks on LIDC-IDRI.")
Data = Annotated[Path | None, typer.Option(help="Folder with the data; default: LUNGNODULESEG_DATA.")]
Cache = Annotated[Path | None, typer.Option(help="Folder for caches and runs; default: ~/.cache/lungnoduleseg.")]


@app.command()
def prepare(data: Data = None, cache: Cache = None) -> None:
    """Read crops and complete scans into the cache, once."""
    sources = Sources.find(data, cache)
    crops, scans = sources.crops(), sources.scans()
    for side in ("train", "validation", "test"):
        index = crops.on_side(side)
        typer.echo(
            f"{side}: {len(index)} crops of {len(set(crops.patients[index]))} patients, "
            f"{int(crops.positive[index].sum())} with a nodule of more than 8 pixels"
        )
    for scan in scans:
        typer.echo(f"{scan.patient}: {scan.hu.shape[0]} slices, {int(scan.nodules.max())} annotated nodules")


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="Member of the family, e.g. model-2-compact.")],
    run: Annotated[str, typer.Option(help="Name of the run; an unfinished run of this name goes on.")],
    samples: Annotated[int, typer.Option(help="Images seen in all.")] = 100_000,
    cooldown: Annotated[int, typer.Option(help="The last of them: the learning rate falls to zero.")] = 25_000,
    tile: Annotated[int, typer.Option(help="Window in pixels: 128, or 96 for the first part of a schedule.")] = 128,
    width: Annotated[int | None, typer.Option(help="Channels at full resolution, instead of the member's own.")] = None,
    normalisation: Annotated[str, typer.Option(help="percentile, zscore or minmax.")] = "percentile",
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    scan_share: Annotated[float, typer.Option(help="Share of a batch taken from complete scans.")] = 0.4,
    mine_every: Annotated[int, typer.Option(help="Samples between two searches for false positives.")] = 15_000,
    init: Annotated[str | None, typer.Option(help="Run whose weights to start from, where they fit.")] = None,
    from_model: Annotated[str | None, typer.Option(help="Model whose weights to start from, where they fit.")] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Train one network; a run that was interrupted goes on where its last checkpoint is."""
    import torch

    from training import checkpoint
    from training.experiments import run_config, with_mining
    from training.trainer import Trainer

    if threads:
        torch.set_num_threads(threads)
    # Denormals of a fading moving average slow x86 arithmetic down a hundredfold.
    torch.set_flush_denormal(True)
    sources = Sources.find(data, cache)
    config = run_config(
        name, samples=samples, cooldown=cooldown, tile_px=tile, width=width, method=normalisation,
        learning_rate=learning_rate, scan_share=scan_share, seed=seed,
    )  # fmt: skip
    trainer = Trainer(with_mining(config, mine_every), sources.crops(), sources.scans(), sources.run(run))
    typer.echo(f"{name}: {'bfloat16' if trainer.precision else 'float32'} on {torch.get_num_threads()} threads")
    if trainer.resume():
        typer.echo(f"going on at {trainer.samples} of {samples} images")
    elif from_model:
        from LungNoduleSegLib.weights import find, load_state

        weights = {n: torch.from_numpy(a) for n, a in load_state(find(from_model)).items()}
        typer.echo(f"started from {from_model}; {len(trainer.start_from(weights))} tensors are new")
    elif init:
        state = checkpoint.load(sources.run(init) / "last.pt")
        fresh = trainer.start_from(state["average"]["state"])
        trainer.sampler.hard = [h.numpy() for h in state["hard"]]
        typer.echo(f"started from run {init}; {len(fresh)} tensors are new")
    trainer.run()


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="Name of the run.")],
    side: Annotated[str, typer.Option(help="validation, or test (every look at it is logged).")] = "validation",
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Figures of a run on positive crops of patients that it was not trained on."""
    from training.looks import log_look
    from training.published import figures, network_of_run

    sources = Sources.find(data, cache)
    network, config = network_of_run(sources.run(run))
    found = figures(network, config, sources.crops(), side)
    if side == "test":
        log_look(sources.cache, run, found)
    typer.echo(json.dumps(found, indent=2))


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Model name, e.g. model-2-compact.")],
    run: Annotated[str, typer.Option(help="Run whose moving average becomes the weights.")],
    version: Annotated[str, typer.Option(help="Version of the weights.")],
    output: Annotated[Path, typer.Option(help="Folder for the weights and the card.")] = Path("Resources/Weights"),
    after: Annotated[list[str] | None, typer.Option(help="RUN:SAMPLES that it started from; repeatable.")] = None,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Write float16 weights with their card: figures of the validation and test patients, series, split, hash."""
    from training.published import publish

    sources = Sources.find(data, cache)
    path = publish(name, sources.run(run), version, output, sources, after=tuple(after or ()))
    typer.echo(f"written: {path}")


@app.command()
def operate(
    name: Annotated[str, typer.Argument(help="Model whose card gets its candidate scorer and operating points.")],
    folder: Annotated[Path, typer.Option(help="Folder of the weights and the card.")] = Path("Resources/Weights"),
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Fit the candidate scorer on the training scans, by two folds, and choose the operating points."""
    from training.operating import set_operating_points

    card = set_operating_points(name, folder, Sources.find(data, cache))
    for point in card.operating_points:
        typer.echo(json.dumps({k: v for k, v in point.items() if k != "source"}))


@app.command()
def scans(
    name: Annotated[str, typer.Argument(help="Model to try on complete scans.")],
    patient: Annotated[list[str] | None, typer.Option(help="LIDC-IDRI-NNNN, repeatable; default: 0063.")] = None,
    clicks: Annotated[bool, typer.Option(help="Also click into each annotated nodule.")] = True,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Whole CTs (and one click a nodule) against the annotations."""
    from LungNoduleSegLib import load_segmenter
    from training.data.split import NEVER_USED, side
    from training.operating import evaluate_scan

    sources = Sources.find(data, cache)
    segmenter = load_segmenter(name)
    for who in patient or sorted(NEVER_USED):
        figures, rows = evaluate_scan(segmenter, who, sources, clicks=clicks)
        seen = "" if side(who) == "none" else f" (on the {side(who)} side of the split)"
        typer.echo(
            f"{who}{seen}: {figures.results} results, false positives: {figures.strict_false} strict, "
            f"{figures.luna16_false} luna16"
        )
        for row in rows:
            typer.echo(json.dumps(row))


def main() -> None:
    """Entry point: errors that are the input's fault are one sentence, not a traceback."""
    try:
        app()
    except LungNoduleSegError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
