"""The thesis' loss: 0.5 binary cross-entropy + Dice."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.crops import IGNORE


def bce_dice_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    bce_weight: float = 0.5,
    positive_weight: float = 1.0,
    smoothing: float = 1.0,
    per_image: bool = True,
) -> Tensor:
    """0.5 BCE + soft Dice loss (thesis, section 4.6).

    Parameters
    ----------
    logits
        (n, 1, h, w) float.
    labels
        (n, h, w) integer: 0 background, 1 nodule, 255 left out of both terms.
    positive_weight
        The slides' unspecified weight w_n, given to nodule pixels; 1 by default.
    smoothing
        Added to numerator and denominator, so that an empty image with an empty prediction costs nothing.
    per_image
        Dice per image, mean over the images (a false component in an empty image is punished fully); False takes the
        batch as one image.

    Returns
    -------
    Scalar.
    """
    logits = logits[:, 0].float()
    valid = (labels != IGNORE).float()
    truth = (labels == 1).float()
    weight = torch.where(labels == 1, positive_weight, 1.0) * valid
    bce = F.binary_cross_entropy_with_logits(logits, truth, weight=weight, reduction="sum") / valid.sum().clamp(min=1)
    probability = torch.sigmoid(logits) * valid
    over = (1, 2) if per_image else (0, 1, 2)
    overlap = (probability * truth).sum(dim=over)
    total = probability.sum(dim=over) + truth.sum(dim=over)
    dice = 1 - (2 * overlap + smoothing) / (total + smoothing)
    return bce_weight * bce + dice.mean()
