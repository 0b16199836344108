"""``train`` and ``check``: one run, and its figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from LungNoduleSegLib.errors import InputError
from training.cli.options import Cache, Data
from training.sources import Sources

if TYPE_CHECKING:
    from training.engine.config import RunConfig
    from training.engine.trainer import Trainer

Slurm = Annotated[str | None, typer.Option(help="Queue the run on this SLURM partition and return.")]


def train(
    name: Annotated[str, typer.Argument(help="Member of the family, e.g. model-2-compact.")],
    run: Annotated[str, typer.Option(help="Name of the run; an unfinished run of this name goes on.")],
    samples: Annotated[int, typer.Option(help="Images seen in all.")] = 100_000,
    cooldown: Annotated[int, typer.Option(help="The last of them: the learning rate falls to zero.")] = 25_000,
    tile: Annotated[int, typer.Option(help="Window in pixels: 128, or 96 for the first part of a schedule.")] = 128,
    batch: Annotated[int, typer.Option(help="Images of a step, over all devices.")] = 16,
    width: Annotated[int | None, typer.Option(help="Channels at full resolution, instead of the member's own.")] = None,
    slices: Annotated[
        int | None, typer.Option(help="Neighbouring slices that it sees, an odd number, instead of the member's own.")
    ] = None,
    normalisation: Annotated[str, typer.Option(help="percentile, zscore or minmax.")] = "percentile",
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    scan_share: Annotated[float, typer.Option(help="Share of a batch taken from complete scans.")] = 0.4,
    cavity_share: Annotated[float, typer.Option(help="Share of the crops whose nodule is hollowed out.")] = 0.0,
    sharpness_share: Annotated[float, typer.Option(help="Share of the images made softer or sharper.")] = 0.0,
    shell_share: Annotated[
        float, typer.Option(help="Share of the tiles of scans that get a thin-walled cavity.")
    ] = 0.0,
    mix_share: Annotated[float, typer.Option(help="Share of the images that take a window of another one.")] = 0.0,
    ends_share: Annotated[
        float, typer.Option(help="Of the tiles of scans with a nodule, the share just beyond one of its ends.")
    ] = 0.0,
    thick_share: Annotated[float, typer.Option(help="Share of the tiles of scans averaged to slices of 5 mm.")] = 0.0,
    scan_least_scale: Annotated[
        float | None, typer.Option(help="Least magnification of tiles of scans; default: as the crops.")
    ] = None,
    gain: Annotated[float, typer.Option(help="Largest change of contrast.")] = 0.1,
    mine_every: Annotated[int, typer.Option(help="Samples between two searches for false positives.")] = 15_000,
    validate_every: Annotated[int, typer.Option(help="Samples between two validations; 0: none.")] = 10_000,
    patience: Annotated[
        int, typer.Option(help="Validations without a better IoU that begin the cool-down early; 0: never.")
    ] = 0,
    protocol: Annotated[str, typer.Option(help="Split by patient, or by slice as in the thesis (leaky).")] = "patient",
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Patient whose crops and scans train nothing; repeatable.")
    ] = None,
    init: Annotated[str | None, typer.Option(help="Run whose weights to start from, where they fit.")] = None,
    from_model: Annotated[str | None, typer.Option(help="Model whose weights to start from, where they fit.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes (GPUs) on each node.")] = 1,
    nodes: Annotated[int, typer.Option(help="Computers, started by torchrun or SLURM.")] = 1,
    strategy: Annotated[str, typer.Option(help="auto or ddp.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    accumulate: Annotated[int, typer.Option(help="Parts of a device's share, where memory is short.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that make batches; 0: a thread.")] = 0,
    deterministic: Annotated[bool, typer.Option(help="The same bits every time on a GPU too (slower).")] = False,
    tensorboard: Annotated[bool, typer.Option(help="Write figures for TensorBoard into the run's folder.")] = False,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    slurm: Slurm = None,
    slurm_hours: Annotated[float, typer.Option(help="Time limit; a run that needs longer is queued again.")] = 24.0,
    slurm_cpus: Annotated[int, typer.Option(help="Processor cores a task.")] = 8,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Train one network; a run that was interrupted goes on where its last checkpoint is.

    Several devices of one computer: --devices. Several computers: the same command under torchrun, or --slurm.
    """
    from training.engine.config import EngineConfig
    from training.engine.runs import run_config

    engine = EngineConfig(
        accelerator=accelerator, devices=devices, nodes=nodes, strategy=strategy, precision=precision,
        accumulate=accumulate, workers=workers, deterministic=deterministic, tensorboard=tensorboard,
    )  # fmt: skip
    config = run_config(
        name, samples=samples, cooldown=cooldown, tile_px=tile, width=width, slices=slices, method=normalisation,
        learning_rate=learning_rate, scan_share=scan_share, seed=seed, batch_size=batch, mine_every=mine_every,
        validate_every=validate_every, patience=patience, protocol=protocol, engine=engine,
        leave_out=tuple(sorted(leave_out or ())),
        sampling={"cavity_share": cavity_share, "sharpness_share": sharpness_share, "shell_share": shell_share,
                  "mix_share": mix_share, "ends_share": ends_share, "thick_share": thick_share,
                  "scan_least_scale": scan_least_scale, "gain": gain},
    )  # fmt: skip
    sources = Sources.find(data, cache)
    start: dict[str, Any] = {"init": init, "from_model": from_model, "threads": threads}
    if slurm is None:
        train_run(config, sources, run, **start)
        return
    from training.engine.launch import SlurmConfig, submit

    asked = SlurmConfig(partition=slurm, hours=slurm_hours, cpus=slurm_cpus)
    logs = sources.run(run) / "slurm"
    job = submit(train_run, logs, engine, asked, config=config, sources=sources, run=run, **start)
    typer.echo(f"queued as job {job.job_id}; its output goes to {logs}")


