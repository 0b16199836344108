"""One training run: batches, optimiser, moving average, mining, checkpoints; resumes exactly."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from LungNoduleSegLib.errors import InputError
from training.data.crops import IGNORE, Crops
from training.data.mining import mine
from training.data.sampling import Sampler
from training.data.scans import TrainingScan
from training.engine import checkpoint
from training.engine.architecture import build_any
from training.engine.batches import Prefetched, crops_of_run
from training.engine.batchnorm import shared
from training.engine.config import EngineConfig, RunConfig
from training.engine.fabric import best_precision, gather, launch, precision_of, total
from training.engine.journal import Journal
from training.engine.losses import WholeBatch, bce_dice_loss
from training.engine.restore import check_same_run, fill
from training.engine.schedule import Schedule, adamw, can_fuse
from training.engine.validation import OnDevice, central, look, validation_index

if TYPE_CHECKING:
    from lightning.fabric import Fabric

__all__ = ["EngineConfig", "RunConfig", "Trainer", "best_precision"]

CHECKPOINT_SECONDS = 240
GRADIENT_NORM = 5.0


class Trainer:
    """Trains one network; state lives in ``folder/last.pt``, figures in ``folder/log.jsonl``.

    ``folder/best.pt`` keeps the moving average that did best for the validation patients: it need not be the last one.

    Every process of a run makes and learns from its share of each batch; gradients, batch statistics and figures are
    those of the whole batch, so that the number of processes changes nothing but rounding.

    Parameters
    ----------
    fabric
        The processes of the run, where they are launched already; by default they are launched here.
    """

    def __init__(
        self, config: RunConfig, crops: Crops, scans: list[TrainingScan], folder: Path, fabric: Fabric | None = None
    ):
        self.config, self.crops, self.folder = config, crops, folder
        self.fabric = fabric or launch(config.engine)
        self.device = self.fabric.device
        self.precision = precision_of(config.engine, self.device.type)
        torch.manual_seed(config.seed)
        self.network = build_any(config.network).to(memory_format=torch.channels_last)
        if torch.distributed.is_initialized():
            self.network = shared(self.network, self.device)
        self._fused = can_fuse(self.device, self.precision)
        self.optimiser = adamw(self.network, config.learning_rate, config.weight_decay, fused=self._fused)
        self._module, self._stepper = self.fabric.setup(self.network, self.optimiser)
        self.average = checkpoint.Averaged(self.network, config.ema_decay)
        scans = [scan for scan in scans if scan.patient not in config.leave_out]
        self.sampler = Sampler(
            crops_of_run(crops, config.protocol, config.leave_out), scans, config.sampling, config.normalisation,
            config.network.input_slices, config.seed,
        )  # fmt: skip
        self.schedule = Schedule(config)
        self.journal = Journal(folder, active=self.fabric.is_global_zero, tensorboard=config.engine.tensorboard)
        self.step = 0

    def start_from(self, state: dict[str, Tensor]) -> list[str]:
        """Take over the weights that fit by name and shape (fine-tuning, another bottleneck); returns what did not.

        InputError when none does.
        """
        fresh = fill(self.network, state)
        self.average = checkpoint.Averaged(self.network, self.config.ema_decay)
        return fresh

    def resume(self) -> bool:
        """Go on from ``last.pt``; False when there is none, InputError when it is of another run."""
        path = self.folder / checkpoint.LAST
        if not path.is_file():
            found = None
        else:
            found = checkpoint.load_run(path)
            check_same_run(found["config"], self.config, path)
        if len(set(gather(self.fabric, found and found["step"]))) > 1:
            remedy = "Put the cache on a disk that all nodes share."
            raise InputError("not every process sees the same checkpoint", path=path, remedy=remedy)
        if found is None:
            return False
        self._restore(found, path)
        self.journal.rewind(self.samples)
        return True

    def _restore(self, state: dict[str, Any], path: Path) -> None:
        for group in state["optimiser"]["param_groups"]:
            group["fused"] = self._fused or None  # the run may go on on another device
        try:
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average.load_state_dict(state["average"])
        except (RuntimeError, ValueError, KeyError) as error:
            finding = f"the weights of this run do not fit its network as it is built now ({error})"
            raise InputError(finding, path=path, remedy="Start a run of another name with --init.") from error
        self.sampler.hard = [h.numpy() for h in state["hard"]]
        self.step = state["step"]
        if "schedule" in state:  # not in runs of earlier versions
            self.schedule.load_state_dict(state["schedule"])
        self.fabric.strategy.precision.load_state_dict(state.get("scaler", {}) or _scaler(self.fabric))

    def save(self) -> None:
        """Write ``last.pt``; the old one stays until the new one is complete."""
        if not self.fabric.is_global_zero:
            return
        checkpoint.save(
            self.folder / checkpoint.LAST,
            {
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average.state_dict(),
                "hard": [torch.from_numpy(h) for h in self.sampler.hard],
                "step": self.step,
                "config": self.config.to_dict(),
                "schedule": self.schedule.state_dict(),
                "scaler": _scaler(self.fabric),
            },
        )

    def _keep_best(self, iou_pos: float) -> None:
        if self.fabric.is_global_zero:
            best = {"average": self.average.state_dict(), "step": self.step, "config": self.config.to_dict()}
            checkpoint.save(self.folder / checkpoint.BEST, {**best, "iou_pos": iou_pos})

    @property
    def samples(self) -> int:
        return self.step * self.config.sampling.batch_size

    def learning_rate(self) -> float:
        return self.schedule.learning_rate(self.samples)

    def run(self) -> None:
        """Train until ``samples``; validation figures go to the log, the moving average to the last checkpoint."""
        config, size, fabric = self.config, self.config.sampling.batch_size, self.fabric
        saved = started = time.monotonic()
        losses: list[Tensor] = []
        numbers = range(fabric.global_rank, size, fabric.world_size)
        batches = Prefetched(
            self.sampler, numbers, -(-config.samples // size),
            workers=config.engine.workers, pin=self.device.type == "cuda",
        )  # fmt: skip
        with batches, self.journal.bar(config.samples, self.samples, shown=config.engine.progress) as bar:
            while self.samples < self.schedule.end:
                if self._crossed(config.mine_every) and self.sampler.scans:
                    self._mine()
                    batches.forget()  # made before the new false positives were known
                losses.append(self._train_step(*batches.get(self.step)))
                self.step += 1
                bar.update(size)
                if self._crossed(config.validate_every) or self.samples >= self.schedule.end:
                    loss = float(total(fabric, torch.stack(losses).double().mean()))
                    rate = len(losses) * size / (time.monotonic() - started)
                    figures = self._look()
                    self._log({"loss": loss, "rate": round(rate, 2), **figures})
                    bar.set_postfix(_shown(loss, figures), refresh=False)
                    losses, started = [], time.monotonic()
                    self.save()
                    saved = time.monotonic()
                elif time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self.save()
                    saved = time.monotonic()
        self.save()
        self.journal.close()

    def _crossed(self, every: int) -> bool:
        size = self.config.sampling.batch_size
        return every > 0 and self.step > 0 and self.samples // every > (self.samples - size) // every

    def _train_step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One step on this process' images (n, slices, px, px) and labels (n, px, px); its share of the loss."""
        config, fabric = self.config, self.fabric
        self.network.train()
        # Dropout too is drawn anew from seed and step: a run that goes on draws what it would have drawn.
        torch.manual_seed((config.seed << 40) + (self.step << 12) + fabric.global_rank)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        labels = labels.to(self.device, non_blocking=True)
        valid = total(fabric, (labels != IGNORE).sum().float())
        whole = WholeBatch(config.sampling.batch_size, valid, fabric.world_size, lambda t: total(fabric, t))
        self.optimiser.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.device)
        parts = list(zip(images.tensor_split(config.engine.accumulate), labels.tensor_split(config.engine.accumulate)))
        for number, (part, truth) in enumerate(parts, start=1):
            with fabric.no_backward_sync(self._module, enabled=number < len(parts)):
                share = bce_dice_loss(
                    self._module(part), truth, bce_weight=config.bce_weight, positive_weight=config.positive_weight,
                    per_image=config.dice == "image", whole=whole,
                )  # fmt: skip
                # DDP takes the mean over the processes; the shares are to be added up.
                fabric.backward(share * fabric.world_size)
            loss += share.detach()
        fabric.clip_gradients(self._module, self._stepper, max_norm=GRADIENT_NORM, error_if_nonfinite=False)
        self._stepper.step()
        self.average.update(self.network)
        return loss

    def averaged_network(self) -> nn.Module:
        """A copy of the network with the moving average's weights, in evaluation mode, on the CPU."""
        network = build_any(self.config.network, to_be_filled=True)
        network.load_state_dict(self.average.state)
        return network.to(memory_format=torch.channels_last).eval()

    def _on_device(self) -> nn.Module:
        """The averaged network where this process computes, for images on the CPU."""
        network = self.averaged_network()
        return network if self.device.type == "cpu" else OnDevice(network, self.device, self.precision).eval()

    def _mine(self) -> None:
        network, rank, world = self._on_device(), self.fabric.global_rank, self.fabric.world_size
        precision = self.precision if self.device.type == "cpu" else None
        found = {
            number: mine(
                network, scan, self.config.normalisation, slices=self.config.network.input_slices,
                every=max(2, round(5.0 / scan.spacing_mm[0])), precision=precision, seed=self.step,
            )
            for number, scan in enumerate(self.sampler.scans)
            if number % world == rank
        }  # fmt: skip
        everything = {number: hard for part in gather(self.fabric, found) for number, hard in part.items()}
        self.sampler.hard = [everything[number] for number in range(len(self.sampler.scans))]
        self._log({"mined": [len(h) for h in self.sampler.hard]})

    def _look(self) -> dict[str, Any]:
        """Validate where the run does, and stop early where that says so."""
        figures = self.validate() if self.config.validate_every else {}
        if "iou_pos" in figures:
            value = figures["iou_pos"]["value"]
            if value > self.schedule.best:
                self._keep_best(value)
            if self.schedule.look(value, self.samples):
                figures["stopped"] = f"no better iou_pos in {self.config.patience} looks"
        return figures

    def validate(self) -> dict[str, Any]:
        """Figures of the moving average on the middle of the validation side's positive crops."""
        crops = central(self.crops, self.config.network.input_px)
        return look(
            self._on_device(), crops, validation_index(crops, self.config), self.config,
            precision=self.precision if self.device.type == "cpu" else None,
            rank=self.fabric.global_rank, world=self.fabric.world_size, gather=lambda c: gather(self.fabric, c),
        )  # fmt: skip

    def _log(self, figures: dict[str, Any]) -> None:
        self.journal.write(self.samples, {"lr": round(self.learning_rate(), 7), **figures})


def _scaler(fabric: Fabric) -> dict[str, Any]:
    return fabric.strategy.precision.state_dict()


def _shown(loss: float, figures: dict[str, Any]) -> dict[str, str]:
    shown = {"loss": f"{loss:.3f}"}
    if "iou_pos" in figures:
        shown["iou_pos"] = f"{figures['iou_pos']['value']:.3f}"
    return shown
