"""From a finished run to weights with their card."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from LungNoduleSegLib.inference.normalise import CLIP_HU, Normalisation
from LungNoduleSegLib.networks import NetworkConfig, build, count_parameters
from LungNoduleSegLib.weights import Card, save_weights
from training import checkpoint
from training.data.crops import Crops
from training.data.split import describe, side
from training.evaluation import evaluate_crops
from training.looks import log_look
from training.sources import Sources
from training.trainer import best_precision

INTENDED_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
LICENCE = "Apache-2.0"
DATA = (
    "LIDC-IDRI (Armato et al. 2011, CC BY 3.0): crops of 128x128 pixels around annotated nodules, and complete scans "
    "of six training patients"
)
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


def network_of_run(folder: Path) -> tuple[nn.Module, Published]:
    """The moving average of a run as a network in evaluation mode, and what the run was."""
    state = checkpoint.load(folder / "last.pt")
    config = state["config"]
    network_config = NetworkConfig.from_dict(config["network"])
    network = build(network_config)
    network.load_state_dict(state["average"]["state"])
    samples = state["step"] * config["sampling"]["batch_size"]
    return network.eval(), Published(network_config, Normalisation.from_dict(config["normalisation"]), samples, config)


def figures(network: nn.Module, published: Published, crops: Crops, part: str) -> dict[str, dict[str, float | int]]:
    """``iou_pos``, ``dice_pos``, share of images with IoU >= .5, and IoU by size and readers, for one side's positives.

    What is measured is what ships: weights rounded to float16, in bfloat16 arithmetic where the CPU has it.
    """
    network = _as_shipped(network).to(memory_format=torch.channels_last)
    index = crops.on_side(part)
    index = index[crops.positive[index]]

    def measure(chosen: np.ndarray) -> dict[str, dict[str, float | int]]:
        found = evaluate_crops(
            network, crops, chosen, published.normalisation,
            slices=published.network.input_slices, precision=best_precision(),
        )  # fmt: skip
        return {name: estimate.to_dict() for name, estimate in found.items()}

    result = measure(index)
    for readers in (1, 2, 3, 4):
        chosen = index[crops.readers[index] == readers]
        if len(chosen):
            result[f"iou_pos_readers_{readers}"] = measure(chosen)["iou_pos"]
    area = crops.consensus_px[index]
    for low, high in ((9, 30), (31, 120), (121, 300), (301, 16384)):
        chosen = index[(area >= low) & (area <= high)]
        if len(chosen):
            result[f"iou_pos_px_{low}_{high}"] = measure(chosen)["iou_pos"]
    return result


def _as_shipped(network: nn.Module) -> nn.Module:
    state = network.state_dict()
    network.load_state_dict({n: v.half().to(v.dtype) if v.is_floating_point() else v for n, v in state.items()})
    return network


def series_by_side(crops: Crops, sources: Sources) -> dict[str, list[str]]:
    """Every SeriesInstanceUID that training or validation saw."""
    seen: dict[str, set[str]] = {"train": {s.series for s in sources.scans()}, "validation": set()}
    for patient, series in zip(crops.patients, crops.series):
        part = side(str(patient))
        if part in seen:
            seen[part].add(str(series))
    return {part: sorted(uids) for part, uids in seen.items()}


def publish(name: str, folder: Path, version: str, output: Path, sources: Sources) -> Path:
    """Weights and card of a run; returns the card's path.

    The figures of the test patients are one look, and are logged. Operating points and the candidate scorer come
    later, from the training scans (`training.operating`).
    """
    network, published = network_of_run(folder)
    crops = sources.crops()
    measured = {part: figures(network, published, crops, part) for part in ("test", "validation")}
    log_look(sources.cache, folder.name, measured["test"])
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
            "data": DATA,
            "series": series_by_side(crops, sources),
            "split": describe(),
            "samples": published.samples,
            "run": published.run,
            "log": _log(folder),
        },
        metrics={**measured, "reader_agreement": READER_AGREEMENT},
        operating_points=(),
        licence=LICENCE,
        intended_use=INTENDED_USE,
    )
    save_weights(output, card, {n: v.numpy() for n, v in network.state_dict().items()})
    return output / f"{name}.json"


def _summary(published: Published) -> str:
    config = published.network
    parts = [f"Residual U-Net, {config.widths[0]} channels at full resolution", f"scSE in {' and '.join(config.scse)}"]
    if config.vit:
        parts.append(f"ViT of {config.vit.depth} blocks at the bottleneck")
    parts.append("multi-scale dilated fusion")
    return f"{', '.join(parts)}; {config.input_slices} neighbouring slices in."


def _log(folder: Path) -> list[dict[str, Any]]:
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def with_operating_points(card: Card, scorer: dict[str, Any] | None, points: list[dict[str, Any]]) -> Card:
    """The same card with a candidate scorer and operating points."""
    post = {**card.to_dict()["postprocessing"], "candidate_scorer": scorer}
    return replace(card, postprocessing=post, operating_points=tuple(points))
