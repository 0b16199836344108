"""Parameter counts of the thesis, on the meta device: nothing is allocated."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from LungNoduleSegLib.networks import MEMBERS, NetworkConfig, build, count_parameters, member, scaled
from LungNoduleSegLib.networks.blocks import MultiScaleFusion, ResidualUnit
from LungNoduleSegLib.networks.scse import SCSE

TRUNK = 71_447_425
TABLE_A = {
    (): TRUNK,
    ("encoder",): 71_492_929,
    ("decoder",): 71_492_929,
    ("bottleneck",): 71_580_610,
    ("encoder", "decoder"): 71_538_433,
    ("encoder", "bottleneck"): 71_626_114,
    ("bottleneck", "decoder"): 71_626_114,
    ("encoder", "bottleneck", "decoder"): 71_671_618,
}


def count(*modules: nn.Module) -> int:
    return sum(count_parameters(module) for module in modules)


@pytest.fixture(scope="module", autouse=True)
def on_meta():
    with torch.device("meta"):
        yield


@pytest.fixture(scope="module")
def trunk() -> nn.Module:
    return build(NetworkConfig())


@pytest.fixture(scope="module")
def model_1() -> nn.Module:
    return build(member("model-1"))


@pytest.mark.parametrize(("i", "o"), [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024), (1024, 512)])
def test_residual_unit(i: int, o: int):
    assert count(ResidualUnit(i, o)) == 10 * i * o + 9 * o**2 + 9 * o


def test_encoder(trunk):
    assert count(*trunk.encoders) == 19_552_320


def test_fusion_and_its_share(trunk):
    assert count(*trunk.ups) == 41_789_760
    assert round(100 * 41_789_760 / TRUNK) == 58


def test_decoder(trunk):
    assert count(*trunk.decoders) == 10_105_280


def test_head(trunk):
    assert count(trunk.head) == 65


def test_trunk(trunk):
    assert count(trunk) == TRUNK
    assert count(*trunk.encoders, *trunk.ups, *trunk.decoders, trunk.head) == TRUNK


@pytest.mark.parametrize(
    ("channels", "expected"), [(64, 645), (128, 2_313), (256, 8_721), (512, 33_825), (1024, 133_185)]
)
def test_scse(channels: int, expected: int):
    assert count(SCSE(channels)) == expected


def test_scse_of_the_encoder(model_1):
    assert count(*model_1.encoder_attention) == 45_504


@pytest.mark.parametrize("places", list(TABLE_A), ids="+".join)
def test_table_a(places: tuple[str, ...]):
    network = build(NetworkConfig(scse=places))
    assert count_parameters(network) == TABLE_A[places]
    # Every parameter belongs to a layer that is called: both rules agree without a transformer.
    assert count_parameters(network, called_layers_only=True) == TABLE_A[places]


def test_model_1_by_both_rules(model_1):
    assert count_parameters(model_1) == 115_647_041
    assert count_parameters(model_1, called_layers_only=True) == 115_596_353


def test_transformer_by_both_rules(model_1):
    assert count_parameters(model_1.vit, called_layers_only=True) == 44_103_424
    assert count_parameters(model_1.vit) == 44_103_424 + 50_688
    assert model_1.vit.class_token.numel() + model_1.vit.positions.numel() == 50_688 == 66 * 768


def test_model_2():
    assert count_parameters(build(member("model-2"))) == 71_626_114


@pytest.mark.parametrize(
    ("width", "model_2_millions", "both_megabytes"), [(16, 4.48, 23.5), (24, 10.1, 52.8), (32, 17.9, 93.7)]
)
def test_compact_members(width: int, model_2_millions: float, both_megabytes: float):
    counts = [count_parameters(build(scaled(member(name), width))) for name in ("model-1", "model-2")]
    assert float(f"{counts[1] / 1e6:.3g}") == model_2_millions
    assert round(2 * sum(counts) / 1e6, 1) == both_megabytes


def test_width_16_has_a_sixteenth():
    for name in ("model-1", "model-2"):
        full, narrow = (count_parameters(build(scaled(member(name), width))) for width in (64, 16))
        assert full / narrow == pytest.approx(16, rel=0.01)


def test_neighbouring_slices_add_only_to_the_first_layers():
    one, three = (count_parameters(build(replace(member("model-2"), input_slices=n))) for n in (1, 3))
    assert three - one == 2 * 10 * 64


@pytest.mark.parametrize(("name", "gigaflops"), [("model-1", 46.2), ("model-2", 40.4)])
def test_forward_cost(name: str, gigaflops: float):
    network = build(member(name)).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 128, 128))
    assert round(counter.get_total_flops() / 1e9, 1) == gigaflops


def test_cost_grows_with_the_square_of_the_width():
    costs = []
    for width in (64, 16):
        network = build(scaled(member("model-2"), width)).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 1, 128, 128))
        costs.append(counter.get_total_flops())
    assert costs[0] / costs[1] == pytest.approx(16, rel=0.01)


def test_ablations_leave_parts_out():
    whole = count_parameters(build(NetworkConfig()))
    no_shortcut = count_parameters(build(NetworkConfig(shortcuts=False)))
    # conv1x1 with bias, and its batch norm: io + 3o for each of the nine units.
    units = [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024), (1024, 512), (512, 256), (256, 128), (128, 64)]
    assert whole - no_shortcut == sum(i * o + 3 * o for i, o in units)
    assert count(MultiScaleFusion(128, fusion=False)) == 128 * 64 + 64 + 2 * 64
    no_fusion = count_parameters(build(NetworkConfig(fusion=False)))
    assert whole - no_fusion == 41_789_760 - sum(c * c // 2 + 3 * c // 2 for c in (1024, 512, 256, 128))


def test_every_named_member_is_counted():
    assert set(MEMBERS) == {"model-1", "model-2", "model-1-compact", "model-2-compact"}
    assert MEMBERS["model-2-compact"] == replace(scaled(member("model-2"), 16), input_slices=3)
    assert MEMBERS["model-1-compact"] == replace(scaled(member("model-1"), 16), input_slices=3)
