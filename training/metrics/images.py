"""The same figures while a network trains: torchmetrics' state, gathered over processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.metrics.calibration import BINS, Calibration
from training.metrics.confusion import confusion
from training.metrics.overlap import dice, iou, is_negative, is_positive
from training.metrics.torchvision_operators import declare_operators

declare_operators()
from torchmetrics import Metric  # noqa: E402
from torchmetrics.functional.classification import binary_stat_scores  # noqa: E402

IGNORED = 255
"""Label of pixels that count neither way."""


def _update(probability: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Pixel counts int64 (n, 3): true positive, false positive, false negative of images (n, h, w) or (n, 1, h, w)."""
    if probability.ndim == 4:
        probability = probability[:, 0]
    if labels.ndim == 4:
        labels = labels[:, 0]
    if probability.shape != labels.shape:
        raise ValueError(
            f"Expected argument `labels` to have shape {tuple(probability.shape)}, got {tuple(labels.shape)}"
        )
    predicted = (probability > threshold).long().flatten(1)
    scores = binary_stat_scores(
        predicted, labels.long().flatten(1), multidim_average="samplewise", ignore_index=IGNORED
    )
    return scores[:, [0, 1, 3]]


def _compute(counts: np.ndarray) -> dict[str, float | None]:
    """Figures of images by their pixel counts (n, 3), without intervals; None where there is nothing to compute."""
    positive = is_positive(counts)
    either = positive | is_negative(counts)
    table = confusion(counts)
    has_negatives = table.tn is not None
    return {
        "iou_pos": float(iou(counts)[positive].mean()) if positive.any() else None,
        "dice_pos": float(dice(counts)[positive].mean()) if positive.any() else None,
        "iou_all": float(iou(counts)[either].mean()) if has_negatives else None,
        "dice_all": float(dice(counts)[either].mean()) if has_negatives else None,
        **table.to_dict(),
    }


class ImageOverlap(Metric):
    """Pixel counts of every image seen, with patient and image number, so that any figure can be had afterwards.

    A distributed sampler repeats images to fill the last batch: each image is counted once, by its number.
    """

    full_state_update = False
    counts: list[Tensor]
    patients: list[Tensor]
    images: list[Tensor]

    def __init__(self, threshold: float = 0.5, **kwargs: Any):
        super().__init__(**kwargs)
        self.threshold = threshold
        for name in ("counts", "patients", "images"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, probability: Tensor, labels: Tensor, patients: Tensor, images: Tensor) -> None:
        """Take a batch.

        Parameters
        ----------
        probability
            (n, h, w) or (n, 1, h, w), 0..1.
        labels
            The same shape: 0 background, 1 nodule, 255 left out.
        patients, images
            (n,) integer codes of the patient, and of the image in the whole data set.
        """
        self.counts.append(_update(probability, labels, self.threshold))
        self.patients.append(patients.long().reshape(-1).to(probability.device))
        self.images.append(images.long().reshape(-1).to(probability.device))

    def compute(self) -> dict[str, float | None]:
        """Figures of all images of all processes, without intervals."""
        return _compute(self.table()[0])

    def table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixel counts (n, 3), patient codes (n,) and image numbers (n,), each image once, by ascending number.

        Of the processes whose states are together: inside ``with metric.sync_context():`` those of all.
        """
        counts, patients, images = (_joined(getattr(self, name)) for name in ("counts", "patients", "images"))
        images, first = np.unique(images, return_index=True)
        return counts.reshape(-1, 3)[first], patients[first], images

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        # A process without images must still send arrays of the right type and width.
        for name, width in (("counts", (0, 3)), ("patients", (0,)), ("images", (0,))):
            if isinstance(getattr(self, name), list) and not getattr(self, name):
                setattr(self, name, [torch.zeros(width, dtype=torch.int64, device=self.device)])
        super()._sync_dist(*args, **kwargs)


def _joined(state: list[Tensor] | Tensor) -> np.ndarray:
    tensor = state if isinstance(state, Tensor) else torch.cat(state) if state else torch.zeros(0, dtype=torch.int64)
    return tensor.cpu().numpy()


class PixelCalibration(Metric):
    """Reliability bins, calibration error and Brier score of pixels; only sums are kept and gathered."""

    full_state_update = False
    sums: Tensor
    squared_error: Tensor

    def __init__(self, bins: int = BINS, **kwargs: Any):
        super().__init__(**kwargs)
        self.bins = bins
        self.add_state("sums", torch.zeros(3, bins, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("squared_error", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, probability: Tensor, labels: Tensor) -> None:
        """Take probabilities 0..1 and labels (0, 1, 255 left out) of one shape."""
        keep = labels != IGNORED
        p, t = probability[keep].double(), labels[keep].double()
        place = (p * self.bins).long().clamp(0, self.bins - 1)
        for row, values in enumerate((torch.ones_like(p), t, p)):
            self.sums[row].scatter_add_(0, place, values)
        self.squared_error += ((p - t) ** 2).sum()

    def compute(self) -> dict[str, float | None]:
        """Expected calibration error and Brier score of all processes."""
        found = self.calibration()
        return {"ece": found.ece, "brier": found.brier}

    def calibration(self) -> Calibration:
        """The bins, of the processes whose states are together (``with metric.sync_context():`` all)."""
        counts, positives, sums = self.sums.cpu().numpy()
        return Calibration(counts.astype(np.int64), positives.astype(np.int64), sums, float(self.squared_error))
