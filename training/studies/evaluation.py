"""A trained network on the test images of its protocol: one view, threshold one half, image by image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from training.data.crops import IGNORE, Crops
from training.data.sampling import EIGHT_BIT_MIN_RANGE
from training.data.scans import TrainingScan
from training.evaluate.crops import neighbours
from training.metrics import iou

THRESHOLD = 0.5
BINS = 20
BATCH = 64
TILES_A_SCAN = 50
_TRIES = 40


@dataclass
class Seen:
    """What a network made of images: one dictionary an image, and pixels by predicted probability.

    ``counts`` and ``positives`` (20,) int: pixels, and nodule pixels, of each bin of probability.
    """

    rows: list[dict[str, object]] = field(default_factory=list)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    positives: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def iou(self) -> np.ndarray:
        """(n,) intersection over union of each image."""
        return iou(np.array([[row[name] for name in ("tp", "fp", "fn")] for row in self.rows], dtype=np.int64))

    def add(self, probability: np.ndarray, labels: np.ndarray, cut_px: int, facts: dict[str, object]) -> None:
        """One image: probability and labels (h, w) of the window, and pixels of the truth that lie outside of it.

        Pixels that the loss leaves out count neither way; what the window cuts off counts as missed.
        """
        valid, truth = labels != IGNORE, labels == 1
        predicted = (probability > THRESHOLD) & valid
        both = int((predicted & truth).sum())
        inside = float(probability[truth].mean()) if truth.any() else None
        self.rows.append(
            {
                **facts,
                "area_px": int(truth.sum()) + cut_px,
                "tp": both,
                "fp": int(predicted.sum()) - both,
                "fn": int(truth.sum()) - both + cut_px,
                "mean_probability_in_truth": None if inside is None else round(inside, 4),
                "max_probability": round(float(probability[valid].max()), 4) if valid.any() else None,
            }
        )
        bins = np.minimum((probability * BINS).astype(int), BINS - 1)
        self.counts += np.bincount(bins[valid], minlength=BINS)
        self.positives += np.bincount(bins[truth], minlength=BINS)


def window(planes: np.ndarray, px: int) -> np.ndarray:
    """The middle (..., px, px) of (..., h, w)."""
    height, width = planes.shape[-2:]
    j, i = (height - px) // 2, (width - px) // 2
    return planes[..., j : j + px, i : i + px]


@torch.inference_mode()
def probabilities(network: nn.Module, x: np.ndarray) -> np.ndarray:
    """float32 (n, h, w) of normalised images (n, slices, h, w), in float32 on the network's device."""
    device = next(network.parameters()).device
    batch = torch.from_numpy(x).to(device).contiguous(memory_format=torch.channels_last)
    return torch.sigmoid(network(batch).float())[:, 0].cpu().numpy()


def evaluate(
    network: nn.Module,
    crops: Crops,
    index: np.ndarray,
    normalisation: Normalisation,
    *,
    slices: int,
    px: int,
    into: Seen | None = None,
) -> Seen:
    """The crops at ``index``, the middle ``px`` of each, normalised as in training after they were cut."""
    seen = Seen() if into is None else into
    network.eval()
    first = _first_of_nodule(crops.nodules)
    for start in range(0, len(index), BATCH):
        part = index[start : start + BATCH]
        images = window(neighbours(crops, part, slices), px)
        found = probabilities(network, normalise(images, normalisation, min_range=EIGHT_BIT_MIN_RANGE))
        for probability, number in zip(found, part):
            whole = np.asarray(crops.labels[number])
            labels = window(whole, px)
            facts = {
                "patient": str(crops.patients[number]),
                "series": str(crops.series[number]),
                "nodule": int(crops.nodules[number]),
                "slice": int(number - first[number]),
                "readers": int(crops.readers[number]),
                "spacing_mm": round(float(crops.spacing_mm[number]), 4),
                "source": "crop",
            }
            seen.add(probability, labels, int((whole == 1).sum() - (labels == 1).sum()), facts)
    return seen


def _first_of_nodule(nodules: np.ndarray) -> np.ndarray:
    """(n,) index of the first crop of each crop's nodule."""
    _, first, owner = np.unique(nodules, return_index=True, return_inverse=True)
    return first[owner]


def evaluate_negatives(
    network: nn.Module, scans: list[TrainingScan], normalisation: Normalisation, *, slices: int, px: int, into: Seen
) -> None:
    """Tiles inside the lungs of complete scans that the network was not trained on, away from every annotation."""
    network.eval()
    for scan in scans:
        for number, centre in enumerate(negative_centres(scan, px)):
            hu, labels = scan.tile(centre, px, slices)
            found = probabilities(network, normalise(hu[None], normalisation))
            facts = {
                "patient": scan.patient,
                "series": scan.series,
                "nodule": f"lung-{number}",
                "slice": centre[0],
                "readers": 0,
                "spacing_mm": round(float(scan.spacing_mm[1]), 4),
                "source": "lung",
            }
            into.add(found[0], labels, 0, facts)


def negative_centres(scan: TrainingScan, px: int, count: int = TILES_A_SCAN) -> list[tuple[int, int, int]]:
    """Voxels [k, j, i] of the lungs, spread over z, whose tile holds no annotation and no mark; always the same."""
    rng = np.random.default_rng(0)
    levels = np.flatnonzero(scan.lung.any(axis=(1, 2)))
    if not len(levels):
        return []
    found = []
    for k in levels[np.linspace(0, len(levels) - 1, count).round().astype(int)]:
        inside = np.flatnonzero(scan.lung[k])
        for voxel in rng.choice(inside, size=min(_TRIES, len(inside)), replace=False):
            j, i = np.unravel_index(voxel, scan.lung.shape[1:])
            centre = (int(k), int(j), int(i))
            if not scan.tile(centre, px, 1)[1].any() and not _annotated(scan, centre, px):
                found.append(centre)
                break
    return found


def _annotated(scan: TrainingScan, centre: tuple[int, int, int], px: int) -> bool:
    k, j, i = centre
    rows, columns = slice(max(j - px, 0), j + px), slice(max(i - px, 0), i + px)
    return bool(scan.nodules[k, rows, columns].any())
