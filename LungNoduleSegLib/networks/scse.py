"""Concurrent spatial and channel squeeze-and-excitation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from LungNoduleSegLib.networks.config import SCSE_REDUCTION


class SCSE(nn.Module):
    """scSE by sum: ``x * cSE(x) + x * sSE(x)`` (Roy et al., IEEE TMI 2019), reduction 16, shape unchanged.

    Where fewer than 16 channels come in (narrow members), the squeezed layer keeps one channel.
    """

    def __init__(self, channels: int):
        super().__init__()
        squeezed = max(1, channels // SCSE_REDUCTION)
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )
        # With one or two squeezed channels the default initialisation often leaves none above zero for any input, and a
        # ReLU that is never above zero never learns: the excitation would be a constant for good.
        nn.init.ones_(self.channel[1].bias)
        self.spatial = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        # One multiplication instead of two: x*c + x*s = x*(c + s).
        return torch.mul(x, self.channel(x) + self.spatial(x))
