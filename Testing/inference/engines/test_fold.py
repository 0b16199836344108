"""Folding changes the work, not the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from LungNoduleSegLib.inference.engines.fold import fold_state, folded
from LungNoduleSegLib.networks import MEMBERS, build, scaled
from LungNoduleSegLib.networks.folded import FoldedResidualUNet


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
    network = lively(build(replace(scaled(MEMBERS["model-2"], 8), fusion=False, shortcuts=False)))
    x = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(folded(network)(x), network(x), atol=1e-4, rtol=1e-4)


def test_numbers_by_hand():
    """One pixel through one convolution and its norm: (w x + b - mean) / sqrt(var) * weight + bias."""
    config = replace(scaled(MEMBERS["model-2"], 2), shortcuts=False)
    state = {name: tensor.numpy().copy() for name, tensor in build(config).state_dict().items()}
    conv, norm = "encoders.0.body.0", "encoders.0.body.1"
    state[f"{conv}.weight"][:] = 2.0
    state[f"{conv}.bias"][:] = 1.0
    for part, value in {"weight": 3.0, "bias": 0.5, "running_mean": 0.25, "running_var": 4.0 - 1e-5}.items():
        state[f"{norm}.{part}"][:] = value
    found = fold_state(config, state)
    np.testing.assert_allclose(found[f"{conv}.weight"], 3.0, rtol=1e-6)
    np.testing.assert_allclose(found[f"{conv}.bias"], (1 - 0.25) / 2 * 3 + 0.5, rtol=1e-6)
    assert state[f"{conv}.weight"].max() == 2.0, "the given arrays are not changed"


@pytest.mark.parametrize("options", [{}, {"fusion": False}, {"shortcuts": False}], ids=str)
def test_names_and_shapes_are_those_of_the_folded_network(options):
    config = replace(scaled(MEMBERS["model-1"], 4), **options)
    state = {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}
    found = {name: array.shape for name, array in fold_state(config, state).items()}
    assert found == {name: tuple(tensor.shape) for name, tensor in FoldedResidualUNet(config).state_dict().items()}
    without = {name: array for name, array in state.items() if not name.endswith("num_batches_tracked")}
    assert {name: array.shape for name, array in fold_state(config, without).items()} == found
