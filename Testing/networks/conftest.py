"""The members of the family at width 8, built once."""

from __future__ import annotations

import pytest
import torch

from LungNoduleSegLib.networks import MEMBERS, ResidualUNet, build, member, scaled

WIDTH = 8


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Networks this small gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package", params=list(MEMBERS))
def narrow(request: pytest.FixtureRequest) -> ResidualUNet:
    """A named member at width 8, in evaluation mode, batch norms with statistics of their own; not to be changed."""
    torch.manual_seed(0)
    network = build(scaled(member(request.param), WIDTH))
    # One pass in training mode, so that running means and variances are not the trivial ones.
    with torch.no_grad():
        network.train()(torch.randn(2, network.config.input_slices, 64, 64))
    return network.eval()
