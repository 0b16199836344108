"""Baselines: the published parameter counts, and every one of them forward, backward, saved and loaded."""

from __future__ import annotations

import pytest
import torch

from LungNoduleSegLib.networks import count_parameters
from training.baselines import BASELINES, BaselineConfig, build
from training.baselines.transunet import TransUNet, without_class_token

COMPACT = {"unet": 1_948_129, "attention-unet": 1_987_417, "transunet": 3_936_917}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("baseline", "parameters"), [("unet", 31_112_065), ("attention-unet", 31_739_185), ("transunet", 105_174_545)]
)
def test_full_scale_has_the_published_number_of_parameters(baseline: str, parameters: int):
    with torch.device("meta"):
        assert count_parameters(build(BaselineConfig(baseline))) == parameters


def test_transunet_as_published_at_224_px_with_9_classes():
    with torch.device("meta"):
        assert count_parameters(TransUNet(BaselineConfig("transunet", input_px=224), classes=9)) == 105_277_081


@pytest.mark.parametrize("px", [64, 128])
@pytest.mark.parametrize("baseline", BASELINES)
def test_compact_forward_and_backward(baseline: str, px: int):
    config = BaselineConfig(baseline, "compact", input_px=px)
    network = build(config).train()
    logits = network(torch.randn(2, 1, px, px))
    assert logits.shape == (2, 1, px, px)
    logits.square().mean().backward()
    # Every weight is used; a bias in front of a batch norm has a gradient of zero, but it has one.
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    if px == 64:
        assert count_parameters(network) == COMPACT[baseline]


@pytest.mark.parametrize("baseline", BASELINES)
def test_save_and_load(baseline: str, tmp_path):
    config = BaselineConfig(baseline, "compact", input_px=64)
    first, second = build(config).eval(), build(config).eval()
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected, other = first(x), second(x)
        assert not torch.allclose(expected, other)
        torch.save(first.state_dict(), tmp_path / "state.pt")
        second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        torch.testing.assert_close(second(x), expected)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("slices", [3, 5])
def test_neighbouring_slices_are_seen(baseline: str, slices: int):
    network = build(BaselineConfig(baseline, "compact", input_slices=slices, input_px=32)).eval()
    x = torch.randn(1, slices, 32, 32)
    changed = x.clone()
    changed[:, 0] += 1
    with torch.no_grad():
        assert not torch.allclose(network(x), network(changed))


def test_transunet_sees_a_single_slice_three_times():
    network = build(BaselineConfig("transunet", "compact", input_px=32)).eval()
    three = build(BaselineConfig("transunet", "compact", input_slices=3, input_px=32)).eval()
    three.load_state_dict(network.state_dict())
    x = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x), three(x.expand(-1, 3, -1, -1)))


def test_transunet_refuses_another_size():
    network = build(BaselineConfig("transunet", "compact", input_px=32))
    with pytest.raises(ValueError, match=r"\(n, 1, 32, 32\), got \(1, 1, 64, 64\)"):
        network(torch.zeros(1, 1, 64, 64))


def test_imagenet_weights_fit_without_their_class_token():
    """The names and shapes of timm's own model; the weights themselves would have to be downloaded."""
    from training.metrics.torchvision_operators import declare_operators

    declare_operators()
    import timm

    with torch.device("meta"):
        theirs = timm.create_model("vit_base_r50_s16_224", pretrained=False, img_size=128, num_classes=0)
        ours = TransUNet(BaselineConfig("transunet")).encoder
    state = without_class_token(theirs.state_dict())
    assert {n: v.shape for n, v in state.items()} == {n: v.shape for n, v in ours.state_dict().items()}


def test_configuration_survives_the_round_trip():
    config = BaselineConfig("transunet", "compact", input_slices=3, input_px=64)
    assert config.to_dict()["baseline"] == "transunet"
    assert BaselineConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "vnet"}, "`baseline`"),
        ({"scale": "tiny"}, "`scale`"),
        ({"input_slices": 2}, "`input_slices`"),
        ({"input_px": 100}, "`input_px`"),
        ({"pretrained": True}, "`pretrained`"),
    ],
)
def test_wrong_configurations_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        BaselineConfig(**{"baseline": "unet", **changes})


def test_unknown_keys_are_refused():
    with pytest.raises(ValueError, match="depth"):
        BaselineConfig.from_dict({"baseline": "unet", "depth": 3})
