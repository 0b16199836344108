"""One batch of every experiment, and what a run leaves behind."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from LungNoduleSegLib.errors import InputError
from Testing.training.synthetic import TEST, TRAIN, VALIDATION, disc_crops, made_scan
from training.engine.architecture import build_any, config_from_dict
from training.metrics import iou
from training.report.results import read_results
from training.studies import results, runner
from training.studies.definitions import NEEDS
from training.studies.fitting import run_config
from training.studies.plan import Settings, plan
from training.studies.runner import STATE, Material, execute
from training.studies.trial import trial

TINY = Settings(samples=4, batch_size=4, width=2, px=32)
ONE_OF_EACH = [run for run in plan("all", TINY) if run.seed == 0 and run.px <= 128 and run.protocol == "patient"]


def the(name: str, settings: Settings = TINY):
    return next(run for run in plan("all", settings) if run.name == name)


@pytest.mark.parametrize("run", ONE_OF_EACH, ids=lambda run: f"{run.study}-{run.row}")
def test_one_batch_of_every_experiment(run, material: Material, tmp_path):
    facts = execute(run, lambda: material, tmp_path, say=lambda line: None)
    assert facts["samples"] == run.settings.samples
    assert np.isfinite([entry["loss"] for entry in facts["validation_log"]]).all()
    assert 0 <= facts["iou_pos"] <= 1
    (read,) = read_results(tmp_path)  # the report reads it
    assert (read.study, read.row, read.seed, read.protocol) == (run.study, run.row, 0, "patient")


@pytest.fixture(scope="module")
def finished(material: Material, tmp_path_factory: pytest.TempPathFactory):
    """Folder, run and facts of one run; not to be changed."""
    folder, run = tmp_path_factory.mktemp("results"), the("A/encoder/seed-0")
    return folder, run, execute(run, lambda: material, folder, say=lambda line: None)


def test_files_of_a_run(finished, material: Material):
    folder, run, facts = finished
    target = run.folder(folder)
    assert target == folder / "A" / "encoder" / "seed-0"
    assert json.loads((target / "run.json").read_text()) == facts
    for name in ("config", "parameters", "samples", "seconds_training", "images_a_second", "validation_log",
                 "ms_per_image", "size_bytes", "threads", "cpu", "versions", "scale", "protocol"):  # fmt: skip
        assert facts[name] not in (None, "", []), name
    with gzip.open(target / "images.csv.gz", "rt", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == list(results.COLUMNS)
    index = material.crops.on_side("test")
    assert len(lines) == len(index[material.crops.positive[index]])
    assert {line["patient"] for line in lines} == {TEST}
    assert len({(line["nodule"], line["slice"]) for line in lines}) == len(lines)
    counts = np.array([[int(line[n]) for n in ("tp", "fp", "fn")] for line in lines])
    assert (counts[:, 0] + counts[:, 2] == [int(line["area_px"]) for line in lines]).all()
    assert iou(counts).mean() == pytest.approx(facts["iou_pos"], abs=1e-4)
    bins = json.loads((target / "calibration.json").read_text())
    assert len(bins["counts"]) == len(bins["positives"]) == 20
    assert sum(bins["counts"]) == len(lines) * run.px**2
    assert sum(bins["positives"]) == counts[:, [0, 2]].sum()
    assert not (target / STATE).exists(), "checkpoints of a finished run are in the way"


def test_weights_of_a_run_give_its_figures_again(finished, material: Material):
    folder, run, facts = finished
    target = run.folder(folder)
    network = build_any(config_from_dict(facts["config"]["network"]))
    state = load_file(target / "weights.safetensors")
    network.load_state_dict({n: torch.from_numpy(v.astype(np.float32) if v.dtype == np.float16 else v)
                             for n, v in state.items()})  # fmt: skip
    again = runner.test(network.eval(), run, material)
    assert again.iou().mean() == pytest.approx(facts["iou_pos"], abs=0.02)  # float16


def test_a_finished_run_is_left_alone(finished):
    folder, run, _ = finished
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}

    def never() -> Material:
        raise AssertionError("data was read for a finished run")

    said: list[str] = []
    assert execute(run, never, folder, say=said.append) is None
    assert said == ["A/encoder/seed-0: finished before"]
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


def test_a_finished_run_made_otherwise_is_refused(finished, material: Material):
    folder, run, _ = finished
    other = replace(run, settings=replace(run.settings, samples=8))
    with pytest.raises(InputError, match=r"other settings.*--results"):
        execute(other, lambda: material, folder)


def test_an_interrupted_run_goes_on_to_the_same_result(material: Material, tmp_path, monkeypatch):
    """Killed after two of four batches: the rest is trained, not the whole, and the images come out the same."""
    settings = replace(TINY, samples=16)
    run = the("B/model-1/seed-0", settings)
    whole = execute(run, lambda: material, tmp_path / "whole", say=lambda line: None)

    from training.engine.trainer import Trainer

    steps: list[int] = []
    train_step = Trainer._train_step

    def counted(self, *args):
        steps.append(self.step)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return train_step(self, *args)

    monkeypatch.setattr(Trainer, "_train_step", counted)
    with pytest.raises(KeyboardInterrupt):
        execute(run, lambda: material, tmp_path / "killed", say=lambda line: None)
    assert not (run.folder(tmp_path / "killed") / "run.json").exists()
    again = execute(run, lambda: material, tmp_path / "killed", say=lambda line: None)
    assert steps == [0, 1, 2, 2, 3]
    assert again["iou_pos"] == whole["iou_pos"]
    images = [run.folder(tmp_path / n) / "images.csv.gz" for n in ("whole", "killed")]
    assert images[0].read_bytes() == images[1].read_bytes()


def test_rows_of_different_seeds_differ(material: Material, tmp_path):
    seen = [execute(the(f"A/none/seed-{n}"), lambda: material, tmp_path, say=lambda line: None) for n in (0, 1)]
    assert seen[0]["validation_log"][-1]["loss"] != seen[1]["validation_log"][-1]["loss"]


def test_what_a_smaller_window_cuts_off_counts_as_missed(tmp_path):
    """Discs of 5 to 10 px radius in 16-px windows: the truth of an image is the whole consensus all the same."""
    crops = disc_crops((TRAIN, VALIDATION, TEST), seed=3)
    run = the("A/none/seed-0", replace(TINY, px=16))
    execute(run, lambda: Material(crops, []), tmp_path, say=lambda line: None)
    lines = results.read_images(run.folder(tmp_path))
    index = crops.on_side("test")
    index = index[crops.positive[index]]
    assert [int(line["area_px"]) for line in lines] == crops.consensus_px[index].tolist()
    assert any(int(line["tp"]) + int(line["fn"]) > 16 * 16 * 0.9 for line in lines)


def test_scans_of_test_patients_give_negatives_and_are_not_trained_on(material: Material, tmp_path):
    scans = [made_scan(), made_scan(patient=TEST)]
    data = Material(material.crops, scans)
    assert [s.patient for s in data.on_side("train")] == [TRAIN]
    run = the("A/none/seed-0")
    facts = execute(run, lambda: data, tmp_path, say=lambda line: None)
    lines = [line for line in results.read_images(run.folder(tmp_path)) if line["source"] == "lung"]
    assert facts["n_negatives"] == len(lines) > 0
    assert facts["n_negative_patients"] == 1
    assert {line["patient"] for line in lines} == {TEST}
    assert {line["area_px"] for line in lines} == {"0"} and {line["mean_probability_in_truth"] for line in lines} == {
        ""
    }
    assert all(line["tp"] == line["fn"] == "0" for line in lines)
    assert len({(line["nodule"], line["slice"]) for line in lines}) == len(lines)
    (read,) = read_results(tmp_path)
    assert read.images.negative.sum() == len(lines)


def test_a_run_on_the_leaky_split_says_so_and_lies_apart(tmp_path):
    """Test images are other slices of nodules that were trained on; a scan of a test patient is no negative there."""
    crops = disc_crops((TRAIN, VALIDATION, TEST), nodules_each=8)
    run = the("A-slice/none/seed-0")
    data = Material(crops, [made_scan(), made_scan(patient=TEST)])
    facts = execute(run, lambda: data, tmp_path, say=lambda line: None)
    assert (facts["study"], facts["protocol"], facts["config"]["protocol"]) == ("A", "slice", "slice")
    assert run.folder(tmp_path) == tmp_path / "A-slice" / "none" / "seed-0"
    assert facts["n_negatives"] == 0
    lines = results.read_images(run.folder(tmp_path))
    assert len(lines) == len(crops.on_side("test", "slice")) > 0
    trained = set(crops.nodules[crops.on_side("train", "slice")].tolist())
    assert trained & {int(line["nodule"]) for line in lines}, "no nodule is on both sides"
    (read,) = read_results(tmp_path)
    assert read.protocol == "slice"


def test_no_negative_where_no_test_patient_has_a_scan(finished):
    assert finished[2]["n_negatives"] == 0


def test_a_size_that_the_crops_lack_is_tried_on_scans(material: Material, tmp_path):
    run = replace(the("C/256px/seed-0"), px=144)
    run = replace(run, network=replace(run.network, input_px=144))
    facts = trial(run, material, tmp_path, batches=2)
    assert facts["needs"] == NEEDS == "needs the full data set"
    assert facts["finite"] and len(facts["losses"]) == 2
    assert (tmp_path / "C" / "256px" / "trial.json").is_file()
    assert not list(tmp_path.rglob("run.json")), "a trial is no result"


def test_a_trial_without_scans_says_what_is_missing(material: Material, tmp_path):
    with pytest.raises(InputError, match=r"needs the full data set.*complete scan"):
        trial(the("C/512px/seed-0"), Material(material.crops, []), tmp_path)


def test_every_row_trains_alike():
    """Two runs of a study differ in their network alone, at the same window and seed."""
    configs = [run_config(run).to_dict() for run in plan("A", TINY) + plan("D", TINY) if run.seed == 0]
    for config in configs:
        config.pop("network")
    assert all(config == configs[0] for config in configs)


def test_a_damaged_result_is_named(tmp_path, material: Material):
    run = the("A/none/seed-0")
    run.folder(tmp_path).mkdir(parents=True)
    (run.folder(tmp_path) / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json: not readable"):
        execute(run, lambda: material, tmp_path)
