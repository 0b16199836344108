"""One short run, alone or as one of several processes: what `test_processes` compares."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from LungNoduleSegLib.networks import NetworkConfig
from Testing.training.synthetic import TRAIN, VALIDATION, disc_crops, made_scan
from training.data.sampling_config import SamplingConfig
from training.engine.config import EngineConfig, RunConfig
from training.engine.trainer import Trainer

BATCH = 5  # which two processes cannot halve


def config(devices: int, dice: str = "image", precision: str = "float32") -> RunConfig:
    """Four steps with a search for false positives after two, and a look at the end."""
    return RunConfig(
        network=NetworkConfig(widths=(4, 8, 16, 32, 64), scse=("encoder", "bottleneck"), input_slices=3),
        sampling=SamplingConfig(tile_px=32, batch_size=BATCH, shift_px=4, scan_share=0.4, scan_positive_share=0.5),
        samples=4 * BATCH, cooldown=2 * BATCH, warmup=BATCH, mine_every=2 * BATCH, validate_every=100 * BATCH,
        learning_rate=1e-3, dice=dice, positive_weight=1.5,
        engine=EngineConfig(accelerator="cpu", devices=devices, precision=precision, progress=False),
    )  # fmt: skip


class Recorded(Trainer):
    """Keeps the gradients of the first step."""

    def _train_step(self, images, labels):
        loss = super()._train_step(images, labels)
        if self.step == 0 and self.fabric.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            torch.save({n: p.grad.clone() for n, p in self.network.named_parameters()}, self.folder / "gradients.pt")
        return loss


def run(folder: str, devices: int, dice: str = "image") -> None:
    """Train into a folder; process 0 writes."""
    torch.set_num_threads(1)
    crops = disc_crops((TRAIN, VALIDATION), nodules_each=1, slices=4)
    scans = [made_scan((4, 128, 128)), made_scan((4, 128, 128), seed=1), made_scan((4, 128, 128), seed=2)]
    trainer = Recorded(config(devices, dice), crops, scans, Path(folder))
    trainer.resume()
    trainer.run()


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), sys.argv[3])
