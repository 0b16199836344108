"""The residual U-Net family of the thesis (torch only).

Importing this package imports torch; nothing outside of prediction and training does.
"""

from LungNoduleSegLib.networks.config import NetworkConfig, ViTConfig
from LungNoduleSegLib.networks.members import MEMBERS, build, count_parameters, member, scaled
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
]
