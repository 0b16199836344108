"""Run a study: train what is not yet trained, evaluate, write; whatever is finished is left alone."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.networks import count_parameters
from LungNoduleSegLib.report.record import cpu_name, versions
from training.data.crops import Crops
from training.data.scans import TrainingScan
from training.data.split import side
from training.studies import results
from training.studies.evaluation import Seen, evaluate, evaluate_negatives
from training.studies.fitting import NORMALISATION, Fitted, fit, milliseconds_an_image
from training.studies.plan import Run

STATE = "state"
"""Folder of the checkpoints inside a run's; gone when the run is finished."""


@dataclass(frozen=True, eq=False)
class Material:
    """Images for a study. ``scans`` may hold any patient: only those on the training side are trained on."""

    crops: Crops
    scans: list[TrainingScan]

    @property
    def px(self) -> int:
        """Largest window that the crops can give."""
        return int(self.crops.images.shape[-1])

    def on_side(self, name: str) -> list[TrainingScan]:
        return [scan for scan in self.scans if side(scan.patient) == name]


def execute(
    run: Run,
    material: Callable[[], Material],
    folder: Path,
    say: Callable[[str], None] = print,
    *,
    keep_weights: bool = True,
    networks: list[nn.Module] | None = None,
) -> dict[str, Any] | None:
    """One run; ``run.json``, or None when it was finished before. ``networks`` takes the trained network along.

    Raises
    ------
    InputError
        When the folder holds a finished run that was made otherwise.
    """
    target = run.folder(folder)
    stored = results.read_run(target)
    if stored is not None:
        _check_same(stored, run, target)
        say(f"{run.name}: finished before")
        return None
    data = material()
    fitted = fit(run, data.crops, data.on_side("train"), target / STATE)
    seen = test(fitted.network, run, data)
    facts = _facts(run, fitted, seen)
    results.write_seen(target, seen)
    if keep_weights:
        _save_weights(fitted.network, target / results.WEIGHTS)
    if networks is not None:
        networks.append(fitted.network)
    results.write_json(target / results.RUN, facts)  # last: its presence says that the rest is complete
    shutil.rmtree(target / STATE, ignore_errors=True)
    say(f"{run.name}: iou_pos {facts['iou_pos']:.3f} on {facts['n_images']} images of {facts['n_patients']} patients")
    return facts


def test(network: nn.Module, run: Run, material: Material) -> Seen:
    """Every positive image of the protocol's test side, and real negatives where the data at hand has any."""
    crops = material.crops
    index = crops.on_side("test", run.protocol)
    index = index[crops.positive[index]]
    if not len(index):
        raise InputError("no test image with a nodule", remedy="Prepare more of the data set.")
    slices = run.network.input_slices
    seen = evaluate(network, crops, index, NORMALISATION, slices=slices, px=run.px)
    if run.protocol == "patient":  # under the slice split a scan's patient may have been trained on
        evaluate_negatives(network, material.on_side("test"), NORMALISATION, slices=slices, px=run.px, into=seen)
    return seen


def _facts(run: Run, fitted: Fitted, seen: Seen) -> dict[str, Any]:
    positive = [row for row in seen.rows if row["source"] == "crop"]
    parameters = count_parameters(fitted.network)
    rate = None if math.isnan(fitted.images_a_second) else fitted.images_a_second
    return {
        "study": run.study.removesuffix("-slice"),
        "row": run.row,
        "seed": run.seed,
        "scale": run.settings.scale,
        "protocol": run.protocol,
        "px": run.px,
        "settings": run.settings.to_dict(),
        "config": fitted.config,
        "parameters": parameters,
        "size_bytes": 4 * sum(v.numel() for v in fitted.network.state_dict().values()),
        "samples": run.settings.samples,
        "images_a_second": None if rate is None else round(rate, 2),
        "seconds_training": None if rate is None else round(run.settings.samples / rate, 1),
        "cpu_seconds_training": None if rate is None else round(run.settings.samples * fitted.cpu_seconds_an_image, 1),
        "validation_log": fitted.log,
        "ms_per_image": round(milliseconds_an_image(fitted.network, run.network.input_slices, run.px), 3),
        "threads": torch.get_num_threads(),
        "cpu": cpu_name(),
        "device": str(next(fitted.network.parameters()).device),
        "versions": versions(),
        "iou_pos": round(float(seen.iou()[: len(positive)].mean()), 5),
        "n_images": len(positive),
        "n_patients": len({row["patient"] for row in positive}),
        "n_negatives": len(seen.rows) - len(positive),
        "n_negative_patients": len({row["patient"] for row in seen.rows if row["source"] != "crop"}),
    }


def _check_same(stored: dict[str, Any], run: Run, target: Path) -> None:
    expected = {"protocol": run.protocol, "settings": run.settings.to_dict()}
    different = sorted(name for name, value in expected.items() if stored.get(name) != value)
    if stored.get("config", {}).get("network") != _plain(run.network.to_dict()):
        different.append("network")
    if different:
        finding = f"this run was made with other {' and '.join(different)}"
        raise InputError(finding, path=target, remedy="Give another folder with --results, or delete this run.")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _save_weights(network: nn.Module, path: Path) -> None:
    """float16 where it is floating point: enough to draw pictures of a run later."""
    from safetensors.numpy import save

    arrays = {}
    for name, value in network.state_dict().items():
        array = value.detach().cpu().contiguous().numpy()
        arrays[name] = array.astype(np.float16) if array.dtype == np.float32 else array
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(save(arrays))
    beside.replace(path)
