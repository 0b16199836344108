"""State of a run on disk: complete or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from LungNoduleSegLib.errors import InputError


def save(path: Path, state: dict[str, Any]) -> None:
    """Write beside and rename, so that a kill at any moment leaves the old state readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)


def load(path: Path) -> dict[str, Any]:
    """State written by `save`; InputError when it is missing or damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError("no checkpoint found", path=path, remedy="Check the name of the run, or train it.") from None
    except Exception as error:
        finding = f"checkpoint not readable ({error})"
        raise InputError(finding, path=path, remedy="Delete it and train again.") from error


class Averaged:
    """Exponential moving average of a network's weights and buffers (Tarvainen and Valpola, NeurIPS 2017).

    The decay grows with the number of updates, min(decay, (1 + t) / (10 + t)), so that early steps are forgotten.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - keep)
            else:
                self.state[name].copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state, "updates": self.updates}

    def load_state_dict(self, data: dict[str, Any]) -> None:
        self.state, self.updates = data["state"], data["updates"]
