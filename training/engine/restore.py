"""Weights and states of earlier runs, taken over only where they fit what is to be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from training.engine.architecture import config_from_dict
from training.engine.config import RunConfig


def fill(network: nn.Module, state: dict[str, Tensor]) -> list[str]:
    """Load the weights that fit by name and shape; returns the names of the others. InputError when none fits."""
    own = network.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise InputError(
            "none of these weights fits the network that is to be trained",
            remedy="Start from a run of the same kind and width.",
        )
    network.load_state_dict(fitting, strict=False)
    return sorted(set(own) - set(fitting))


def check_same_run(stored: dict[str, Any], config: RunConfig, path: Path) -> None:
    """InputError unless a checkpoint's configuration is of a run that this one continues."""
    own = config.to_dict()
    try:
        network = config_from_dict(stored["network"])
    except (ValueError, TypeError) as error:
        raise InputError(f"its network is unknown to this version ({error})", path=path) from error
    if network != config.network:
        finding = f"this run trained another network ({stored['network']}, not {own['network']})"
        raise InputError(finding, path=path, remedy="Give the run another name.")
    size = stored["sampling"]["batch_size"]
    if size != config.sampling.batch_size:
        finding = f"this run had batches of {size} images, not {config.sampling.batch_size}"
        raise InputError(finding, path=path, remedy="Keep the size of the batch, or give the run another name.")
    left_out = set(stored.get("leave_out", ()))
    if left_out != set(config.leave_out):
        finding = f"this run left out {_named(left_out)}, not {_named(set(config.leave_out))}"
        raise InputError(finding, path=path, remedy="Leave out the same patients, or give the run another name.")
    check_same_data(stored, config, path)


def check_same_data(stored: dict[str, Any], config: RunConfig, path: Path) -> None:
    """InputError where weights come from images that were prepared, or split, in another way."""
    check_same_preprocessing(stored["normalisation"], config, path)
    protocol = stored.get("protocol", "patient")
    if protocol != config.protocol:
        raise InputError(
            f"its training images were chosen by the {protocol} split, not the {config.protocol} split",
            path=path,
            remedy="What is on the test side of one is on the training side of the other: start afresh.",
        )
    seen = set(config.leave_out) - set(stored.get("leave_out", ()))
    if seen:
        raise InputError(
            f"its weights may have seen {_named(seen)}, which this run leaves out",
            path=path,
            remedy="Start afresh, or from a run that leaves them out too.",
        )


def _named(patients: set[str]) -> str:
    return ", ".join(sorted(patients)) or "nobody"


def check_same_preprocessing(stored: dict[str, Any], config: RunConfig, path: Path) -> None:
    """InputError where weights expect images that were normalised in another way."""
    normalisation = Normalisation.from_dict(dict(stored))
    if normalisation != config.normalisation:
        raise InputError(
            f"its weights expect images by {normalisation}, not {config.normalisation}",
            path=path,
            remedy=f"Train with --normalisation {normalisation.method}, or start afresh.",
        )
