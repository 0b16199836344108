"""The residual U-Net family of the thesis: its members as data, and as networks of torch.

Importing this package imports no torch; `build` and `ResidualUNet` do, on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from LungNoduleSegLib.networks.config import NetworkConfig, ViTConfig
from LungNoduleSegLib.networks.members import MEMBERS, build, count_parameters, member, scaled
from LungNoduleSegLib.networks.shapes import state_shapes

if TYPE_CHECKING:
    from LungNoduleSegLib.networks.residual_unet import ResidualUNet

__all__ = [
    "MEMBERS",
    "NetworkConfig",
    "ResidualUNet",
    "ViTConfig",
    "build",
    "count_parameters",
    "member",
    "scaled",
    "state_shapes",
]


def __getattr__(name: str):
    if name == "ResidualUNet":
        from LungNoduleSegLib.networks.residual_unet import ResidualUNet

        return ResidualUNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
