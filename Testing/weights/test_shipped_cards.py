"""The cards in Resources/Weights belong to the networks of this version."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from LungNoduleSegLib.weights import Card, find, load_state, models
from LungNoduleSegLib.weights.catalog import entry_of

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Weights"
CARDS = sorted(FOLDER.glob("*.json"))
FULL = {"model-1": 115_647_041, "model-2": 71_626_114}


@pytest.fixture(params=CARDS, ids=[path.stem for path in CARDS])
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_card_is_as_this_version_writes_it(path: Path):
    card = Card.read(path)
    assert card.name == path.stem
    assert path.read_text(encoding="utf-8") == card.to_json()


def test_architecture_has_the_parameters_of_the_card(path: Path):
    torch = pytest.importorskip("torch")
    from LungNoduleSegLib.inference.normalise import Normalisation
    from LungNoduleSegLib.networks import MEMBERS, NetworkConfig, build, count_parameters

    card = Card.read(path)
    data = card.to_dict()
    config = NetworkConfig.from_dict(data["architecture"])
    assert config.to_dict() == data["architecture"]
    assert config == MEMBERS[card.name]
    with torch.device("meta"):
        assert count_parameters(build(config)) == card.parameters
    normalisation = data["preprocessing"]["normalisation"]
    assert Normalisation.from_dict(normalisation).to_dict() == normalisation


def test_weights_that_ship_are_whole(path: Path):
    entry = entry_of(Card.read(path), path, shipped=True)
    if entry.card.file is None:
        assert entry.card.how_to_get
        return
    raw = (FOLDER / entry.card.file).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == entry.card.sha256
    state = load_state(entry)
    assert all(value.dtype.name in ("float32", "int64") for value in state.values())


@pytest.mark.parametrize("name", FULL)
def test_full_width_models_are_listed_with_how_to_train_them(name: str, own: Path):
    assert name in [entry.name for entry in models()]
    entry = find(name)
    assert entry.card.parameters == FULL[name]
    if not entry.available:
        assert f"training train {name}" in entry.remedy


def test_shipped_files_together_fit_a_slicer_extension():
    files = [path for path in FOLDER.iterdir() if path.suffix in (".json", ".safetensors")]
    assert sum(path.stat().st_size for path in files) <= 30_000_000
    named = {json.loads(path.read_text(encoding="utf-8"))["file"] for path in CARDS} - {None}
    assert named == {path.name for path in files if path.suffix == ".safetensors"}
