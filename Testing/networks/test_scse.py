"""scSE: it excites from the first step on, however few channels it squeezes to."""

from __future__ import annotations

import pytest
import torch

from LungNoduleSegLib.networks.scse import SCSE


@pytest.mark.parametrize("channels", [8, 16, 64])
def test_every_squeezed_channel_is_alive_at_the_start(channels):
    for seed in range(30):
        torch.manual_seed(seed)
        module = SCSE(channels)
        squeezed = module.channel[:3](torch.rand(4, channels, 8, 8).relu())
        assert (squeezed > 0).all(), seed


def test_sum_of_both_excitations_by_hand():
    module = SCSE(2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.channel[3].bias.copy_(torch.tensor([0.0, 20.0]))
    x = torch.tensor([1.0, 2.0])[None, :, None, None].expand(1, 2, 3, 3)
    # cSE gives sigmoid(0) = 0.5 and sigmoid(20) = 1, sSE sigmoid(0) = 0.5 everywhere.
    torch.testing.assert_close(module(x)[0, :, 0, 0], torch.tensor([1.0 * (0.5 + 0.5), 2.0 * (1.0 + 0.5)]))
