"""Folding changes the work, not the answer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from LungNoduleSegLib.inference.fold import folded
from LungNoduleSegLib.networks import MEMBERS, build, scaled


def lively(network):
    """Batch norms with statistics and weights that a wrong fold would not survive."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) * 0.3)
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            module.weight.data.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(module.num_features, generator=generator) * 0.3)
    return network.eval()


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_same_output(name):
    torch.manual_seed(0)
    network = lively(build(scaled(MEMBERS[name], 8)))
    x = torch.randn(2, network.config.input_slices, 128, 128)
    before = {n: p.clone() for n, p in network.state_dict().items()}
    with torch.inference_mode():
        expected, found = network(x), folded(network)(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} was changed"


def test_no_batch_norm_is_left_and_the_fusion_is_smaller():
    network = lively(build(scaled(MEMBERS["model-2"], 8)))
    fold = folded(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fold.modules())

    def size(ups):
        return sum(p.numel() for p in ups.parameters() if p.dim() == 4)

    # c -> c/2 three times with 9 taps: 13.5 c^2, where 4 branches and the reduction are 28 c^2 + 2 c^2.
    assert size(fold.ups) / size(network.ups) == pytest.approx(13.5 / 30, rel=1e-6)


def test_without_fusion():
    from dataclasses import replace

    network = lively(build(replace(scaled(MEMBERS["model-2"], 8), fusion=False, shortcuts=False)))
    x = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(folded(network)(x), network(x), atol=1e-4, rtol=1e-4)
