"""A card in a folder is taken only with the catalog's weights of that card."""

from __future__ import annotations

import json

import pytest

from LungNoduleSegLib.errors import InputError
from Testing.cli.tiny import write_store
from training.publish.shipped import shipped


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_store(tmp_path)
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(tmp_path))
    return tmp_path


def test_card_and_entry_are_of_the_same_weights(folder):
    card, entry = shipped("tiny", folder)
    assert card.name == entry.card.name == "tiny"
    assert card.sha256 == entry.card.sha256


def test_other_weights_of_this_name_are_refused(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    data = json.loads((folder / "tiny.json").read_text())
    (other / "tiny.json").write_text(json.dumps({**data, "sha256": "a" * 64}))
    with pytest.raises(InputError, match="another file") as caught:
        shipped("tiny", other)
    assert "LUNGNODULESEG_WEIGHTS" in caught.value.remedy
