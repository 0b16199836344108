"""Batch normalisation over processes: the formula, its state, and its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.engine.batchnorm import SharedBatchNorm2d, shared


@pytest.fixture
def one_process(tmp_path):
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1))
    nn.init.uniform_(plain[1].weight, 0.5, 2)
    nn.init.uniform_(plain[1].bias)
    ours = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1))
    ours.load_state_dict(plain.state_dict())
    return plain, shared(ours, torch.device("cpu"))


def test_it_is_batch_normalisation(one_process):
    plain, ours = pair()
    assert isinstance(ours[1], SharedBatchNorm2d)
    x = torch.randn(4, 2, 6, 6) * 3 + 1
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outs = [network(i) for network, i in zip((plain, ours), inputs)]
    torch.testing.assert_close(outs[1], outs[0])
    for out in outs:
        (out**3).mean().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-4, atol=1e-6)
    for a, b in zip(ours.parameters(), plain.parameters()):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    assert ours.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)


def test_evaluation_uses_what_was_learned(one_process):
    plain, ours = (network.eval() for network in pair())
    x = torch.randn(2, 2, 6, 6)
    torch.testing.assert_close(ours(x), plain(x))


def test_other_layers_and_optimisers_are_left_alone():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm2d(3)), nn.LayerNorm(4))
    before = list(network.parameters())
    after = list(shared(network, torch.device("cpu")).parameters())
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert type(network[2]) is nn.LayerNorm
    assert type(network[1][0]) is SharedBatchNorm2d
