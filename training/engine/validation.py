"""A look at the validation patients, each image counted once however many processes look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from training.data.crops import IGNORE, Crops
from training.engine.config import RunConfig
from training.evaluate.crops import predict
from training.metrics import bootstrap, dice, iou, overlap_counts

REPEATS = 200
"""Bootstrap samples of a look; what is published takes more."""


class OnDevice(nn.Module):
    """A network on another device, for callers that keep their tensors on the CPU."""

    def __init__(self, network: nn.Module, device: torch.device, precision: torch.dtype | None):
        super().__init__()
        self.network, self.device, self.precision = network.to(device), device, precision

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kind = self.device.type
        with torch.autocast(kind, self.precision or torch.bfloat16, enabled=self.precision is not None):
            return self.network(images.to(self.device, non_blocking=True)).float().cpu()


def central(crops: Crops, px: int) -> Crops:
    """The crops' central windows, as views; the crops themselves where they are no larger."""
    size = crops.images.shape[-1]
    if size <= px:
        return crops
    first = (size - px) // 2
    window = (..., slice(first, first + px), slice(first, first + px))
    return replace(crops, images=crops.images[window], votes=crops.votes[window], labels=crops.labels[window])


def validation_index(crops: Crops, config: RunConfig) -> np.ndarray:
    """Indices of the positive crops on the validation side, or an even selection of ``validate_images`` of them."""
    index = crops.on_side("validation", config.protocol)
    index = index[(crops.labels[index] == 1).sum(axis=(1, 2)) > 8]
    most = config.validate_images
    if most and len(index) > most:
        index = index[np.linspace(0, len(index) - 1, most).round().astype(int)]
    return index


def look(
    network: nn.Module,
    crops: Crops,
    index: np.ndarray,
    config: RunConfig,
    *,
    precision: torch.dtype | None = None,
    rank: int = 0,
    world: int = 1,
    gather: Callable[[np.ndarray], list[np.ndarray]] = lambda counts: [counts],
) -> dict[str, Any]:
    """Figures of a network on the crops at ``index``; each of ``world`` processes predicts its share.

    Parameters
    ----------
    gather
        Gives the value of every process, in their order.

    Returns
    -------
    ``iou_pos``, ``dice_pos`` and ``share_iou_over_half`` with their intervals; empty without any crop.
    """
    if len(index) == 0:
        return {}
    mine = index[rank::world]
    own = np.empty((0, 3), dtype=np.int64)
    if len(mine):
        slices = config.network.input_slices
        probability = predict(network, crops, mine, config.normalisation, slices=slices, precision=precision)
        labels = crops.labels[mine]
        own = overlap_counts((probability > 0.5) & (labels != IGNORE), labels == 1)
    counts = np.empty((len(index), 3), dtype=np.int64)
    for number, part in enumerate(gather(own)):
        counts[number::world] = part
    patients, overlap = crops.patients[index], iou(counts)
    values = {"iou_pos": overlap, "dice_pos": dice(counts), "share_iou_over_half": (overlap >= 0.5).astype(float)}
    return {name: bootstrap(value, patients, repeats=REPEATS).to_dict() for name, value in values.items()}
