"""Residual unit and multi-scale fusion, the trunk of both networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from LungNoduleSegLib.networks.config import FUSION_DILATIONS


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions and a projected shortcut (He et al., CVPR 2016; Zhang et al., IEEE GRSL 2018).

    ``conv3x3 BN ReLU conv3x3 BN + conv1x1 BN, ReLU``; (n, i, h, w) -> (n, o, h, w); 10io + 9o^2 + 9o parameters.
    ``shortcut=False`` leaves the second path out (for ablation).
    """

    def __init__(self, channels_in: int, channels_out: int, *, shortcut: bool = True):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = (
            nn.Sequential(nn.Conv2d(channels_in, channels_out, 1), nn.BatchNorm2d(channels_out)) if shortcut else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return F.relu(y, inplace=True)


class MultiScaleFusion(nn.Module):
    """Parallel 1x1 and dilated 3x3 convolutions, concatenated and reduced, then enlarged twofold.

    (n, c, h, w) -> (n, c / 2, 2h, 2w). After the atrous spatial pyramid of Chen et al. (TPAMI 2018), without norm or
    activation inside the branches. ``fusion=False`` keeps only the 1x1 reduction (for ablation).
    """

    def __init__(self, channels: int, *, fusion: bool = True):
        super().__init__()
        branches: list[nn.Module] = []
        if fusion:
            branches.append(nn.Conv2d(channels, channels, 1))
            branches += [nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in FUSION_DILATIONS]
        self.branches = nn.ModuleList(branches)
        merged = channels * max(1, len(branches))
        self.reduce = nn.Sequential(
            nn.Conv2d(merged, channels // 2, 1), nn.BatchNorm2d(channels // 2), nn.ReLU(inplace=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        if len(self.branches) > 0:
            x = torch.cat([branch(x) for branch in self.branches], dim=1)
        # align_corners=False is the default of the call that the thesis prints.
        return F.interpolate(self.reduce(x), scale_factor=2.0, mode="bilinear", align_corners=False)
