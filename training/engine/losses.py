"""The thesis' loss: 0.5 binary cross-entropy + Dice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.crops import IGNORE


@dataclass(frozen=True)
class WholeBatch:
    """The batch that given images are a part of; the losses of its parts add up to its own, and so do gradients.

    Parameters
    ----------
    images, valid_px
        Images of the whole batch, and pixels of it that count.
    processes
        Processes that hold a part each.
    add
        Sum of a tensor over these processes, without gradient; only a Dice over the batch needs it.
    """

    images: int
    valid_px: Tensor | float
    processes: int = 1
    add: Callable[[Tensor], Tensor] = Tensor.detach


def bce_dice_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    bce_weight: float = 0.5,
    positive_weight: float = 1.0,
    smoothing: float = 1.0,
    per_image: bool = True,
    whole: WholeBatch | None = None,
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
    whole
        What these images are a part of; by default they are the batch.

    Returns
    -------
    Scalar: this part's share of the batch's loss.
    """
    logits = logits[:, 0].float()
    valid = (labels != IGNORE).float()
    truth = (labels == 1).float()
    whole = whole or WholeBatch(len(labels), valid.sum())
    weight = torch.where(labels == 1, positive_weight, 1.0) * valid
    bce = F.binary_cross_entropy_with_logits(logits, truth, weight=weight, reduction="sum")
    bce = bce / torch.as_tensor(whole.valid_px, device=bce.device).clamp(min=1)
    probability = torch.sigmoid(logits) * valid
    overlap = (probability * truth).sum(dim=(1, 2))
    total = probability.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
    if per_image:
        dice = (1 - (2 * overlap + smoothing) / (total + smoothing)).sum() / whole.images
    else:
        dice = _batch_dice(overlap.sum(), total.sum(), smoothing, whole)
    return bce_weight * bce + dice


def _batch_dice(overlap: Tensor, total: Tensor, smoothing: float, whole: WholeBatch) -> Tensor:
    """Dice of all processes' pixels: each gives the gradient of its own pixels and an equal share of the value."""
    own = torch.stack([overlap, total])
    overlap, total = own + (whole.add(own.detach()) - own.detach())
    dice = 1 - (2 * overlap + smoothing) / (total + smoothing)
    return dice + (dice / whole.processes - dice).detach()
