"""The false-positive reduction as it is trained, and its weights as they ship."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from LungNoduleSegLib.inference.reduction import BIAS, HEAD_BIAS, HEAD_WEIGHT, WEIGHT, ReductionConfig

WIDTH = 12
"""Channels of the first layers."""

_LAYERS = (  # channels as multiples of the width; kernel, stride
    (1, (1, 5, 5), (1, 2, 2)),
    (1, (1, 3, 3), (1, 1, 1)),
    (2, (3, 3, 3), (1, 2, 2)),
    (2, (1, 3, 3), (1, 1, 1)),
    (4, (3, 3, 3), (1, 2, 2)),
    (4, (3, 3, 3), (1, 1, 1)),
    (4, (3, 3, 3), (2, 2, 2)),
)
_DROPOUT = 0.3


class ReductionNetwork(nn.Module):
    """Convolutions with batch normalisation and ReLU, then the mean of all places and that of the middle ones.

    Parameters
    ----------
    width
        Channels of the first layers; the last ones have four times as many.
    """

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.layers = nn.ModuleList()
        channels = 1
        for factor, kernel, stride in _LAYERS:
            padding = tuple(size // 2 for size in kernel)
            convolution = nn.Conv3d(channels, factor * width, kernel, stride, padding, bias=False)
            self.layers.append(nn.Sequential(convolution, nn.BatchNorm3d(factor * width), nn.ReLU(inplace=True)))
            channels = factor * width
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(2 * channels, 1)

    def forward(self, stacks: Tensor) -> Tensor:
        """Logits (n,) of normalised stacks (n, k, j, i)."""
        x = stacks[:, None]
        for layer in self.layers:
            x = layer(x)
        x = x.mean(dim=2)
        top, left = (size // 4 for size in x.shape[2:])
        inner = x[:, :, top : x.shape[2] - top, left : x.shape[3] - left]
        pooled = torch.cat([x.mean(dim=(2, 3)), inner.mean(dim=(2, 3))], dim=1)
        return self.head(self.dropout(pooled))[:, 0]

    @property
    def config(self) -> ReductionConfig:
        """What a card says of the layers."""
        convolutions = [layer[0] for layer in self.layers]  # type: ignore[index]
        return ReductionConfig(tuple(c.stride for c in convolutions), tuple(c.padding for c in convolutions))


@torch.no_grad()
def folded(network: ReductionNetwork) -> dict[str, np.ndarray]:
    """The weights for `LungNoduleSegLib.inference.reduction.Reduction`, each normalisation in its convolution."""
    found = {}
    for number, (convolution, norm, _) in enumerate(network.layers):  # type: ignore[misc]
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        found[WEIGHT.format(number)] = (convolution.weight * scale[:, None, None, None, None]).numpy()
        found[BIAS.format(number)] = (norm.bias - norm.running_mean * scale).numpy()
    found[HEAD_WEIGHT] = network.head.weight[0].numpy().copy()
    found[HEAD_BIAS] = network.head.bias.numpy().copy()
    return found
