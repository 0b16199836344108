"""The one place where studies meet the trainer."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from LungNoduleSegLib.inference.normalise import Normalisation
from training.data.crops import Crops
from training.data.sampling import Sampler, SamplingConfig
from training.data.scans import TrainingScan
from training.engine.architecture import build_any
from training.engine.losses import bce_dice_loss
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
        engine=EngineConfig(progress=sys.stderr.isatty()),
    )


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


def try_out(run: Run, crops: Crops, scans: list[TrainingScan]) -> tuple[list[float], nn.Module]:
    """Losses of a few steps of plain training on the run's own batches, and the network; nothing is kept."""
    config = run_config(run)
    sampler = Sampler(crops, scans, config.sampling, config.normalisation, config.network.input_slices, run.seed)
    torch.manual_seed(run.seed)
    network = build_any(config.network).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate)
    losses = []
    for step in range(config.samples // config.sampling.batch_size):
        images, labels = sampler.batch(step)
        loss = bce_dice_loss(network(images), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses, network


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
