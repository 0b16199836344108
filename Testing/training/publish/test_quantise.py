"""A card gets what int8 needs, unless that costs too much."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleSegLib.networks import MEMBERS, scaled, state_shapes
from LungNoduleSegLib.weights import Card
from Testing.training.synthetic import TRAIN, VALIDATION, disc_crops
from Testing.weights.samples import card_data
from training.publish import quantise as module
from training.publish.quantise import quantise, quantised

pytest.importorskip("onnxruntime")

CONFIG = replace(scaled(MEMBERS["model-2"], 2), input_slices=3)


@pytest.fixture(scope="module")
def state():
    rng = np.random.default_rng(0)
    found = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in state_shapes(CONFIG).items()}
    return {name: np.abs(array) + 0.5 if name.endswith("running_var") else array for name, array in found.items()}


@pytest.fixture
def card():
    preprocessing = {**card_data()["preprocessing"], "tile_px": CONFIG.input_px, "input_slices": 3}
    return Card.from_dict(card_data() | {"architecture": CONFIG.to_dict(), "preprocessing": preprocessing})


def judged(monkeypatch, **figures):
    """The validation patients say so, by precision."""
    monkeypatch.setattr(module, "_validated", lambda card, state, crops, index, precision: figures[precision])


def test_ranges_and_what_they_cost_go_into_the_card(card, state, monkeypatch):
    crops, usual, tried = disc_crops((TRAIN, VALIDATION)), module.engine_of, []

    def engine_of(*parts, **options):
        tried.append(usual(*parts, **options))
        return tried[-1]

    monkeypatch.setattr(module, "engine_of", engine_of)
    found = quantised(card, state, crops, [])
    assert [engine.precision for engine in tried] == ["float32", "int8"]
    again = Card.from_json(found.to_json())
    assert again == found and replace(found, quantisation=None) == card
    assert "head" in found.quantisation["ranges"] and len(found.quantisation["ranges"]["head"]) == 4
    figures = found.quantisation["validation"]
    assert figures["images"] == len(crops.on_side("validation")) and 0 < figures["float32"] < 1


@pytest.mark.parametrize(("int8", "kept"), [(0.695, True), (0.71, True), (0.694, False), (-np.inf, False)])
def test_a_model_that_loses_too_much_gets_none(card, state, monkeypatch, int8, kept):
    judged(monkeypatch, float32=0.7, int8=int8)
    earlier = replace(card, quantisation={"ranges": {}})
    found = quantised(earlier, state, disc_crops((TRAIN, VALIDATION)), [])
    assert (found.quantisation is not None) == kept and (kept or found == card)


def test_without_validation_patients_nothing_tells(card, state, monkeypatch):
    judged(monkeypatch, float32=0.7, int8=0.7)
    assert quantised(card, state, disc_crops((TRAIN,)), []).quantisation is None


def test_the_card_in_the_folder_is_written(card, state, monkeypatch, tmp_path):
    judged(monkeypatch, float32=0.7, int8=0.7)
    monkeypatch.setattr(module, "shipped", lambda name, folder: (card, None))
    monkeypatch.setattr(module, "load_state", lambda entry: state)
    sources = SimpleNamespace(crops=lambda: disc_crops((TRAIN, VALIDATION)), scans=list)
    written = quantise("tiny", tmp_path, sources)
    assert Card.read(tmp_path / "tiny.json") == written and written.quantisation["validation"]["int8"] == 0.7
