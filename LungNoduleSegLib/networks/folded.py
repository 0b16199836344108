"""A member of the family after folding: no batch norm is left, a multi-scale fusion is a sum of three convolutions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from LungNoduleSegLib.networks.blocks import MultiScaleFusion
from LungNoduleSegLib.networks.config import FUSION_DILATIONS, NetworkConfig
from LungNoduleSegLib.networks.residual_unet import ResidualUNet


class MergedFusion(nn.Module):
    """A multi-scale fusion with its reduction multiplied into the branches; (n, c, h, w) -> (n, c / 2, 2h, 2w)."""

    def __init__(self, channels: int):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, channels // 2, 3, padding=dilation, dilation=dilation, bias=n == 0)
            for n, dilation in enumerate(FUSION_DILATIONS)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.branches
        y = first(x)
        for branch in others:
            y = y + branch(x)
        return F.interpolate(F.relu(y), scale_factor=2.0, mode="bilinear", align_corners=False)


class FoldedResidualUNet(ResidualUNet):
    """A residual U-Net that takes the weights of :func:`~LungNoduleSegLib.inference.engines.fold.fold_state`."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        for parent in list(self.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(parent, name, nn.Identity())
                elif isinstance(child, MultiScaleFusion) and len(child.branches) > 0:
                    setattr(parent, name, MergedFusion(child.branches[0].in_channels))
