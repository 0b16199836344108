"""Where training data comes from, where caches and runs go, and the log of looks at the test patients."""

from __future__ import annotations

import json

import pytest

from LungNoduleSegLib.errors import InputError
from training.publish.looks import FILE, log_look
from training.sources import Sources


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("LUNGNODULESEG_DATA", raising=False)
    monkeypatch.delenv("LUNGNODULESEG_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))


def test_arguments_come_before_the_environment(tmp_path, monkeypatch):
    for name in ("data", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("LUNGNODULESEG_DATA", str(tmp_path / "other"))
    monkeypatch.setenv("LUNGNODULESEG_CACHE", str(tmp_path / "cache"))
    found = Sources.find()
    assert (found.data, found.cache) == (tmp_path / "other", tmp_path / "cache")
    found = Sources.find(tmp_path / "data", tmp_path / "elsewhere")
    assert (found.data, found.cache) == (tmp_path / "data", tmp_path / "elsewhere")


def test_the_cache_lies_in_the_home_folder_otherwise(tmp_path):
    found = Sources.find(tmp_path)
    assert found.cache == tmp_path / "home" / ".cache" / "lungnoduleseg"
    assert found.run("a") == found.cache / "runs" / "a"
    assert not found.cache.exists(), "finding must not write"


def test_no_data_names_both_remedies():
    with pytest.raises(InputError, match="no training data") as caught:
        Sources.find()
    assert "--data" in str(caught.value)
    assert "LUNGNODULESEG_DATA" in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist") as caught:
        Sources.find(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value)


def test_every_look_is_a_line(tmp_path):
    folder = tmp_path / "cache"
    log_look(folder, "first", {"iou_pos": {"value": 0.5}})
    log_look(folder, "second", {"iou_pos": {"value": 0.6}})
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    assert [line["run"] for line in lines] == ["first", "second"]
    assert lines[1]["figures"] == {"iou_pos": {"value": 0.6}}
    assert all(line["time"].endswith("Z") for line in lines)
