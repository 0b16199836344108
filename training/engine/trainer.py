"""One training run: batches, optimiser, moving average, mining, checkpoints; resumes exactly."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.inference.precision import cpu_features
from LungNoduleSegLib.networks import NetworkConfig, build
from training.data.crops import Crops
from training.data.mining import mine
from training.data.sampling import Sampler, SamplingConfig
from training.data.scans import TrainingScan
from training.engine import checkpoint
from training.engine.losses import bce_dice_loss
from training.evaluate.crops import evaluate_crops

CHECKPOINT_SECONDS = 240


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run.

    Parameters
    ----------
    samples
        Images seen in all.
    cooldown
        The last of them, over which the learning rate falls linearly to zero; before that it is constant (warm-up
        apart), so that a run can be lengthened before it cools down.
    mine_every
        Samples between two searches for false positives in the training scans; 0 never searches.
    """

    network: NetworkConfig
    normalisation: Normalisation = field(default_factory=Normalisation)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    samples: int = 100_000
    cooldown: int = 25_000
    warmup: int = 3_000
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    ema_decay: float = 0.999
    mine_every: int = 15_000
    validate_every: int = 10_000
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))


def best_precision() -> torch.dtype | None:
    """bfloat16 where the CPU multiplies it (AMX or AVX512-BF16: two to three times faster), else None for float32."""
    features = cpu_features()
    return torch.bfloat16 if features["amx_bf16"] or features["avx512_bf16"] else None


class Trainer:
    """Trains one network; state lives in ``folder/last.pt``, figures in ``folder/log.jsonl``."""

    def __init__(self, config: RunConfig, crops: Crops, scans: list[TrainingScan], folder: Path):
        self.config, self.crops, self.folder = config, crops, folder
        self.precision = best_precision()
        torch.manual_seed(config.seed)
        self.network = build(config.network).to(memory_format=torch.channels_last)
        decayed, plain = [], []
        for name, parameter in self.network.named_parameters():
            (decayed if parameter.dim() > 1 and "positions" not in name else plain).append(parameter)
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.learning_rate,
        )
        self.average = checkpoint.Averaged(self.network, config.ema_decay)
        self.sampler = Sampler(
            crops, scans, config.sampling, config.normalisation, config.network.input_slices, config.seed
        )
        self.step = 0

    def start_from(self, state: dict[str, torch.Tensor]) -> list[str]:
        """Take over the weights that fit by name and shape (fine-tuning, another bottleneck); returns what did not."""
        own = self.network.state_dict()
        fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
        self.network.load_state_dict(fitting, strict=False)
        self.average = checkpoint.Averaged(self.network, self.config.ema_decay)
        return sorted(set(own) - set(fitting))

    def resume(self) -> bool:
        """Go on from ``last.pt``; False when there is none."""
        path = self.folder / "last.pt"
        if not path.is_file():
            return False
        state = checkpoint.load(path)
        stored, own = state["config"]["network"], self.config.to_dict()["network"]
        if stored != own:
            finding = f"this run trained another network ({stored}, not {own})"
            raise InputError(finding, path=path, remedy="Give the run another name.")
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.load_state_dict(state["average"])
        self.sampler.hard = [h.numpy() for h in state["hard"]]
        self.step = state["step"]
        return True

    def save(self) -> None:
        checkpoint.save(
            self.folder / "last.pt",
            {
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average.state_dict(),
                "hard": [torch.from_numpy(h) for h in self.sampler.hard],
                "step": self.step,
                "config": self.config.to_dict(),
            },
        )

    @property
    def samples(self) -> int:
        return self.step * self.config.sampling.batch_size

    def learning_rate(self) -> float:
        config = self.config
        warm = min(1.0, (self.samples + config.sampling.batch_size) / max(config.warmup, 1))
        cool = min(1.0, (config.samples - self.samples) / max(config.cooldown, 1))
        return config.learning_rate * warm * max(cool, 0.0)

    def run(self) -> None:
        """Train until ``samples``; validation figures go to the log, the moving average to the last checkpoint."""
        config, size = self.config, self.config.sampling.batch_size
        saved = started = time.monotonic()
        losses: list[float] = []
        with ThreadPoolExecutor(1) as pool, tqdm(total=config.samples, initial=self.samples, unit="img") as bar:
            pending = None
            while self.samples < config.samples:
                if self._crossed(config.mine_every) and self.sampler.scans:
                    self._mine()
                    pending = None  # made before the new false positives were known
                images, labels = (pending or pool.submit(self.sampler.batch, self.step)).result()
                pending = pool.submit(self.sampler.batch, self.step + 1)
                losses.append(self._train_step(images, labels))
                self.step += 1
                bar.update(size)
                if self._crossed(config.validate_every) or self.samples >= config.samples:
                    figures = self.validate()
                    rate = len(losses) * size / (time.monotonic() - started)
                    self._log({"loss": float(np.mean(losses)), "rate": round(rate, 2), **figures})
                    losses, started = [], time.monotonic()
                    self.save()
                elif time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def _crossed(self, every: int) -> bool:
        size = self.config.sampling.batch_size
        return every > 0 and self.step > 0 and self.samples // every > (self.samples - size) // every

    def _train_step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", self.precision or torch.bfloat16, enabled=self.precision is not None):
            logits = self.network(images)
        loss = bce_dice_loss(logits, labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update(self.network)
        return float(loss.detach())

    def averaged_network(self) -> torch.nn.Module:
        """A copy of the network with the moving average's weights, in evaluation mode."""
        network = build(self.config.network)
        network.load_state_dict(self.average.state)
        return network.to(memory_format=torch.channels_last).eval()

    def _mine(self) -> None:
        network = self.averaged_network()
        self.sampler.hard = [
            mine(
                network, scan, self.config.normalisation, slices=self.config.network.input_slices,
                every=max(2, round(5.0 / scan.spacing_mm[0])), precision=self.precision, seed=self.step,
            )
            for scan in self.sampler.scans
        ]  # fmt: skip
        self._log({"mined": [len(h) for h in self.sampler.hard]})

    def validate(self) -> dict[str, Any]:
        """Figures of the moving average on the validation patients' positive crops."""
        crops = self.crops
        index = crops.on_side("validation")
        index = index[crops.positive[index]]
        figures = evaluate_crops(
            self.averaged_network(), crops, index, self.config.normalisation,
            slices=self.config.network.input_slices, precision=self.precision, repeats=200,
        )  # fmt: skip
        return {name: estimate.to_dict() for name, estimate in figures.items()}

    def _log(self, figures: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        line = {"samples": self.samples, "lr": round(self.learning_rate(), 7), **figures}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
