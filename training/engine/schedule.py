"""How fast a run learns, and when it ends: warm-up, constant rate, linear cool-down (early, where nothing improves)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from training.engine.config import RunConfig


@dataclass
class Schedule:
    """Learning rate by images seen, and early stopping.

    A run that has stopped improving is not cut off: its learning rate falls as it would have at the end, because that
    is where a constant rate's gain is.
    """

    config: RunConfig
    best: float = float("-inf")
    looks_without_gain: int = 0
    stopped_at: int | None = None

    @property
    def end(self) -> int:
        """Images seen when the run ends."""
        if self.stopped_at is None:
            return self.config.samples
        return min(self.config.samples, self.stopped_at + self.config.cooldown)

    def learning_rate(self, samples: int) -> float:
        """Of the step that begins with so many images seen."""
        config = self.config
        warm = min(1.0, (samples + config.sampling.batch_size) / max(config.warmup, 1))
        cool = min(1.0, (self.end - samples) / max(config.cooldown, 1))
        return config.learning_rate * warm * max(cool, 0.0)

    def look(self, figure: float, samples: int) -> bool:
        """Take note of a validation figure (more is better); True when it makes the run cool down from here on."""
        if figure > self.best:
            self.best, self.looks_without_gain = figure, 0
        else:
            self.looks_without_gain += 1
        cooling = samples > self.end - self.config.cooldown
        if not self.config.patience or cooling or self.looks_without_gain < self.config.patience:
            return False
        self.stopped_at = samples
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "looks_without_gain": self.looks_without_gain, "stopped_at": self.stopped_at}

    def load_state_dict(self, data: dict[str, Any]) -> None:
        self.best, self.looks_without_gain = data["best"], data["looks_without_gain"]
        self.stopped_at = data["stopped_at"]


def adamw(network: nn.Module, learning_rate: float, weight_decay: float, *, fused: bool = False) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, ICLR 2019) that decays neither norms, biases nor positions."""
    decayed, plain = [], []
    for name, parameter in network.named_parameters():
        (decayed if parameter.dim() > 1 and "positions" not in name else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=fused or None)


def can_fuse(device: torch.device, precision: torch.dtype | None) -> bool:
    """Whether all weights can be updated in one pass (three times faster on a CPU)."""
    if precision is torch.float16:
        return False  # loss scaling clips gradients between the backward pass and the plain optimiser
    return device.type == "cuda" or (device.type == "cpu" and torch.__version__ >= "2.4")
