"""The two switches for ablation leave out what they say, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from LungNoduleSegLib.networks import NetworkConfig, build, scaled
from LungNoduleSegLib.networks.blocks import MultiScaleFusion, ResidualUnit


@pytest.mark.parametrize("key", ["fusion", "shortcuts"])
def test_a_card_without_the_switches_means_the_whole_network(key: str):
    data = NetworkConfig(scse=("encoder",)).to_dict()
    del data[key]
    assert NetworkConfig.from_dict(data) == NetworkConfig(scse=("encoder",))


def test_without_fusion_nothing_is_dilated_and_no_place_sees_its_neighbours():
    """What stands in is a 1x1 convolution: one changed pixel changes only what bilinear enlarging spreads it to."""
    network = build(scaled(NetworkConfig(fusion=False), 8))
    assert not [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.dilation != (1, 1)]
    x = torch.randn(1, 16, 8, 8)
    changed = x.clone()
    changed[0, :, 4, 4] += 5
    for fusion, first, last in ((False, 7, 10), (True, 0, 15)):  # dilation 4 reaches pixels 0 to 7 (8 is outside)
        up = MultiScaleFusion(16, fusion=fusion).eval()
        with torch.no_grad():
            moved = (up(x) - up(changed)).abs().sum(dim=(0, 1)) > 1e-6
        rows, columns = moved.nonzero(as_tuple=True)
        # Enlarged twofold, pixel 4 becomes 8 and 9 and is mixed into 7 and 10.
        assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (first, last)


def test_without_shortcut_a_silent_body_lets_nothing_through():
    x = torch.randn(2, 4, 8, 8)
    for shortcut in (True, False):
        unit = ResidualUnit(4, 8, shortcut=shortcut).eval()
        nn.init.zeros_(unit.body[-1].weight)
        with torch.no_grad():
            assert bool((unit(x) != 0).any()) is shortcut


def test_the_rest_of_the_network_is_untouched():
    """Same names and shapes, apart from what is left out and the 1x1 convolution that takes over."""
    whole, unfused, plain = (
        {n: v.shape for n, v in build(scaled(c, 8)).state_dict().items()}
        for c in (NetworkConfig(), NetworkConfig(fusion=False), NetworkConfig(shortcuts=False))
    )
    assert {n for n in whole if n not in unfused} == {n for n in whole if ".branches." in n}
    assert {n for n in unfused if unfused[n] != whole[n]} == {f"ups.{k}.reduce.0.weight" for k in range(4)}
    assert {n for n in whole if n not in plain} == {n for n in whole if ".shortcut." in n}
    assert all(plain[n] == whole[n] for n in plain)
