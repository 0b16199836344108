"""The transformer at the bottleneck: positions, token, and other sizes than it was trained at."""

from __future__ import annotations

import torch

from LungNoduleSegLib.networks.vit import BottleneckViT


def vit(grid: int = 8) -> BottleneckViT:
    torch.manual_seed(0)
    return BottleneckViT(32, 24, depth=2, heads=3, grid=grid).eval()


@torch.no_grad()
def test_positions_tell_places_apart():
    """Without positions a constant map would come out constant."""
    module = vit()
    module.positions.mul_(50)
    assert module(torch.ones(1, 32, 8, 8)).std(dim=(2, 3)).max() > 1e-3
    module.positions.zero_()
    assert module(torch.ones(1, 32, 8, 8)).std(dim=(2, 3)).max() < 1e-5


@torch.no_grad()
def test_learned_positions_are_used_unchanged_at_their_own_size():
    module = vit()
    assert module._positions_for(8, 8) is module.positions


@torch.no_grad()
def test_positions_follow_the_map_to_another_size():
    """A ramp along one axis stays a ramp along that axis, and the class token's position stays as it is."""
    module = vit()
    ramp = torch.arange(8.0)
    module.positions[:, 1:] = ramp.repeat_interleave(8)[None, :, None]  # value = row
    module.positions[:, 0] = -7
    found = module._positions_for(16, 4)
    assert found.shape == (1, 65, 24)
    assert (found[:, 0] == -7).all()
    rows = found[0, 1:, 0].reshape(16, 4)
    torch.testing.assert_close(rows, rows[:, :1].expand(16, 4))
    # Inside, away from the border that interpolation extends: centres of half-sized cells. torch's bicubic kernel
    # (a = -0.75) does not give ramps back exactly: it is off by 3/64 here.
    torch.testing.assert_close(rows[4:12, 0], (torch.arange(4, 12) + 0.5) / 2 - 0.5, atol=0.05, rtol=0)


@torch.no_grad()
def test_class_token_takes_part():
    module = vit()
    x = torch.randn(1, 32, 8, 8)
    before = module(x)
    module.class_token.add_(3 * torch.randn(24))
    assert (module(x) - before).abs().max() > 1e-4
    assert module(x).shape == x.shape
