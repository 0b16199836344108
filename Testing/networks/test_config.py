"""Configurations are checked where they enter, and pass through JSON unchanged."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from LungNoduleSegLib.networks import MEMBERS, NetworkConfig, ViTConfig, member, scaled


@pytest.mark.parametrize("name", list(MEMBERS))
def test_json_round_trip(name: str):
    config = member(name)
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_scse_places_have_one_order():
    assert NetworkConfig(scse=("bottleneck", "encoder")) == NetworkConfig(scse=("encoder", "bottleneck"))


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        member("model-1").input_slices = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": (64, 128, 256, 512)}, "five widths"),
        ({"widths": (8, 16, 32, 64, 120)}, "double from level to level"),
        ({"widths": (0, 0, 0, 0, 0)}, "five widths"),
        ({"scse": ("skip",)}, "places out of"),
        ({"input_slices": 2}, "odd and positive, got 2"),
        ({"input_slices": -1}, "odd and positive, got -1"),
        ({"input_px": 100}, "multiple of 16, got 100"),
        ({"input_px": 0}, "multiple of 16, got 0"),
    ],
)
def test_value_that_does_not_fit(change: dict, said: str):
    with pytest.raises(ValueError, match=said):
        NetworkConfig(**change)


@pytest.mark.parametrize("values", [(100, 6, 12), (0, 6, 1), (96, 0, 1), (96, 6, 0)])
def test_transformer_that_does_not_fit(values: tuple[int, int, int]):
    with pytest.raises(ValueError, match="multiple of its heads"):
        ViTConfig(*values)


@pytest.mark.parametrize("data", [{"depth": 3}, {"vit": {"layers": 6}}], ids=["network", "vit"])
def test_unknown_keys_are_refused(data: dict):
    name = next(iter(data.get("vit", data)))
    with pytest.raises(ValueError, match=name):
        NetworkConfig.from_dict(data)


def test_unknown_member_names_the_known_ones():
    with pytest.raises(ValueError, match=r"model-1, model-2, model-1-compact, model-2-compact, got 'model-3'"):
        member("model-3")


@pytest.mark.parametrize("width", [0, -8, 9])
def test_width_that_does_not_fit(width: int):
    with pytest.raises(ValueError, match=f"got {width}"):
        scaled(member("model-2"), width)


@pytest.mark.parametrize("width", range(2, 66, 2))
def test_every_even_width_scales_the_transformer_too(width: int):
    config = scaled(member("model-1"), width)
    assert config.widths[0] == width
    assert config.vit.dim == 768 * width // 64
    assert config.vit.depth == 6
    if width % 16 == 0:
        assert config.vit.dim == 64 * config.vit.heads


def test_full_width_is_the_member_itself():
    for name in ("model-1", "model-2"):
        assert scaled(member(name), 64) == member(name)
