"""Our blocks give what the blocks of well-known packages give with the same weights."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from LungNoduleSegLib.networks.scse import SCSE
from LungNoduleSegLib.networks.vit import TransformerBlock
from Testing.networks.torchvision_shim import reference

TOLERANCE = 1e-5


def same_weights(ours: nn.Module, theirs: nn.Module, names: dict[str, str]) -> None:
    """Random weights for both; ``names`` maps prefixes of their names to ours."""
    torch.manual_seed(1)
    state = {}
    for name, value in theirs.state_dict().items():
        (prefix,) = (p for p in names if name.startswith(p))
        state[names[prefix] + name.removeprefix(prefix)] = torch.randn_like(value) * 0.3
    ours.load_state_dict(state, strict=True)
    renamed = {their + name.removeprefix(our): value for name, value in state.items()
               for their, our in names.items() if name.startswith(our)}  # fmt: skip
    theirs.load_state_dict(renamed, strict=True)


def assert_same(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    """Same output and same gradient of the input."""
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [ours.eval()(inputs[0]), theirs.eval()(inputs[1])]
    torch.testing.assert_close(outputs[0], outputs[1], atol=TOLERANCE, rtol=TOLERANCE)
    assert outputs[0].std() > 0.05  # and not equal because nothing comes out
    for output in outputs:
        output.square().mean().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize(("channels", "size"), [(16, (8, 8)), (64, (32, 16)), (256, (4, 4))])
def test_scse_equals_segmentation_models_pytorch(channels: int, size: tuple[int, int]):
    theirs = reference("segmentation_models_pytorch.base.modules").SCSEModule(channels, reduction=16)
    ours = SCSE(channels)
    same_weights(ours, theirs, {"cSE.": "channel.", "sSE.": "spatial."})
    assert_same(ours, theirs, torch.randn(2, channels, *size))


@pytest.mark.parametrize(("dim", "heads"), [(96, 1), (192, 3), (256, 4)])
def test_transformer_block_equals_timm(dim: int, heads: int):
    block = reference("timm.models.vision_transformer").Block
    theirs = block(dim, heads, mlp_ratio=4, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6))
    ours = TransformerBlock(dim, heads)
    names = {"norm1.": "norm1.", "norm2.": "norm2.", "attn.qkv.": "qkv.", "attn.proj.": "proj.",
             "mlp.fc1.": "fc1.", "mlp.fc2.": "fc2."}  # fmt: skip
    same_weights(ours, theirs, names)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    # Weights of 0.3 make activations of hundreds; 1e-5 is meant relative to activations of about one.
    with torch.no_grad():
        for module in (ours, theirs):
            for parameter in module.parameters():
                parameter.mul_(0.2)
    assert_same(ours, theirs, torch.randn(2, 17, dim))