def average(
    run: Annotated[str, typer.Option(help="Run that was trained last.")],
    other: Annotated[
        list[str], typer.Option(help="Run of the same network, such as the one that it started from; repeatable.")
    ],
    into: Annotated[str, typer.Option(help="Name of the run that gets the averaged weights.")],
    share: Annotated[
        list[float] | None, typer.Option(help="Share of each other run's weights, in their order; default: alike.")
    ] = None,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Average the weights of runs into one of its own, to export or to train on."""
    from training.engine import checkpoint
    from training.engine.averaging import averaged
    from training.publish.origin import read_start, write_start

    sources = Sources.find(data, cache)
    folder = sources.run(into)
    if folder.exists():
        raise InputError("this run is there already", path=folder, remedy="Choose another name.")
    if len({run, *other}) <= len(other):
        raise InputError(f"a run is named twice: {', '.join([run, *other])}", remedy="Name each run once.")
    given = share or [1 / (len(other) + 1)] * len(other)
    if len(given) != len(other):
        raise InputError(
            f"{len(given)} shares for {len(other)} other runs", remedy="Give --other and --share by turns."
        )
    shares = dict(zip(other, given))
    state = averaged(sources.run(run), {sources.run(name): part for name, part in shares.items()})
    parts = {run: round(1 - sum(given), 6), **shares}
    start = read_start(sources.run(run)) or {}
    write_start(folder, {**start, "averaged": parts})
    log = sources.run(run) / "log.jsonl"
    if log.is_file():
        (folder / "log.jsonl").write_text(log.read_text(encoding="utf-8"), encoding="utf-8")
    checkpoint.save(folder / checkpoint.LAST, state)
    typer.echo(f"written: {folder} ({', '.join(f'{part:g} of {name}' for name, part in parts.items())})")


def train_run(
    config: RunConfig,
    sources: Sources,
    run: str,
    *,
    init: str | None = None,
    from_model: str | None = None,
    threads: int | None = None,
) -> None:
    """Train in this process, which may be one of several."""
    import torch

    from training.engine.fabric import launch
    from training.engine.trainer import Trainer
    from training.publish.origin import forget_start, series_of

    if threads:
        torch.set_num_threads(threads)
    # Denormals of a fading moving average slow x86 arithmetic down a hundredfold.
    torch.set_flush_denormal(True)
    fabric = launch(config.engine)
    with fabric.rank_zero_first():  # which may have to write the caches
        crops, scans = sources.crops(), sources.scans()
    if not crops.positive[crops.on_side("train", config.protocol)].any():
        raise InputError(
            "no case of the training side has a nodule of more than 8 pixels",
            path=sources.cache,
            remedy="Prepare more cases: about three in four train, by the patient's name.",
        )
    unknown = set(config.leave_out) - set(crops.patients.tolist()) - {scan.patient for scan in scans}
    if unknown:
        raise InputError(
            f"no patient to leave out is called {', '.join(sorted(unknown))}",
            path=sources.cache,
            remedy="Give the names as the data has them, such as LIDC-IDRI-0001.",
        )
    left_out = series_of(config.leave_out, crops, scans)
    trainer = Trainer(config, crops, scans, sources.run(run), fabric)

    def say(text: str) -> None:
        if fabric.is_global_zero:
            typer.echo(text)

    number_format = str(trainer.precision or torch.float32).removeprefix("torch.")
    where = f"{fabric.world_size} x {trainer.device.type}" if fabric.world_size > 1 else trainer.device.type
    say(f"{run}: {number_format} on {where}, {torch.get_num_threads()} threads")
    if trainer.resume():
        say(f"going on at {trainer.samples} of {config.samples} images")
    elif from_model:
        say(f"started from {from_model}; {len(_start_from_model(trainer, from_model, left_out))} tensors are new")
    elif init:
        say(f"started from run {init}; {len(_start_from_run(trainer, sources.run(init)))} tensors are new")
    elif fabric.is_global_zero:
        forget_start(trainer.folder)  # of a run of this name that was given up
    trainer.run()


def _start_from_model(trainer: Trainer, name: str, series_left_out: set[str]) -> list[str]:
    import torch

    from LungNoduleSegLib.weights import checks, find, load_state
    from training.engine.restore import check_same_preprocessing
    from training.publish.origin import check_not_seen, start_of_model, write_start

    entry = find(name)
    preprocessing: dict[str, Any] = checks.thawed(entry.card.preprocessing)
    check_same_preprocessing(preprocessing["normalisation"], trainer.config, Path(f"{name}.json"))
    start = start_of_model(entry)
    check_not_seen(start, series_left_out, Path(f"{name}.json"))
    if trainer.fabric.is_global_zero:
        write_start(trainer.folder, start)
    return trainer.start_from({n: torch.from_numpy(a) for n, a in load_state(entry).items()})


def _start_from_run(trainer: Trainer, folder: Path) -> list[str]:
    from training.engine import checkpoint
    from training.engine.restore import check_same_data
    from training.publish.origin import write_start

    state = checkpoint.load_run(folder / checkpoint.LAST)
    check_same_data(state["config"], trainer.config, folder / checkpoint.LAST)
    if trainer.fabric.is_global_zero:
        write_start(trainer.folder, {"run": folder.name})
    fresh = trainer.start_from(state["average"]["state"])
    if len(state["hard"]) == len(trainer.sampler.scans):  # else they are places in other scans
        trainer.sampler.hard = [h.numpy() for h in state["hard"]]
    return fresh


def check(
    run: Annotated[str, typer.Argument(help="Name of the run.")],
    best: Annotated[bool, typer.Option(help="Of its best validation so far, not of its last checkpoint.")] = False,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Figures of a run so far on the positive crops of the validation patients."""
    from training.engine.config import RunConfig
    from training.engine.fabric import best_precision
    from training.engine.validation import central, validation_index
    from training.evaluate.crops import evaluate_crops
    from training.publish.published import network_of_run

    sources = Sources.find(data, cache)
    folder = sources.run(run)
    network, published = network_of_run(folder, best=best)
    config = replace(RunConfig.from_dict(published.run), validate_images=0)
    crops = central(sources.crops(), config.network.input_px)
    index = validation_index(crops, config)
    if len(index) == 0:
        raise InputError(
            "no case of the validation side has a nodule of more than 8 pixels",
            path=sources.cache,
            remedy="Prepare more cases: about one patient in ten validates, by the patient's name.",
        )
    found = evaluate_crops(
        network, crops, index, published.normalisation,
        slices=config.network.input_slices, precision=best_precision(),
    )  # fmt: skip
    typer.echo(json.dumps({name: estimate.to_dict() for name, estimate in found.items()}, indent=2))
