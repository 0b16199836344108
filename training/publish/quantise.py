"""What a model needs to compute in whole numbers of 8 bits: ranges of its convolutions, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from LungNoduleSegLib.inference.engines.fold import folded_network
from LungNoduleSegLib.inference.engines.quantise import Range
from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from LungNoduleSegLib.networks import NetworkConfig
from LungNoduleSegLib.segmenter.load import engine_of
from LungNoduleSegLib.segmenter.segmenter import Segmenter
from LungNoduleSegLib.weights import Card, load_state
from training.data.crops import Crops
from training.data.sampling import EIGHT_BIT_MIN_RANGE
from training.data.scans import TrainingScan
from training.evaluate.crops import figures_of, neighbours
from training.publish.crop_figures import positives, shipped_probability
from training.publish.shipped import shipped
from training.sources import Sources

LARGEST_FALL = 0.005
"""Of ``iou_pos`` on the validation patients: a model that loses more is not computed in int8."""

BATCHES = 8
"""Of training crops, and as many of tiles of training scans."""

BATCH = 16


def quantise(name: str, folder: Path, sources: Sources) -> Card:
    """`quantised` for a model that has its card already; the card is written anew, with nothing else changed.

    Raises
    ------
    InputError
        The catalog has other weights of this name.
    """
    card, entry = shipped(name, folder)
    card = quantised(card, load_state(entry), sources.crops(), sources.scans())
    card.write(folder / f"{name}.json")
    return card


def quantised(card: Card, state: Mapping[str, np.ndarray], crops: Crops, scans: list[TrainingScan]) -> Card:
    """The card with the ranges that int8 needs, if the validation patients' ``iou_pos`` falls by .005 at most.

    Without validation patients nothing tells, and the card gets none.

    Parameters
    ----------
    state
        Weights as they ship, rounded to float16.
    """
    plain = replace(card, quantisation=None)
    index = positives(crops, "validation")
    if len(index) == 0:
        return plain
    config = NetworkConfig.from_dict(card.to_dict()["architecture"])
    normalisation = Normalisation.from_dict(card.to_dict()["preprocessing"]["normalisation"])
    batches = [normalise(tiles, normalisation, min_range=least) for tiles, least in _tiles(config, crops, scans)]
    ranges = tensor_ranges(config, state, batches)
    tried = replace(card, quantisation={"ranges": {layer: list(found) for layer, found in ranges.items()}})
    moved = {p: _validated(tried, state, crops, index, p) for p in ("float32", "int8")}
    if round(moved["float32"] - moved["int8"], 4) > LARGEST_FALL:
        return plain
    figures = {"metric": "iou_pos of the validation patients", "images": len(index), **moved}
    return replace(tried, quantisation={**tried.to_dict()["quantisation"], "validation": figures})


def tensor_ranges(
    config: NetworkConfig, state: Mapping[str, np.ndarray], batches: Iterable[np.ndarray]
) -> dict[str, Range]:
    """Least and greatest values that flow into and out of the convolutions, each the mean over the batches.

    On validation crops masks stayed closer to those of float32 with the mean than with the outermost of all batches,
    and far closer than with a percentile. What is computed on one number a channel stays in float32, and so does the
    transformer.

    Parameters
    ----------
    batches
        Each float32 (n, input_slices, h, w), normalised.
    """
    network = folded_network(config, state)
    found: dict[str, list[list[float]]] = {}

    def watch(name: str) -> Any:
        def look(_: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            (x,) = inputs
            values = [x.min(), x.max(), output.min(), output.max()]
            found.setdefault(name, []).append([float(value) for value in values])

        return look

    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d) and ".channel." not in name and not name.startswith("vit."):
            module.register_forward_hook(watch(name))
    with torch.inference_mode():
        for batch in batches:
            network(torch.from_numpy(batch).contiguous(memory_format=torch.channels_last))
    return {name: Range(*(round(float(v), 5) for v in np.mean(rows, axis=0))) for name, rows in found.items()}


def _tiles(config: NetworkConfig, crops: Crops, scans: list[TrainingScan]) -> Iterable[tuple[np.ndarray, float | None]]:
    """Batches of tiles (n, slices, h, w) as they come, and the smallest range that their normalisation stretches."""
    rng = np.random.default_rng(0)
    index = crops.on_side("train")
    for part in np.array_split(rng.permutation(index[crops.positive[index]])[: BATCHES * BATCH], BATCHES):
        if len(part):
            yield neighbours(crops, part, config.input_slices), EIGHT_BIT_MIN_RANGE
    for _ in range(BATCHES if scans else 0):
        tiles = []
        for scan in (scans[int(n)] for n in rng.integers(len(scans), size=BATCH)):
            place = scan.lung_place(int(rng.integers(scan.lung_voxels)))
            tiles.append(scan.tile(place, config.input_px, config.input_slices)[0])
        yield np.stack(tiles), None


def _validated(card: Card, state: Mapping[str, np.ndarray], crops: Crops, index: np.ndarray, precision: str) -> float:
    engine = engine_of(card, dict(state), engine="onnxruntime", precision=precision)
    if engine.precision != precision:
        return -np.inf  # the engine itself found it too far away
    probability = shipped_probability(Segmenter(engine, card), crops, index)
    return round(float(figures_of(probability, crops, index, repeats=1)["iou_pos"].value), 4)
