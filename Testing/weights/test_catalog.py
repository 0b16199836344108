"""The catalog: what is found where, which of several cards stands first, and what is said about the rest."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights import Card, find, load_state, locations, models, scan, shipped_folder, user_folder
from Testing.weights.samples import card_data, make_model


def test_models_of_both_folders_by_name(shipped: Path, own: Path):
    make_model(shipped, name="b-model")
    make_model(own, name="a-model")
    Card.from_dict(card_data(name="c-model", how_to_get="Train it.")).write(shipped / "c.json")
    entries = models()
    assert [(e.name, e.available, e.shipped) for e in entries] == [
        ("a-model", True, False),
        ("b-model", True, True),
        ("c-model", False, True),
    ]
    assert entries[1].path == shipped / "b-model.safetensors"
    assert entries[2].path is None
    assert entries[2].remedy == "Train it."


def test_no_folder_at_all(own: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("LungNoduleSegLib.weights.catalog.shipped_folder", lambda: None)
    assert models() == []
    with pytest.raises(WeightsError, match="No model is installed"):
        find("tiny")


def test_unknown_name_lists_the_names_and_a_close_one(shipped: Path, own: Path):
    for name in ("model-1-compact", "model-2-compact"):
        make_model(shipped, name=name)
    with pytest.raises(WeightsError) as caught:
        find("Model-2-Compat")
    text = str(caught.value)
    assert "no model named 'Model-2-Compat'" in text
    assert "Did you mean 'model-2-compact'?" in text
    assert "Models: model-1-compact, model-2-compact." in text
    with pytest.raises(WeightsError) as caught:
        find("zebra")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("shipped_version", "own_version", "winner"),
    [("0.1.0", "0.2.0", "own"), ("0.10.0", "0.9.0", "shipped"), ("0.1.0", "0.1.0", "shipped")],
)
def test_newer_version_stands_first(shipped: Path, own: Path, shipped_version: str, own_version: str, winner: str):
    make_model(shipped, version=shipped_version)
    make_model(own, version=own_version, seed=1)
    (entry,) = models()
    folder, other = (own, shipped) if winner == "own" else (shipped, own)
    assert entry.card_path == folder / "tiny.json"
    assert entry.hides == (other / "tiny.json",)
    load_state(entry)


def test_weights_that_are_there_stand_before_a_newer_card_without(shipped: Path, own: Path):
    Card.from_dict(card_data(version="2.0", how_to_get="Train it.")).write(shipped / "tiny.json")
    make_model(own, version="1.0")
    assert find("tiny").card.version == "1.0"
    assert find("tiny").available


def test_truncated_weights_are_not_available(shipped: Path, own: Path):
    card = make_model(shipped)
    (shipped / "tiny.safetensors").write_bytes(b"short")
    entry = find("tiny")
    assert not entry.available
    assert entry.reason == f"Its weights are damaged: 5 bytes instead of {card.size_bytes}."
    with pytest.raises(WeightsError, match="truncated"):
        load_state(entry)


def test_broken_card_is_reported_and_hides_nothing_else(shipped: Path, own: Path, caplog: pytest.LogCaptureFixture):
    make_model(shipped)
    data = card_data(name="broken")
    del data["licence"]
    own.mkdir()
    (own / "broken.json").write_text(json.dumps(data), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert [entry.name for entry in models()] == ["tiny"]
    assert "`licence` is missing" in caplog.text
    assert [Path(problem.path).name for problem in scan().problems] == ["broken.json"]
    with pytest.raises(WeightsError, match="`licence` is missing"):
        find("broken")


def test_shipped_folder_named_as_the_users_stays_shipped(shipped: Path, monkeypatch: pytest.MonkeyPatch):
    make_model(shipped)
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(shipped))
    (entry,) = models()
    assert entry.shipped
    assert entry.hides == ()


def test_shipped_folder_is_in_the_package_before_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = tmp_path / "site" / "LungNoduleSegLib" / "weights" / "locations.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr(locations, "__file__", str(module))
    assert shipped_folder() is None
    checkout = tmp_path / "site" / "Resources" / "Weights"
    checkout.mkdir(parents=True)
    assert shipped_folder() == checkout.resolve()
    package = tmp_path / "site" / "LungNoduleSegLib" / "Resources" / "Weights"
    package.mkdir(parents=True)
    assert shipped_folder() == package.resolve()


def test_user_folder_by_environment_and_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(tmp_path / "mine"))
    assert user_folder() == tmp_path / "mine"
    assert not user_folder().exists()
    assert user_folder(create=True).is_dir()
    monkeypatch.delenv("LUNGNODULESEG_WEIGHTS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    for platform, folder in (("linux", "xdg"), ("darwin", "Library/Caches"), ("win32", "local")):
        monkeypatch.setattr(sys, "platform", platform)
        assert user_folder() == tmp_path / folder / "lungnoduleseg" / "weights"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert user_folder() == tmp_path / ".cache" / "lungnoduleseg" / "weights"


def test_user_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(tmp_path / "file" / "weights"))
    with pytest.raises(WeightsError, match="LUNGNODULESEG_WEIGHTS"):
        user_folder(create=True)
    assert isinstance(models(), list)
