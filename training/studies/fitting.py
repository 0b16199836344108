"""The one place where studies meet the trainer."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from LungNoduleSegLib.inference.normalise import Normalisation
from training.data.crops import Crops
from training.data.sampling_config import SamplingConfig
from training.data.scans import TrainingScan
from training.engine.trainer import EngineConfig, RunConfig, Trainer
from training.metrics import bootstrap
from training.studies.evaluation import evaluate
from training.studies.plan import Run

SHIFT_PX = 16
"""Largest shift of the window; a 64-px one then stays inside its 128-px crop. The same at every size."""

VALIDATION_IMAGES = 400
"""At most so many positive images of the validation side, evenly chosen, show on its way how a run does."""

NORMALISATION = Normalisation(method="minmax")
"""The thesis' own: minimum to maximum of each tile to 0..1."""


@dataclass(frozen=True)
class Fitted:
    """A trained network and what training it took; ``images_a_second`` counts from the last resume on."""

    network: nn.Module
    config: dict[str, Any]
    images_a_second: float
    cpu_seconds_an_image: float
    log: list[dict[str, Any]]


def run_config(run: Run, *, scan_share: float | None = None) -> RunConfig:
    """The engine's configuration of a run of a study; every row differs in its network, window and seed alone."""
    settings = run.settings
    return RunConfig(
        network=run.network,
        normalisation=NORMALISATION,
        sampling=SamplingConfig(
            tile_px=run.px,
            batch_size=settings.batch_size,
            shift_px=SHIFT_PX,
            scan_share=settings.scan_share if scan_share is None else scan_share,
        ),
        samples=settings.samples,
        cooldown=settings.cooldown,
        warmup=max(settings.samples // 20, 1),
        learning_rate=settings.learning_rate,
        mine_every=0,
        validate_every=max(settings.samples // 4, 1),
        seed=run.seed,
        protocol=run.protocol,
        engine=EngineConfig(progress=sys.stderr.isatty(), workers=_workers()),
    )


def _workers() -> int:
    """Processes that make batches: a GPU is faster than one thread can feed it, a CPU is not."""
    return max(1, (os.cpu_count() or 2) - 2) if torch.cuda.is_available() else 0


class _StudyTrainer(Trainer):
    """Looks at the window that the run is trained on, of a fixed selection of the validation images."""

    def validate(self) -> dict[str, Any]:
        index = self.crops.on_side("validation", self.config.protocol)
        index = index[self.crops.positive[index]]
        if not len(index):
            return {}
        chosen = index[:: -(-len(index) // VALIDATION_IMAGES)]
        config = self.config
        network = self.averaged_network().to(self.device)
        seen = evaluate(
            network, self.crops, chosen, config.normalisation,
            slices=config.network.input_slices, px=config.sampling.tile_px,
        )  # fmt: skip
        return {"iou_pos": bootstrap(seen.iou(), self.crops.patients[chosen], repeats=200).to_dict()}


def fit(run: Run, crops: Crops, scans: list[TrainingScan], folder: Path) -> Fitted:
    """Train, going on where ``folder`` holds an unfinished state of the same run."""
    config = run_config(run)
    trainer = _StudyTrainer(config, crops, scans, folder)
    trainer.resume()
    before, started, cpu = trainer.samples, time.monotonic(), time.process_time()
    trainer.run()
    # A run that was complete but not yet evaluated when it was killed has nothing left to time.
    trained = trainer.samples - before
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    return Fitted(
        trainer.averaged_network().to(trainer.device),
        config.to_dict(),
        trained / seconds if trained else float("nan"),
        cpu / trained if trained else float("nan"),
        _log(folder),
    )


def _log(folder: Path) -> list[dict[str, Any]]:
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def try_out(run: Run, crops: Crops, scans: list[TrainingScan], folder: Path) -> tuple[list[float], nn.Module]:
    """Losses of the few steps of a run that is no experiment, and its network; ``folder`` is for the trainer."""
    losses: list[float] = []

    class Watched(Trainer):
        def _train_step(self, *batch: Any) -> torch.Tensor:
            loss = super()._train_step(*batch)
            losses.append(float(loss))
            return loss

    trainer = Watched(replace(run_config(run), validate_every=0), crops, scans, folder)
    trainer.run()
    return losses, trainer.averaged_network()


def images_a_second(run: Run, crops: Crops, scans: list[TrainingScan], *, steps: int = 12) -> float:
    """Speed of training, measured over the second half of a few steps: the first ones load and choose kernels."""
    times: list[float] = []

    class Timed(Trainer):
        def _train_step(self, *batch: Any) -> torch.Tensor:
            loss = super()._train_step(*batch)
            _settle(self.device)
            times.append(time.monotonic())
            return loss

    short = replace(run.settings, samples=steps * run.settings.batch_size)
    with TemporaryDirectory() as folder:
        Timed(replace(run_config(replace(run, settings=short)), validate_every=0), crops, scans, Path(folder)).run()
    half = len(times) // 2
    return (len(times) - 1 - half) * run.settings.batch_size / (times[-1] - times[half])


def milliseconds_an_image(network: nn.Module, slices: int, px: int, *, repeats: int = 9) -> float:
    """Median time of one image, alone, in float32, on the threads and device that are set."""
    device = next(network.parameters()).device
    x = torch.rand(1, slices, px, px, device=device).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 2):
            _settle(device)
            started = time.perf_counter()
            network(x)
            _settle(device)
            times.append(time.perf_counter() - started)
    return float(np.median(times[2:]) * 1e3)


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
