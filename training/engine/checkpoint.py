"""State of a run on disk: complete or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from LungNoduleSegLib.errors import InputError

LAST, BEST = "last.pt", "best.pt"
"""State to go on from, and the moving average that did best for the validation patients."""

RUN_KEYS = ("network", "optimiser", "average", "hard", "step", "config")
"""What the state of a run holds at least."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write beside and rename, so that a kill or a full disk at any moment leaves the old state readable.

    Raises InputError where the file cannot be written.
    """
    beside = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A stream, because torch itself tells a full disk as an inconsistency of its own.
        with beside.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        kept = "the checkpoint before it is kept" if path.is_file() else "there is none before it"
        raise InputError(
            f"checkpoint not written ({error}); {kept}",
            path=path,
            remedy="Make room on this disk and start the run again: it goes on where the checkpoint is.",
        ) from error


def load(path: Path) -> dict[str, Any]:
    """State written by `save`; InputError when it is missing or damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError("no checkpoint found", path=path, remedy="Check the name of the run, or train it.") from None
    except Exception as error:
        finding = f"checkpoint not readable ({error})"
        raise InputError(finding, path=path, remedy="Delete it and train again.") from error


def load_run(path: Path) -> dict[str, Any]:
    """State of a training run; InputError also for a file that is something else."""
    return _holding(load(path), RUN_KEYS, path)


def load_average(folder: Path, *, best: bool = False) -> dict[str, Any]:
    """``average``, ``step`` and ``config`` of a run: of its end so far, or of its best look at the validation side."""
    if not best:
        return load_run(folder / LAST)
    return _holding(load(folder / BEST), ("average", "step", "config"), folder / BEST)


def _holding(state: Any, keys: tuple[str, ...], path: Path) -> dict[str, Any]:
    missing = [key for key in keys if not isinstance(state, dict) or key not in state]
    if missing:
        finding = f"this is no checkpoint of a training run (it lacks {', '.join(missing)})"
        raise InputError(finding, path=path, remedy="Give the folder of a run of `python -m training train`.")
    return state


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
        averages, values = [], []
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                averages.append(self.state[name])
                values.append(value)
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(averages, values, 1 - keep)

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state, "updates": self.updates}

    @torch.no_grad()
    def load_state_dict(self, data: dict[str, Any]) -> None:
        for name, value in self.state.items():
            value.copy_(data["state"][name])
        self.updates = data["updates"]
