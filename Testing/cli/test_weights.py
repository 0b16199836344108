"""``weights``: a model goes into the user's folder, is checked there, and leaves it again."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import pytest

from LungNoduleSegLib.weights import Card, catalog, find
from Testing.cli.tiny import write_store
from Testing.weights.samples import make_model
from Testing.weights.server import Behaviour, Server


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which does not exist yet; nothing is shipped."""
    folder = tmp_path / "own"
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(folder))
    monkeypatch.setattr(catalog, "shipped_folder", lambda: None)
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Folder with a model as training writes it."""
    folder = tmp_path / "made"
    folder.mkdir()
    write_store(folder)
    return folder


def test_import_verify_remove(cli, own, made):
    assert find_names() == []
    ended = cli("weights", "import", made / "tiny.safetensors")
    assert ended.code == 0, ended.err
    assert str(own) in ended.out
    assert find("tiny").available
    assert "sound" in cli("weights", "verify").out
    assert cli("weights", "folder").out.strip() == str(own)
    assert cli("weights", "remove", "tiny").code == 0
    assert find_names() == []


def find_names() -> list[str]:
    return [entry.name for entry in catalog.scan().entries]


def test_verify_names_the_damaged_file(cli, own, made):
    cli("weights", "import", made / "tiny.safetensors")
    path = find("tiny").path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    ended = cli("weights", "verify")
    assert ended.code == 2
    assert "tiny" in ended.err and "SHA-256" in ended.err


def test_import_of_something_else_changes_nothing(cli, own, tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"no model")
    ended = cli("weights", "import", tmp_path / "holiday.jpg")
    assert ended.code == 2
    assert "holiday.jpg" in ended.err
    assert not own.exists()


def test_download_asks_first(cli, own, tmp_path, monkeypatch):
    content = tmp_path / "content"
    content.mkdir()
    make_model(content)
    behaviour = Behaviour((content / "tiny.safetensors").read_bytes())
    monkeypatch.setenv("no_proxy", "*")
    with closing(Server(behaviour)) as server:
        own.mkdir()
        card = Card.read(content / "tiny.json")
        Card.from_dict(card.to_dict() | {"url": server.url}).write(own / "tiny.json")
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        refused = cli("weights", "download", "tiny")
        assert refused.code != 0
        assert "127.0.0.1" in refused.out + refused.err
        assert behaviour.seen == []
        assert not find("tiny").available
        ended = cli("weights", "download", "tiny", "--yes")
        assert ended.code == 0, ended.err
        assert find("tiny").available
