"""The user's folder: import, remove, clear; shipped files are never touched."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights import Card, clear, find, import_file, load_state, models, remove
from Testing.weights.samples import card_data, make_model


@pytest.fixture
def source(tmp_path: Path, shipped: Path, own: Path) -> Path:
    """A folder with a model that is neither shipped nor in the user's folder."""
    folder = tmp_path / "source Ω"
    make_model(folder)
    return folder


def zipped(path: Path, *members: tuple[Path, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, name in members:
            archive.write(file, name)
    return path


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") if folder.exists() else []


@pytest.mark.parametrize("name", ["tiny.safetensors", "tiny.json"])
def test_import_of_a_pair(source: Path, own: Path, name: str):
    entry = import_file(source / name)
    assert visible(own) == ["tiny-0.1.0.json", "tiny-0.1.0.safetensors"]
    assert find("tiny") == entry
    load_state(entry)
    assert visible(source) == ["tiny.json", "tiny.safetensors"]


def test_import_of_weights_whose_card_has_another_name(source: Path, own: Path):
    (source / "aaa.json").write_text("{}")
    (source / "tiny.json").rename(source / "card of tiny.json")
    assert import_file(source / "tiny.safetensors").name == "tiny"


@pytest.mark.parametrize("inside", ["", "folder/", "../../"])
def test_import_of_an_archive(source: Path, own: Path, tmp_path: Path, inside: str):
    hidden = tmp_path / "hidden"
    hidden.write_text("what macOS adds")
    archive = zipped(
        tmp_path / "model.zip",
        (source / "tiny.json", f"{inside}tiny.json"),
        (source / "tiny.safetensors", f"{inside}tiny.safetensors"),
        (hidden, "__MACOSX/._tiny.json"),
    )
    load_state(import_file(archive))
    assert visible(own) == ["tiny-0.1.0.json", "tiny-0.1.0.safetensors"]


def test_damaged_weights_are_not_imported(source: Path, own: Path):
    raw = bytearray((source / "tiny.safetensors").read_bytes())
    raw[50] ^= 1
    (source / "tiny.safetensors").write_bytes(raw)
    with pytest.raises(WeightsError, match="damaged") as caught:
        import_file(source / "tiny.safetensors")
    assert caught.value.path == str(source / "tiny.safetensors")
    assert visible(own) == []


def test_archive_that_unpacks_to_more_is_read_no_further(source: Path, own: Path, tmp_path: Path):
    huge = tmp_path / "huge"
    with huge.open("wb") as handle:
        handle.truncate(50_000_000)
    archive = zipped(tmp_path / "m.zip", (source / "tiny.json", "tiny.json"), (huge, "tiny.safetensors"))
    size = (source / "tiny.safetensors").stat().st_size
    with pytest.raises(WeightsError, match=f"{size + 1} bytes"):
        import_file(archive)
    assert visible(own) == []


def test_archive_without_one_of_the_two(source: Path, tmp_path: Path, own: Path):
    with pytest.raises(WeightsError, match=r"does not hold the weights tiny\.safetensors"):
        import_file(zipped(tmp_path / "a.zip", (source / "tiny.json", "tiny.json")))
    with pytest.raises(WeightsError, match="0 cards instead of one"):
        import_file(zipped(tmp_path / "b.zip", (source / "tiny.safetensors", "tiny.safetensors")))
    (tmp_path / "c.zip").write_bytes(b"PK no archive")
    with pytest.raises(WeightsError, match="archive cannot be read"):
        import_file(tmp_path / "c.zip")
    members = [(source / name, name) for name in ("tiny.json", "tiny.safetensors")]
    archive = zipped(tmp_path / "d.zip", *members)
    raw = bytearray(archive.read_bytes())
    at = raw.index(b"PK\3\4", 10) + 200  # inside the packed weights
    raw[at : at + 20] = bytes(20)
    archive.write_bytes(raw)
    with pytest.raises(WeightsError, match="archive cannot be read"):
        import_file(archive)
    assert visible(own) == []


def test_what_is_missing_is_named(source: Path, tmp_path: Path):
    with pytest.raises(WeightsError, match="no such file"):
        import_file(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match=r"ends in '.pt'"):
        (tmp_path / "x.pt").write_bytes(b"")
        import_file(tmp_path / "x.pt")
    (source / "tiny.json").rename(tmp_path / "away.json")
    with pytest.raises(WeightsError, match=r"card is not beside it.*tiny\.json"):
        import_file(source / "tiny.safetensors")
    with pytest.raises(WeightsError, match=r"tiny\.safetensors are not beside their card"):
        import_file(tmp_path / "away.json")
    Card.from_dict(card_data()).write(tmp_path / "empty.json")
    with pytest.raises(WeightsError, match="names no weights"):
        import_file(tmp_path / "empty.json")


def test_second_import_of_the_same_changes_nothing(source: Path, own: Path):
    first = import_file(source / "tiny.json")
    before = first.path.stat().st_mtime_ns
    assert import_file(source / "tiny.json") == first
    assert first.path.stat().st_mtime_ns == before


def test_other_content_of_the_same_version_is_refused(source: Path, own: Path, shipped: Path):
    import_file(source / "tiny.json")
    make_model(source, seed=1)
    with pytest.raises(WeightsError, match=r"another content of tiny 0.1.0"):
        import_file(source / "tiny.json")
    make_model(source, seed=1, version="0.2.0")
    assert import_file(source / "tiny.json").card.version == "0.2.0"
    assert find("tiny").card.version == "0.2.0"


def test_older_version_would_not_be_used(source: Path, shipped: Path, own: Path):
    make_model(shipped, version="1.0", seed=1)
    with pytest.raises(WeightsError, match=r"would not be used: version 1.0"):
        import_file(source / "tiny.json")
    assert visible(own) == []


def test_weights_for_a_model_that_ships_without(source: Path, shipped: Path, own: Path):
    Card.from_dict(card_data(version="1.0", how_to_get="Train it.")).write(shipped / "tiny.json")
    import_file(source / "tiny.json")
    assert find("tiny").available


def test_import_into_a_damaged_copy_mends_it(source: Path, own: Path):
    entry = import_file(source / "tiny.json")
    entry.path.write_bytes(b"short")
    assert not find("tiny").available
    assert import_file(source / "tiny.json").available
    load_state(find("tiny"))


@pytest.mark.parametrize("place", ["shipped", "own"])
def test_damage_that_keeps_the_size_is_mended(source: Path, shipped: Path, own: Path, place: str):
    entry = import_file(source / "tiny.json")
    if place == "shipped":
        make_model(shipped)
        clear()
        entry = find("tiny")
    raw = bytearray(entry.path.read_bytes())
    raw[-1] ^= 1
    entry.path.write_bytes(raw)
    with pytest.raises(WeightsError, match="Import the weights again"):
        load_state(find("tiny"))
    import_file(source / "tiny.json")
    load_state(find("tiny"))


def test_remove_takes_every_version_and_part_of_one_model(source: Path, own: Path):
    import_file(source / "tiny.json")
    make_model(source, version="0.2.0", seed=1)
    import_file(source / "tiny.json")
    make_model(own, name="tiny-other", version="0.1.0")
    (own / ".tiny-0.3.0.0123456789ab.part").write_bytes(b"half")
    (own / ".tiny-other-0.1.0.0123456789ab.part").write_bytes(b"half")
    (own / "notes.txt").write_text("mine")
    removed = remove("tiny")
    assert sorted(path.name for path in removed) == [
        ".tiny-0.3.0.0123456789ab.part",
        "tiny-0.1.0.json",
        "tiny-0.1.0.safetensors",
        "tiny-0.2.0.json",
        "tiny-0.2.0.safetensors",
    ]
    left = [".tiny-other-0.1.0.0123456789ab.part", "notes.txt", "tiny-other.json", "tiny-other.safetensors"]
    assert visible(own) == left


def test_shipped_weights_are_never_removed(shipped: Path, own: Path, monkeypatch: pytest.MonkeyPatch):
    make_model(shipped)
    make_model(own, version="2.0")
    remove("tiny")
    assert find("tiny").shipped
    with pytest.raises(WeightsError, match=r"no file in the user's folder.*stay with the program"):
        remove("tiny")
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(shipped))
    for deed in (lambda: remove("tiny"), clear):
        with pytest.raises(WeightsError, match="never removed"):
            deed()
    load_state(find("tiny"))


def test_remove_of_an_unknown_model(shipped: Path, own: Path):
    make_model(shipped)
    with pytest.raises(WeightsError, match=r"no model named 'tinny'.*'tiny'"):
        remove("tinny")


def test_clear_removes_models_and_parts_only(source: Path, shipped: Path, own: Path):
    make_model(shipped, name="shipped")
    import_file(source / "tiny.json")
    (own / ".tiny-0.3.0.0123456789ab.part").write_bytes(b"half")
    (own / "notes.txt").write_text("mine")
    assert len(clear()) == 3
    assert visible(own) == ["notes.txt"]
    assert [entry.name for entry in models()] == ["shipped"]
    assert clear() == []


def test_folder_that_cannot_be_written(source: Path, own: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_) -> None:
        raise PermissionError(13, "Permission denied", str(own))

    monkeypatch.setattr("shutil.copyfile", refused)
    with pytest.raises(WeightsError, match=r"cannot be written.*LUNGNODULESEG_WEIGHTS") as caught:
        import_file(source / "tiny.json")
    assert caught.value.path == str(own / "tiny-0.1.0.safetensors")


def test_source_that_cannot_be_read(source: Path, own: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_) -> None:
        raise OSError(5, "Input/output error", str(source / "tiny.safetensors"))

    monkeypatch.setattr("shutil.copyfile", refused)
    with pytest.raises(WeightsError, match="cannot be read") as caught:
        import_file(source / "tiny.json")
    assert caught.value.path == str(source / "tiny.safetensors")
    assert visible(own) == []
