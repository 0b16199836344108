"""A network on crops it was not trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from training.data.crops import IGNORE, Crops
from training.data.sampling import EIGHT_BIT_MIN_RANGE
from training.lidc.consensus import MIN_PIXELS
from training.metrics import Estimate, bootstrap, dice, iou, overlap_counts

AREAS_PX = ((9, 30), (31, 120), (121, 300), (301, 16384))
"""Bands of the consensus' area, both ends in."""


def neighbours(crops: Crops, index: np.ndarray, slices: int) -> np.ndarray:
    """Images uint8 (n, slices, 128, 128): each crop between its neighbours, a nodule's ends repeated."""
    stacks = [index]
    below = above = index
    for _ in range(slices // 2):
        below, above = crops.below[below], crops.above[above]
        stacks = [below, *stacks, above]
    return crops.images[np.stack(stacks, axis=1)]


@torch.inference_mode()
def predict(
    network: nn.Module,
    crops: Crops,
    index: np.ndarray,
    normalisation: Normalisation,
    *,
    slices: int,
    precision: torch.dtype | None,
    batch: int = 32,
) -> np.ndarray:
    """Probabilities float32 (n, 128, 128) of the crops at ``index``."""
    network.eval()
    out = []
    for start in range(0, len(index), batch):
        images = neighbours(crops, index[start : start + batch], slices)
        x = torch.from_numpy(normalise(images, normalisation, min_range=EIGHT_BIT_MIN_RANGE))
        with torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None):
            logits = network(x.contiguous(memory_format=torch.channels_last))
        out.append(torch.sigmoid(logits[:, 0].float()).numpy())
    return np.concatenate(out)


def figures_of(
    probability: np.ndarray, crops: Crops, index: np.ndarray, *, threshold: float = 0.5, repeats: int = 2000
) -> dict[str, Estimate]:
    """``iou_pos``, ``dice_pos`` and the share of images with IoU >= .5 of predictions for the crops at ``index``.

    Parameters
    ----------
    probability
        (n, 128, 128), one a crop at ``index``; all of these crops are positive.

    Notes
    -----
    Pixels of other annotated nodules that the crop's own masks lack count neither way.

    Raises
    ------
    ValueError
        For no crop at all, or one with a consensus of 8 pixels or fewer: the figures' names promise positive images.
    """
    _check_positive(crops, index)
    labels = crops.labels[index]
    counts = overlap_counts((probability > threshold) & (labels != IGNORE), labels == 1)
    patients = crops.patients[index]
    overlap = iou(counts)
    return {
        "iou_pos": bootstrap(overlap, patients, repeats=repeats),
        "dice_pos": bootstrap(dice(counts), patients, repeats=repeats),
        "share_iou_over_half": bootstrap((overlap >= 0.5).astype(float), patients, repeats=repeats),
    }


def _check_positive(crops: Crops, index: np.ndarray) -> None:
    areas = (crops.labels[index] == 1).sum(axis=(1, 2))
    if len(areas) == 0 or areas.min() <= MIN_PIXELS:
        found = f"{(areas <= MIN_PIXELS).sum()} others among {len(areas)}" if len(areas) else "none"
        raise ValueError(f"Expected argument `index` to name crops with more than {MIN_PIXELS} pixels, got {found}")


def detailed_figures(probability: np.ndarray, crops: Crops, index: np.ndarray) -> dict[str, Estimate]:
    """`figures_of`, and ``iou_pos`` by readers in the cluster and by area of the consensus in pixels."""
    found = figures_of(probability, crops, index)
    readers = crops.readers[index]
    groups = {f"iou_pos_readers_{n}": readers == n for n in (1, 2, 3, 4)}
    groups["iou_pos_readers_3_4"] = readers >= 3
    area = crops.consensus_px[index]
    groups |= {f"iou_pos_px_{low}_{high}": (area >= low) & (area <= high) for low, high in AREAS_PX}
    for name, chosen in groups.items():
        if chosen.any():
            found[name] = figures_of(probability[chosen], crops, index[chosen])["iou_pos"]
    return found


def evaluate_crops(
    network: nn.Module,
    crops: Crops,
    index: np.ndarray,
    normalisation: Normalisation,
    *,
    slices: int,
    precision: torch.dtype | None = None,
    threshold: float = 0.5,
    repeats: int = 2000,
) -> dict[str, Estimate]:
    """`figures_of` the predictions of a network in training."""
    _check_positive(crops, index)
    probability = predict(network, crops, index, normalisation, slices=slices, precision=precision)
    return figures_of(probability, crops, index, threshold=threshold, repeats=repeats)
