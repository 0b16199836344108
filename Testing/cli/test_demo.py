"""The demo: Dice by hand, and a run with a label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleSegLib.cli import demo as demo_module
from LungNoduleSegLib.cli import sample_data
from LungNoduleSegLib.cli.demo import agreement, read_label
from LungNoduleSegLib.errors import InputError
from Testing.cli.conftest import Ended
from Testing.cli.tiny import NODULES, phantom


def test_agreement_by_hand():
    labels = np.zeros((1, 4, 10), np.uint16)
    truth = np.zeros(labels.shape, bool)
    truth[0, 0, :6] = True  # 6 voxels
    labels[0, 0, :2] = 2  # 2 of them, 2 elsewhere
    labels[0, 1, :2] = 2
    labels[0, 0, 3:6] = 1  # 3 of them, 1 elsewhere
    labels[0, 2, 0] = 1
    found = agreement(labels, truth)
    assert found.overlapping == 1
    assert found.dice == pytest.approx(2 * 3 / (6 + 4))
    assert found.dice_all == pytest.approx(2 * 5 / (6 + 8))


def test_agreement_of_a_miss_and_of_nothing():
    truth = np.zeros((1, 1, 5), bool)
    truth[0, 0, 0] = True
    labels = np.zeros(truth.shape, np.uint16)
    assert agreement(labels, truth) == demo_module.Agreement(None, 0.0, 0.0)
    labels[0, 0, 4] = 1
    assert agreement(labels, truth).overlapping is None
    assert agreement(np.zeros_like(labels), np.zeros_like(truth)).dice_all == 1.0


def label_volume(path: Path, *, shift_mm: float = 0.0) -> np.ndarray:
    ct = phantom()
    k, j, i = np.indices(ct.shape, sparse=True)
    nk, nj, ni, radius = NODULES[0]
    truth = ((k - nk) * 3.0) ** 2 + ((j - nj) * 0.9) ** 2 + ((i - ni) * 0.9) ** 2 <= radius**2
    image = sitk.GetImageFromArray(truth.astype(np.uint8))
    image.CopyInformation(ct.to_sitk())
    image.SetOrigin(np.add(image.GetOrigin(), (shift_mm, 0, 0)).tolist())
    sitk.WriteImage(image, str(path))
    return truth


def test_label_must_lie_on_the_grid_of_the_ct(tmp_path):
    truth = label_volume(tmp_path / "label.nrrd")
    assert np.array_equal(read_label(tmp_path / "label.nrrd", phantom()), truth)
    label_volume(tmp_path / "shifted.nrrd", shift_mm=1.0)
    with pytest.raises(InputError, match=r"shifted\.nrrd: lies on another grid"):
        read_label(tmp_path / "shifted.nrrd", phantom())


@pytest.fixture
def run_demo(capsys, store, monkeypatch):
    import typer

    import LungNoduleSegLib.weights as weights

    known = weights.models
    # Shipped models would make this a test of minutes; which model runs does not matter here.
    monkeypatch.setattr(weights, "models", lambda: [entry for entry in known() if entry.name in ("tiny", "absent")])
    app = typer.Typer()
    app.command()(demo_module.demo)

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


def test_demo_prints_table_dice_and_picture(run_demo, phantom_path, tmp_path, monkeypatch, quick_outputs):
    label_volume(tmp_path / "label.nrrd")
    monkeypatch.setattr(
        sample_data, "fetch_sample", lambda say: sample_data.Sample(phantom_path, tmp_path / "label.nrrd")
    )
    ended = run_demo("--output", tmp_path / "demo", "--device", "cpu")
    assert ended.code == 0, ended.err
    dice = float(ended.out.split("Dice ")[1].split()[0])
    assert dice > 0.9  # round, bright, alone: the hand-made network hardly can miss it
    assert "of all 2 found" in ended.out
    picture = tmp_path / "demo" / "tiny" / "overview.png"
    assert f"Picture: {picture}" in ended.out
    assert picture.is_file()
    assert not (tmp_path / "demo" / "absent").exists()


def test_demo_takes_a_local_ct(run_demo, phantom_path, tmp_path, monkeypatch, quick_outputs):
    monkeypatch.setattr(sample_data, "fetch_sample", lambda say: pytest.fail("fetched in spite of a local CT"))
    for arguments in (["--ct", phantom_path], [phantom_path]):
        ended = run_demo("-o", tmp_path / "demo", "--device", "cpu", *arguments)
        assert ended.code == 0, ended.err
        assert "Dice" not in ended.out


def test_demo_without_any_weights_says_how_to_get_them(run_demo, monkeypatch, tmp_path, phantom_path):
    import LungNoduleSegLib.weights as weights

    monkeypatch.setattr(weights, "models", list)
    ended = run_demo("--ct", phantom_path, "-o", tmp_path / "demo")
    assert ended.code == 2
    assert "lungnoduleseg models" in ended.err
    assert not (tmp_path / "demo").exists()
