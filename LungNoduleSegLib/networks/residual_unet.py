"""The residual U-Net family of the thesis: one configurable network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from LungNoduleSegLib.networks.blocks import MultiScaleFusion, ResidualUnit
from LungNoduleSegLib.networks.config import STRIDE, NetworkConfig
from LungNoduleSegLib.networks.scse import SCSE
from LungNoduleSegLib.networks.vit import BottleneckViT


class ResidualUNet(nn.Module):
    """Residual U-Net: scSE at chosen places, an optional ViT at the bottleneck, multi-scale fusion on the way up.

    Input (n, input_slices, h, w) float, each slice normalised on its own; output (n, 1, h, w) logits of the middle
    slice. h and w are multiples of 16. scSE stands behind the residual unit of a level, and its output is the skip too;
    the ViT stands behind the deepest level.

    Raises
    ------
    ValueError
        For an input whose rank, channels or size do not fit.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        widths = config.widths

        def unit(i: int, o: int) -> ResidualUnit:
            return ResidualUnit(i, o, shortcut=config.shortcuts)

        def attention(place: str, channels: int) -> nn.Module:
            return SCSE(channels) if place in config.scse else nn.Identity()

        incoming = (config.input_slices, *widths[:-1])
        self.encoders = nn.ModuleList([unit(i, o) for i, o in zip(incoming, widths)])
        places = ["encoder"] * 4 + ["bottleneck"]
        self.encoder_attention = nn.ModuleList([attention(p, w) for p, w in zip(places, widths)])
        vit = config.vit
        self.vit = (
            BottleneckViT(widths[-1], vit.dim, vit.depth, vit.heads, config.input_px // STRIDE)
            if vit
            else nn.Identity()
        )
        down = widths[:0:-1]  # deepest first: 1024, 512, 256, 128 at full width
        self.ups = nn.ModuleList([MultiScaleFusion(c, fusion=config.fusion) for c in down])
        self.decoders = nn.ModuleList([unit(c, c // 2) for c in down])
        self.decoder_attention = nn.ModuleList([attention("decoder", c // 2) for c in down])
        self.head = nn.Conv2d(widths[0], 1, 1)

    def _check(self, x: Tensor) -> None:
        slices = self.config.input_slices
        if x.dim() != 4 or x.shape[1] != slices:
            raise ValueError(f"Expected argument `x` to have shape (n, {slices}, h, w), got {tuple(x.shape)}")
        if x.shape[2] % STRIDE or x.shape[3] % STRIDE:
            raise ValueError(
                f"Expected height and width of argument `x` to be multiples of {STRIDE}, got {tuple(x.shape[2:])}"
            )

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.jit.is_tracing() or torch.compiler.is_compiling()):
            self._check(x)
        skips = []
        for level, (unit, attention) in enumerate(zip(self.encoders, self.encoder_attention)):
            x = attention(unit(x if level == 0 else F.max_pool2d(x, 2)))
            skips.append(x)
        x = self.vit(skips.pop())
        for up, unit, attention in zip(self.ups, self.decoders, self.decoder_attention):
            x = attention(unit(torch.cat([up(x), skips.pop()], dim=1)))
        return self.head(x)
