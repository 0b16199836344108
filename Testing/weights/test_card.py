"""Cards: what is written is read back, and what does not fit is refused by name."""

from __future__ import annotations

import copy
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights import Card, trained_on
from Testing.weights.samples import TRAIN_UIDS, VALIDATION_UIDS, card_data, make_model


def test_json_round_trip_keeps_every_value():
    data = card_data(how_to_get="Train it.", title="Größe 1")
    assert json.loads(Card.from_dict(data).to_json()) == data
    assert list(json.loads(Card.from_dict(data).to_json())) == list(data)


def test_file_round_trip(tmp_path: Path):
    card = Card.from_dict(card_data())
    card.write(tmp_path / "new" / "tiny.json")
    assert Card.read(tmp_path / "new" / "tiny.json") == card
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["tiny.json"]


def test_keys_of_a_later_version_survive():
    card = Card.from_dict(card_data() | {"seconds": {"cpu": 31.5}})
    assert card.to_dict()["seconds"] == {"cpu": 31.5}
    assert card.extra["seconds"]["cpu"] == 31.5


def test_a_card_may_say_what_int8_needs():
    data = card_data() | {"quantisation": {"ranges": {"head": [0.0, 2.5, -9.0, 7.0]}, "validation": {"int8": 0.6}}}
    card = Card.from_dict(data)
    assert card.to_dict() == data and card.quantisation["ranges"]["head"] == (0.0, 2.5, -9.0, 7.0)
    assert Card.from_dict(card_data()).quantisation is None


LAYERS = {"strides": [[1, 1, 1]], "paddings": [[0, 0, 0]]}
SCORED = {"postprocessing__candidate_scorer": {}}


@pytest.mark.parametrize(
    ("quantisation", "finding"),
    [
        ([], "expected `quantisation` to be an object"),
        ({}, "the key `quantisation.ranges` is missing"),
        ({"ranges": {"head": [0, 1, 2]}}, r"expected `quantisation.ranges.head` to be four numbers, got \[0, 1, 2\]"),
        ({"ranges": {"head": [0, 1, 3, 2]}}, "expected `quantisation.ranges.head` to be between 3 and inf, got 2"),
        ({"ranges": {"head": [0, "1", 2, 3]}}, "expected `quantisation.ranges.head` to be a finite number, got '1'"),
    ],
)
def test_ranges_that_do_not_fit_are_refused(quantisation, finding):
    with pytest.raises(WeightsError, match=finding):
        Card.from_dict(card_data() | {"quantisation": quantisation})


def test_card_cannot_be_changed():
    data = card_data()
    card = Card.from_dict(data)
    data["preprocessing"]["clip_hu"][0] = 0
    assert card.preprocessing["clip_hu"] == (-1024, 3071)
    with pytest.raises(TypeError):
        card.metrics["test"]["iou_pos"]["value"] = 1.0
    with pytest.raises(AttributeError):
        card.name = "other"


def test_pickle_copy_and_hash():
    card = Card.from_dict(card_data())
    for twin in (pickle.loads(pickle.dumps(card)), copy.deepcopy(card)):
        assert twin == card
        assert hash(twin) == hash(card)


def test_numpy_numbers_become_json_numbers():
    card = Card.from_dict(card_data(metrics__test={"iou_pos": {"value": np.float32(0.5)}}))
    assert json.loads(card.to_json())["metrics"]["test"]["iou_pos"]["value"] == 0.5


