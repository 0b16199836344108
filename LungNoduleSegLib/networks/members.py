"""The named members of the family, and how to build and count them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from LungNoduleSegLib.networks.config import FULL_WIDTHS, NetworkConfig, ViTConfig

if TYPE_CHECKING:
    from torch import nn

    from LungNoduleSegLib.networks.residual_unet import ResidualUNet

CHANNELS_PER_HEAD = 64
COMPACT_WIDTH = 16
COMPACT_SLICES = 3

_FULL = {
    "model-1": NetworkConfig(scse=("encoder",), vit=ViTConfig()),
    "model-2": NetworkConfig(scse=("encoder", "bottleneck")),
}


def scaled(config: NetworkConfig, width: int) -> NetworkConfig:
    """The same network with ``width`` channels at full resolution, everything else in proportion.

    The transformer's width scales too (768 x width / 64) and keeps 64 channels a head (or a few more, where the
    width is no multiple of 16) and its number of blocks.
    """
    if width < 2 or width % 2:
        raise ValueError(f"Expected argument `width` to be an even number of at least 2, got {width}")
    vit = config.vit
    if vit is not None:
        dim = vit.dim * width // FULL_WIDTHS[0]
        # Where 64 channels a head do not come out even, there are fewer and wider heads.
        heads = next(h for h in range(max(1, dim // CHANNELS_PER_HEAD), 0, -1) if dim % h == 0)
        vit = ViTConfig(dim=dim, depth=vit.depth, heads=heads)
    widths = tuple(w * width // FULL_WIDTHS[0] for w in FULL_WIDTHS)
    return replace(config, widths=widths, vit=vit)


MEMBERS: dict[str, NetworkConfig] = {
    **_FULL,
    **{f"{name}-compact": replace(scaled(c, COMPACT_WIDTH), input_slices=COMPACT_SLICES) for name, c in _FULL.items()},
}


def member(name: str) -> NetworkConfig:
    """Configuration of a named member; ValueError names the known ones."""
    if name not in MEMBERS:
        raise ValueError(f"Expected argument `name` to be one of {', '.join(MEMBERS)}, got {name!r}")
    return MEMBERS[name]


def build(config: NetworkConfig) -> ResidualUNet:
    """A network with fresh weights (torch's default initialisation)."""
    from LungNoduleSegLib.networks.residual_unet import ResidualUNet

    return ResidualUNet(config)


def count_parameters(network: nn.Module, *, called_layers_only: bool = False) -> int:
    """Number of trainable parameters.

    ``called_layers_only`` counts what ``torchsummary`` counts: parameters of layers with a weight or bias of their own.
    It leaves out the class token and the position embedding, which is how the thesis gives model 1's 115,596,353.
    """
    if called_layers_only:
        named = (p for n, p in network.named_parameters() if n.rsplit(".", 1)[-1] in ("weight", "bias"))
        return sum(p.numel() for p in named)
    return sum(p.numel() for p in network.parameters())
