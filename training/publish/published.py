"""From a finished run to weights with their card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines.packages import reason_not_loaded
from LungNoduleSegLib.inference.normalise import CLIP_HU, Normalisation
from LungNoduleSegLib.networks import NetworkConfig, build, count_parameters
from LungNoduleSegLib.weights import Card, save_weights
from LungNoduleSegLib.weights.state import as_loaded
from training.data.crops import Crops
from training.data.split import describe
from training.engine import checkpoint
from training.engine.architecture import config_from_dict
from training.publish.crop_figures import measured
from training.publish.looks import log_look
from training.publish.origin import data_text, is_lidc, parent_of, read_start, series_by_side
from training.publish.quantise import quantised
from training.sources import Sources

INTENDED_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
LICENCE = "Apache-2.0"
READER_AGREEMENT = {
    "iou_pos": 0.614,
    "dice_pos": 0.719,
    "share_iou_over_half": 0.77,
    "what": "one reader against the 50 % consensus of the others, per slice, whole of LIDC-IDRI",
}


@dataclass(frozen=True)
class Published:
    """What a run was, read back from its checkpoint."""

    network: NetworkConfig
    normalisation: Normalisation
    samples: int
    run: dict[str, Any]


def network_of_run(folder: Path, *, best: bool = False) -> tuple[nn.Module, Published]:
    """The moving average of a run as a network in evaluation mode, and what the run was.

    ``best`` takes the average that did best for the validation patients instead of the last one.
    """
    path = folder / (checkpoint.BEST if best else checkpoint.LAST)
    state = checkpoint.load_average(folder, best=best)
    config = state["config"]
    network_config = config_from_dict(config["network"])
    if not isinstance(network_config, NetworkConfig):
        raise InputError(
            f"this run trained a baseline ({config['network']['baseline']}); only members of our family become models",
            path=path,
            remedy="Baselines are compared by `python -m training study D`.",
        )
    network = build(network_config)
    network.load_state_dict(state["average"]["state"])
    samples = state["step"] * config["sampling"]["batch_size"]
    return network.eval(), Published(network_config, Normalisation.from_dict(config["normalisation"]), samples, config)


def publish(
    name: str,
    folder: Path,
    version: str,
    output: Path,
    sources: Sources,
    *,
    after: tuple[str, ...] = (),
    licence: str = LICENCE,
    best: bool = False,
) -> Path:
    """Weights and card of a run; returns the card's path.

    ``best`` as in `network_of_run`; the card then says so.

    ``after`` names the runs that it started from, in order, as "RUN:SAMPLES" with the samples seen until then; their
    configurations go into the card too.

    The figures of the test patients are one look, and are logged. Operating points and the candidate scorer come
    later, from the training scans (`training.publish.operating`). With ONNX Runtime the card also gets what int8
    needs (`training.publish.quantise`).
    """
    network, published = network_of_run(folder, best=best)
    crops, description, parent = sources.crops(), sources.description(), parent_of(sources, folder)
    card = Card(
        name=name,
        title=name.replace("-", " ").capitalize(),
        version=version,
        summary=_summary(published),
        architecture=published.network.to_dict(),
        parameters=count_parameters(network),
        preprocessing={
            "normalisation": published.normalisation.to_dict(),
            "tile_px": published.network.input_px,
            "clip_hu": list(CLIP_HU),
            "input_slices": published.network.input_slices,
        },
        postprocessing={"mask_threshold": 0.5, "candidate_scorer": None},
        training={
            "data": data_text(description, parent),
            "series": series_by_side(crops, sources, parent, published.run.get("leave_out", ())),
            "split": describe(),
            "started_from": {k: v for k, v in parent.items() if k != "series"} if parent else None,
            "prepared": description,
            "samples": published.samples,
            "averaged": (read_start(folder) or {}).get("averaged"),
            "chosen": "best look at the validation patients" if best else "end of the run",
            "run": published.run,
            "earlier": [_earlier(sources, stage) for stage in after],
            "log": _log(folder),
        },
        metrics={},
        operating_points=(),
        licence=licence,
        intended_use=INTENDED_USE,
        file=f"{name}.safetensors",
        sha256="0" * 64,  # not written yet; `save_weights` fills in both
        size_bytes=1,
    )
    weights = {n: v.numpy() for n, v in network.state_dict().items()}
    card = with_figures(card, as_loaded(weights), sources, looked=folder.name, crops=crops)
    if not reason_not_loaded("onnxruntime"):
        card = quantised(card, as_loaded(weights), crops, sources.scans())
    save_weights(output, card, weights)
    return output / f"{name}.json"


def with_figures(
    card: Card, state: Mapping[str, np.ndarray], sources: Sources, *, looked: str, crops: Crops | None = None
) -> Card:
    """The card with what is measured on crops; the look at the test patients is logged as one at ``looked``.

    ``crops`` are those of ``sources``, where they are loaded already.
    """
    card = measured(card, state, sources.crops() if crops is None else crops)
    metrics = card.to_dict()["metrics"]
    if "test" in metrics:
        log_look(sources.cache, looked, metrics["test"])
    if is_lidc(sources.description()):
        metrics["reader_agreement"] = READER_AGREEMENT
    return replace(card, metrics=metrics)


def _summary(published: Published) -> str:
    config = published.network
    parts = [f"Residual U-Net, {config.widths[0]} channels at full resolution", f"scSE in {' and '.join(config.scse)}"]
    if config.vit:
        parts.append(f"ViT of {config.vit.depth} blocks at the bottleneck")
    parts.append("multi-scale dilated fusion")
    return f"{', '.join(parts)}; {config.input_slices} neighbouring slices in."


def _earlier(sources: Sources, stage: str) -> dict[str, Any]:
    run, _, samples = stage.partition(":")
    if not samples.isdigit():
        raise InputError(f"an earlier run is given as RUN:SAMPLES, got {stage!r}")
    folder = sources.run(run)
    _, published = network_of_run(folder)
    averaged = (read_start(folder) or {}).get("averaged")
    found = {"run": run, "samples": int(samples), "configuration": published.run, "log": _log(folder)}
    return {**found, "averaged": averaged} if averaged else found


def _log(folder: Path) -> list[dict[str, Any]]:
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def with_operating_points(
    card: Card, scorer: dict[str, Any] | None, points: list[dict[str, Any]], reduction: dict[str, Any] | None = None
) -> Card:
    """The same card with a candidate scorer, operating points, and the false-positive reduction that they hold for."""
    post = {**card.to_dict()["postprocessing"], "candidate_scorer": scorer, "reduction": reduction}
    return replace(card, postprocessing=post, operating_points=tuple(points))
