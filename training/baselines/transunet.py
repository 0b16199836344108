"""TransUNet (Chen et al., 2021): timm's hybrid of a ResNet-50 and a ViT-B/16 as encoder, and a decoder of our own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from LungNoduleSegLib.errors import InputError
from training.baselines.config import BaselineConfig
from training.metrics.torchvision_operators import declare_operators

PRETRAINED = "vit_base_r50_s16_224.orig_in21k"


@dataclass(frozen=True)
class _Size:
    """Widths of one scale: ResNet stem and stages, groups of its norms, ViT, decoder behind the bridge."""

    stem: int
    stages: tuple[int, int, int]
    groups: int
    dim: int
    depth: int
    heads: int
    bridge: int
    decoder: tuple[int, int, int, int]


_SIZES = {
    "full": _Size(64, (256, 512, 1024), 32, 768, 12, 12, 512, (256, 128, 64, 16)),
    "compact": _Size(16, (64, 128, 256), 8, 192, 6, 3, 128, (64, 32, 16, 4)),
}
_STAGE_BLOCKS = (3, 4, 9)


class TransUNet(nn.Module):
    """(n, input_slices, px, px) to (n, classes, px, px) logits, ``px`` being the configuration's ``input_px``.

    The first convolution has three channels as in the original, which sees a single slice three times; with more than
    three slices it has one for each. There is no class token. 105,277,081 parameters at 224 px with 9 classes.

    Raises
    ------
    ValueError
        For an input of another size: there are as many positions as were learned.
    InputError
        When the ImageNet weights are asked for and cannot be had.
    """

    def __init__(self, config: BaselineConfig, classes: int = 1):
        super().__init__()
        size = _SIZES[config.scale]
        self.config, self.channels = config, max(3, config.input_slices)
        self.encoder = _encoder(config.input_px, size, self.channels)
        if config.pretrained:
            self.encoder.load_state_dict(_imagenet(config.input_px))
        self.bridge = _conv(size.dim, size.bridge)
        incoming = (size.bridge, *size.decoder[:-1])
        skips = (size.stages[1], size.stages[0], size.stem, 0)
        self.ups = nn.ModuleList(
            [nn.Sequential(_conv(i + s, o), _conv(o, o)) for i, s, o in zip(incoming, skips, size.decoder)]
        )
        self.head = nn.Conv2d(size.decoder[-1], classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        px = self.config.input_px
        if x.dim() != 4 or tuple(x.shape[1:]) != (self.config.input_slices, px, px):
            expected = f"(n, {self.config.input_slices}, {px}, {px})"
            raise ValueError(f"Expected argument `x` to have shape {expected}, got {tuple(x.shape)}")
        if x.shape[1] == 1:
            x = x.expand(-1, self.channels, -1, -1)
        backbone = self.encoder.patch_embed.backbone
        x = backbone.stem.norm(backbone.stem.conv(x))
        skips = [x]
        x = backbone.stem.pool(x)
        for stage in backbone.stages:
            x = stage(x)
            skips.append(x)
        x = self.encoder.patch_embed.proj(skips.pop())
        grid = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2) + self.encoder.pos_embed
        tokens = self.encoder.norm(self.encoder.blocks(tokens))
        x = self.bridge(tokens.transpose(1, 2).unflatten(2, grid))
        for up in self.ups:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
            x = up(torch.cat([x, skips.pop()], dim=1) if skips else x)
        return self.head(x)


def _conv(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _encoder(px: int, size: _Size, channels: int) -> nn.Module:
    """timm's ``vit_base_r50_s16_224`` at these widths, without class token and head."""
    declare_operators()
    from timm.layers import GroupNormAct, StdConv2dSame
    from timm.layers.hybrid_embed import HybridEmbed
    from timm.models.resnetv2 import ResNetV2
    from timm.models.vision_transformer import VisionTransformer

    backbone = ResNetV2(
        layers=_STAGE_BLOCKS, channels=size.stages, stem_chs=size.stem, in_chans=channels, num_classes=0,
        global_pool="", preact=False, stem_type="same", conv_layer=partial(StdConv2dSame, eps=1e-8),
        norm_layer=partial(GroupNormAct, num_groups=size.groups),
    )  # fmt: skip
    return VisionTransformer(
        img_size=px, patch_size=1, in_chans=channels, num_classes=0, embed_dim=size.dim, depth=size.depth,
        num_heads=size.heads, class_token=False, global_pool="",
        embed_layer=partial(HybridEmbed, backbone=backbone),
    )  # fmt: skip


def _imagenet(px: int) -> dict[str, Any]:
    """State of the encoder from timm's ImageNet-21k weights, positions interpolated to the grid of ``px``."""
    declare_operators()
    import timm

    try:
        model = timm.create_model(PRETRAINED, pretrained=True, img_size=px, num_classes=0)
    except Exception as error:
        remedy = "Connect to the internet once, or train from scratch."
        raise InputError(f"ImageNet weights not available ({error})", remedy=remedy) from error
    return without_class_token(model.state_dict())


def without_class_token(state: dict[str, Any]) -> dict[str, Any]:
    """The same weights for an encoder that has no class token and no position for one."""
    state = dict(state)
    state.pop("cls_token")
    return {**state, "pos_embed": state["pos_embed"][:, 1:]}
