"""One door to every network that can be trained: members of the family, and baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Union

from torch import nn

from LungNoduleSegLib.networks import NetworkConfig, build

if TYPE_CHECKING:
    from training.baselines import BaselineConfig

AnyNetworkConfig = Union[NetworkConfig, "BaselineConfig"]


def build_any(config: AnyNetworkConfig, *, to_be_filled: bool = False) -> nn.Module:
    """The network of a configuration: (n, input_slices, h, w) to (n, 1, h, w) logits.

    Parameters
    ----------
    to_be_filled
        Its weights will be replaced: nothing is downloaded for them.
    """
    if isinstance(config, NetworkConfig):
        return build(config)
    from training import baselines  # MONAI and timm, which the family does without

    if to_be_filled and getattr(config, "pretrained", False):
        config = replace(config, pretrained=False)
    return baselines.build(config)


def config_from_dict(data: dict[str, Any]) -> AnyNetworkConfig:
    """Inverse of ``to_dict`` of either configuration; ValueError for keys that this version does not know."""
    if "baseline" not in data:
        return NetworkConfig.from_dict(data)
    from training.baselines import BaselineConfig

    return BaselineConfig.from_dict(data)
