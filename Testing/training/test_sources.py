"""Where training data comes from, where caches and runs go, and the log of looks at the test patients."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleSegLib.errors import InputError
from training.cli.data import summary
from training.data.split import side
from training.prepare import work
from training.prepare.run import prepare
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


def test_a_prepared_cache_needs_no_data(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match="no training data"):
        Sources.find(cache=cache)
    ct, labels = np.full((3, 140, 150), -850, np.int16), np.zeros((3, 140, 150), np.uint8)
    ct[1, 60:70, 60:70], labels[1, 60:70, 60:70] = 20, 1
    for name, values in (("case.nrrd", ct), ("case.seg.nrrd", labels)):
        sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / name))
    monkeypatch.setattr(work, "lung_mask", lambda ct: ct.hu < -500)
    prepare(tmp_path, cache, progress=False)
    found = Sources.find(cache=cache)
    assert found.prepared
    assert found.crops().patients.tolist() == ["case"]
    assert [scan.patient for scan in found.scans()] == (["case"] if side("case") == "train" else [])
    about = found.description()
    assert about["sources"]["cases of the user (CT and segmentation)"]["crops"] == 1
    assert json.dumps(about), "goes into a model card"
    assert "skipped" in about
    assert "missing" not in about, "lists that grow with the data stay out of cards"
    assert Sources.find(tmp_path, cache).data == tmp_path


def test_what_was_done_is_known_without_preparing(tmp_path):
    found = Sources.find(tmp_path)
    assert not found.prepared
    about = found.description()
    assert about["hu"]["clip"] == [-1024, 3071]
    assert about["split"]["unit"] == "patient"
    assert about["versions"]["numpy"] == np.__version__


def test_prepare_says_what_it_did(tmp_path):
    lines = summary(
        {
            "remarks": {"dicom-a": ["given twice"]},
            "sources": {"complete scans": {"items": 1, "crops": 4, "cut_off": 0}},
            "crops_in_all": {"sides": {"train": {"crops": 4, "patients": 1, "positive": 3}}},
            "missing": {"annotated_series": 1018, "complete": 1, "missing": 1017},
        },
        [{"what": "b", "reason": "incomplete"}],
    )
    assert lines == [
        "skipped: b: incomplete",
        "note: dicom-a: given twice",
        "complete scans: 1 items, 4 crops",
        "train: 4 crops of 1 patients, 3 with a nodule of more than 8 pixels",
        "complete series of LIDC-IDRI: 1 of 1018; 1017 are missing (named in dataset.json)",
    ]