@pytest.mark.parametrize("key", list(card_data()))
def test_missing_key_is_named(key: str, tmp_path: Path):
    data = card_data()
    del data[key]
    path = tmp_path / "card.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(WeightsError) as caught:
        Card.read(path)
    assert f"the key `{key}` is missing" in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("architecture", "widths"),
        ("architecture", "input_slices"),
        ("preprocessing", "normalisation"),
        ("preprocessing", "clip_hu"),
        ("postprocessing", "mask_threshold"),
        ("postprocessing", "candidate_scorer"),
        ("training", "series"),
        ("training", "split"),
    ],
)
def test_missing_inner_key_is_named(part: str, key: str):
    data = card_data()
    del data[part][key]
    with pytest.raises(WeightsError, match=rf"the key `{part}\.{key}` is missing"):
        Card.from_dict(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../evil"}, "`name`"),
        ({"name": "Model 1"}, "`name`"),
        ({"version": "1.0b"}, "`version`"),
        ({"title": " "}, "`title`"),
        ({"parameters": 0}, "`parameters`"),
        ({"parameters": True}, "`parameters`"),
        ({"parameters": 1.5}, "`parameters`"),
        ({"architecture": []}, "`architecture`"),
        ({"architecture__widths": "64"}, "`architecture.widths`"),
        ({"preprocessing__input_slices": 1}, r"`preprocessing.input_slices`.*architecture.input_slices"),
        ({"preprocessing__tile_px": 96}, "`preprocessing.tile_px`"),
        ({"preprocessing__clip_hu": [3071, -1024]}, "`preprocessing.clip_hu`"),
        ({"preprocessing__normalisation": {}}, "`preprocessing.normalisation.method`"),
        ({"postprocessing__mask_threshold": 1.5}, "`postprocessing.mask_threshold`.*between 0 and 1"),
        ({"postprocessing__crop_zooms": [0.8]}, "`postprocessing.crop_zooms`.*1 among them"),
        ({"postprocessing__crop_zooms": [1.0, 9.0]}, "`postprocessing.crop_zooms`.*between 0.5 and 2"),
        ({"postprocessing__coarse_pixel_mm": 3.0}, "`postprocessing.coarse_pixel_mm`.*between 0 and 2"),
        ({"postprocessing__candidate_scorer": 3}, "`postprocessing.candidate_scorer`"),
        ({"postprocessing__reduction": LAYERS}, "`postprocessing.reduction`.*null where `candidate_scorer` is null"),
        ({**SCORED, "postprocessing__reduction": 3}, "`postprocessing.reduction`"),
        ({**SCORED, "postprocessing__reduction": {"strides": []}}, "`postprocessing.reduction.paddings` is missing"),
        ({**SCORED, "postprocessing__reduction": LAYERS | {"strides": [[1, 2]]}}, "`postprocessing.reduction.strides`"),
        ({**SCORED, "postprocessing__reduction": LAYERS | {"paddings": [[0, -1, 0]]}}, "`postprocessing.reduction"),
        ({"training__series__train": ["not a uid"]}, "`training.series.train`"),
        ({"training__series__train": ["1.2", "1.2"]}, r"names each series once.*1\.2"),
        ({"training__series__validation": TRAIN_UIDS[:1]}, f"`training.series.validation`.*{TRAIN_UIDS[0]}"),
        ({"metrics__test__iou_pos": {"value": "high"}}, "`metrics.test.iou_pos.value`"),
        ({"metrics__test__iou_pos__low": 0.61}, "`metrics.test.iou_pos.value`.*between 0.61 and 0.65"),
        ({"metrics__test__iou_pos__value": math.nan}, "`metrics.test.iou_pos.value`.*finite"),
        ({"operating_points": [{"name": "a"}]}, r"`operating_points\[0\].threshold` is missing"),
        ({"operating_points": [{"name": "a", "threshold": 2}]}, r"`operating_points\[0\].threshold`"),
        ({"operating_points": [{"name": "a", "threshold": 0.5}]}, "one default.*0 defaults"),
        ({"url": "https://example.org/a"}, "`url`.*null where `file` is null"),
        ({"url": "gopher://x/y"}, "`url`"),
        ({"sha256": "0" * 64}, "`sha256`.*null"),
        ({"file": "../x.safetensors", "sha256": "0" * 64, "size_bytes": 1}, "`file`.*plain name"),
        ({"file": "x.pt", "sha256": "0" * 64, "size_bytes": 1}, "`file`"),
        ({"file": "x.safetensors", "sha256": "0" * 63, "size_bytes": 1}, "`sha256`"),
        ({"file": "x.safetensors", "sha256": "0" * 64, "size_bytes": 0}, "`size_bytes`"),
        ({"schema": 2}, "layout 2"),
        ({"training__run": object()}, "`training.run`.*JSON value"),
    ],
)
def test_value_that_does_not_fit_is_named(change: dict, said: str):
    with pytest.raises(WeightsError, match=said):
        Card.from_dict(card_data(**change))


def test_weights_without_their_training_series_are_refused():
    change = {"file": "x.safetensors", "sha256": "0" * 64, "size_bytes": 1, "training__series__train": []}
    with pytest.raises(WeightsError, match=r"`training\.series\.train`"):
        Card.from_dict(card_data(**change))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[1]", "expected `card` to be an object"),
        (b'{"schema": NaN}', "NaN"),
        (b"[" * 100_000, "JSON|deeply"),
    ],
)
def test_text_that_is_no_card(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=said) as caught:
        Card.read(path)
    assert caught.value.path == str(path)


def test_missing_card_is_an_error_of_weights(tmp_path: Path):
    with pytest.raises(WeightsError, match="no such card"):
        Card.read(tmp_path / "none.json")


def test_versions_compare_as_numbers():
    def key(version: str) -> tuple[int, ...]:
        return Card.from_dict(card_data(version=version)).version_key

    assert key("0.9.1") < key("0.10") < key("1") == key("1.0.0") < key("1.0.1")


def test_default_operating_point():
    card = Card.from_dict(card_data())
    assert card.default_operating_point["name"] == "balanced"
    assert Card.from_dict(card_data(operating_points=[])).default_operating_point is None


def test_trained_on(tmp_path: Path):
    card = make_model(tmp_path)
    assert trained_on(card, TRAIN_UIDS[1]) == "train"
    assert trained_on(card, VALIDATION_UIDS[0] + "\0") == "validation"
    assert trained_on(card, "1.3.6.1.4.1.14519.5.2.1.6279.6001.4") is None
    assert trained_on(card, TRAIN_UIDS[0][:-1]) is None
    assert trained_on(card, "") is None
