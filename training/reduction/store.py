"""Reductions on disk: one for each fold, which never saw its patients, one of all, and what they were trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.reduction import Reduction, ReductionConfig
from LungNoduleSegLib.weights.files import write_atomically

ABOUT = "about.json"
ALL = "all.safetensors"


def write_reduction(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Weights (float32), complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, safetensors.numpy.save(weights))


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """What `read_about` reads."""
    write_atomically(folder / ABOUT, (json.dumps(about, indent=1) + "\n").encode())


def read_about(folder: Path) -> dict[str, Any]:
    """``layers`` (`ReductionConfig`), ``networks`` by file with the patients that each left out, ``runs``, ``fit``.

    Raises
    ------
    InputError
        When none was trained there.
    """
    path = folder / ABOUT
    if not path.is_file():
        raise InputError(
            "no false-positive reduction was trained here", path=folder, remedy="Train it: `python -m training reduce`."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def read_weights(folder: Path, file: str = ALL) -> tuple[ReductionConfig, dict[str, np.ndarray]]:
    """Layers and weights of one of the networks; by default the one that left nobody out."""
    about = read_about(folder)
    return ReductionConfig.from_dict(about["layers"]), safetensors.numpy.load_file(folder / file)


def summary_of(folder: Path) -> dict[str, Any]:
    """What a card says of the one that left nobody out: parameters, runs whose candidates it saw, how it was fitted."""
    about, (_, weights) = read_about(folder), read_weights(folder)
    return {
        "parameters": sum(array.size for array in weights.values()),
        "runs": about["runs"],
        "examples": about["examples"][ALL],
        "fit": about["fit"],
        "validation_area": about["validation_area"][ALL],
    }


def reduction_without(folder: Path, patients: Iterable[str]) -> Reduction:
    """The network that saw nothing of some patients.

    Raises
    ------
    InputError
        When none of them left out all of these.
    """
    wanted = set(patients)
    for file, left_out in read_about(folder)["networks"].items():
        if wanted <= set(left_out):
            return Reduction(*read_weights(folder, file))
    raise InputError(
        f"no false-positive reduction there left out {', '.join(sorted(wanted))}",
        path=folder,
        remedy="Train it with the runs whose folds are judged: `python -m training reduce`.",
    )
