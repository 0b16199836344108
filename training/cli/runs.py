"""``train`` and ``check``: one run, and its figures."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from training.cli.options import Cache, Data
from training.sources import Sources


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

    from training.engine import checkpoint
    from training.engine.runs import run_config, with_mining
    from training.engine.trainer import Trainer

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


def check(
    run: Annotated[str, typer.Argument(help="Name of the run.")],
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Figures of a run so far on the positive crops of the validation patients."""
    from training.engine.trainer import best_precision
    from training.evaluate.crops import evaluate_crops
    from training.publish.published import network_of_run, positives

    sources = Sources.find(data, cache)
    network, published = network_of_run(sources.run(run))
    crops = sources.crops()
    found = evaluate_crops(
        network, crops, positives(crops, "validation"), published.normalisation,
        slices=published.network.input_slices, precision=best_precision(),
    )  # fmt: skip
    typer.echo(json.dumps({name: estimate.to_dict() for name, estimate in found.items()}, indent=2))
