"""What the networks cost: parameters and floating point operations, counted on networks that hold no memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from LungNoduleSegLib.networks import NetworkConfig, build, count_parameters
from LungNoduleSegLib.networks.blocks import MultiScaleFusion

BYTES_A_PARAMETER = 4
MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """Of one network at one input size. FLOPs are 2 x multiply-accumulate, of one image.

    ``called_parameters`` counts layers with a weight or bias of their own, as ``torchsummary`` does; the fusion's share
    is what lies in the multi-scale fusion, its reduction included; ``unfused`` is the same network without it.
    """

    parameters: int
    called_parameters: int
    flops: int
    fusion_parameters: int
    fusion_flops: int
    unfused_parameters: int
    unfused_flops: int

    @property
    def mib(self) -> float:
        """float32, 2^20 bytes."""
        return self.called_parameters * BYTES_A_PARAMETER / MIB


def _count(config: NetworkConfig) -> tuple[int, int, int, int, int]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = build(config).eval()
        x = torch.empty(1, config.input_slices, config.input_px, config.input_px)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(x)
    by_module = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    fusions = [(name, m) for name, m in network.named_modules() if isinstance(m, MultiScaleFusion)]
    root = type(network).__name__
    flops = sum(by_module.get(f"{root}.{name}", 0) for name, _ in fusions)
    parameters = sum(count_parameters(m) for _, m in fusions)
    called = count_parameters(network, called_layers_only=True)
    return count_parameters(network), called, counter.get_total_flops(), parameters, flops


@lru_cache(maxsize=32)
def cost(config: NetworkConfig) -> Cost:
    """Counts a network by building it on torch's meta device (no memory, no arithmetic)."""
    parameters, called, flops, fusion_parameters, fusion_flops = _count(config)
    without = _count(replace(config, fusion=False))
    return Cost(parameters, called, flops, fusion_parameters, fusion_flops, without[0], without[2])
