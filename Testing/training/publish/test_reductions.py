"""Reductions by folds: each learns from what was found in the scans of the others alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.reduction import Reduction
from Testing.training.reduction.test_examples import candidate
from Testing.training.reduction.test_fit import examples
from training.cli.app import app
from training.publish import reductions as module
from training.publish.reductions import fold_groups, right_and_wrong, train_reductions, validation_area
from training.publish.scoring import JudgedScan
from training.reduction.examples import BESIDE, FALSE, FOUND, NODULE
from training.reduction.fit import FitConfig
from training.reduction.network import ReductionNetwork, folded
from training.reduction.store import read_about, reduction_without
from training.sources import Sources


def fold(run, *left_out):
    return SimpleNamespace(run=run, leave_out=frozenset(left_out))


def test_folds_that_left_out_the_same_patients_are_one():
    groups = fold_groups([fold("a", "P", "Q"), fold("b", "R"), fold("c", "Q", "P")])
    assert [[f.run for f in folds] for folds in groups.values()] == [["a", "c"], ["b"]]
    with pytest.raises(InputError, match="folds are two at least"):
        fold_groups([fold("a", "P"), fold("b", "P")])
    with pytest.raises(InputError, match="left out Q"):
        fold_groups([fold("a", "P", "Q"), fold("b", "Q", "R")])


def test_what_is_neither_right_nor_wrong_teaches_nothing():
    hits = (frozenset({0, 1}), frozenset(), frozenset())
    judged = JudgedScan("P", tuple(candidate(k) for k in range(3)), ("nodule", "finding", "false"), hits, (1, 4))
    assert right_and_wrong(judged) == [(judged.candidates[0], 4), (judged.candidates[2], 0)]


def test_candidates_are_kept_only_of_the_same_run_on_the_same_data(monkeypatch, tmp_path):
    judged = JudgedScan("P", (candidate(0), candidate(1)), ("nodule", "false"), (frozenset({0}), frozenset()), (4,))
    ct, searched = CT.from_array(np.full((6, 150, 150), -850, np.int16), spacing_mm=(2.5, 0.7, 0.7)), []

    def judge_folds(folds, source, marks, say):
        searched.append(folds[0].samples)
        return [SimpleNamespace(place=None, judged=judged)]

    monkeypatch.setattr(module, "judge_folds", judge_folds)
    monkeypatch.setattr(module, "open_place", lambda place, marks: (ct, None))

    def found(samples, left_out, source=tmp_path):
        one = SimpleNamespace(run="a", leave_out=frozenset(left_out), samples=samples)
        return module._candidates(tmp_path / "r", one, source, None, print)

    assert found(100, "P").kinds.tolist() == found(100, "P").kinds.tolist() == [FOUND, FALSE]
    assert len(searched) == 1
    for change in ((200, "P"), (200, "Q"), (200, "Q", tmp_path / "elsewhere")):
        found(*change)
    assert len(searched) == 4


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Two folds of two runs; nothing is fitted, what it would be fitted to is kept."""
    patients = {"a": ("P", "Q"), "b": ("R",)}
    monkeypatch.setattr(module, "fold_of", lambda run, sources: fold(run, *patients[run[0]]))

    def candidates(folder, one, source, marks, say):
        few = examples(8)
        few = few.chosen(np.isin(few.kinds, (FOUND, FALSE)))
        return replace(few, patients=np.array([min(one.leave_out)] * len(few)), readers=few.readers)

    def crop_examples(crops, index, hollow_share=0.0, seed=0):
        few = examples(8)
        few = few.chosen(np.isin(few.kinds, (NODULE, BESIDE)))
        return replace(few, patients=np.array(["P", "R", "S", "S"]))

    seen = []

    def fit(given, config, say):
        seen.append(given)
        return ReductionNetwork(config.width).eval()

    monkeypatch.setattr(module, "_candidates", candidates)
    monkeypatch.setattr(module, "crop_examples", crop_examples)
    monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(Sources, "crops", lambda self: SimpleNamespace(on_side=lambda side: np.arange(1)))
    config = FitConfig(steps=1, width=4)
    train_reductions(tmp_path / "r", ["a1", "b1", "a2"], tmp_path, None, Sources(tmp_path, tmp_path), config)
    return tmp_path / "r", seen


def test_each_network_sees_nothing_of_whom_it_left_out(trained):
    folder, seen = trained
    for given, left_out in zip(seen, ({"P", "Q"}, {"R"}, set())):
        assert not left_out & set(given.patients) and "S" in given.patients
    found = [np.isin(given.kinds, (FOUND, FALSE)).sum() for given in seen]
    assert found == [4, 8, 12]  # of one run of fold b; of two of fold a; of all three
    about = read_about(folder)
    assert about["networks"] == {"fold-0.safetensors": ["P", "Q"], "fold-1.safetensors": ["R"], "all.safetensors": []}
    assert about["runs"] == ["a1", "b1", "a2"] and about["fit"]["width"] == 4
    assert isinstance(reduction_without(folder, {"Q"}), Reduction)
    with pytest.raises(InputError, match="left out Q, R"):
        reduction_without(folder, {"Q", "R"})


def test_area_under_the_curve_by_hand(monkeypatch):
    few = examples(12)
    few = few.chosen(np.isin(few.kinds, (NODULE, BESIDE)))  # three of each, by turns
    reduction = Reduction(ReductionNetwork(4).config, folded(ReductionNetwork(4).eval()))
    assert validation_area(reduction, few.chosen(few.kinds == NODULE)) is None
    logits = iter([3.0, 1.0, 2.0, 2.0, -1.0, -5.0])  # nodules 3, 2, -1; others 1, 2, -5
    monkeypatch.setattr(reduction, "of_stack", lambda stack: next(logits))
    # 3 is above all three, 2 above two and level with one, -1 above one: 3 + 2.5 + 1 of 9 pairs.
    assert validation_area(reduction, few) == pytest.approx(6.5 / 9, abs=1e-4)


def test_the_command_needs_folds(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "fold_of", lambda run, sources: fold(run, "P"))
    (tmp_path / "lidc_marks.csv").write_text("patient\n")
    arguments = ["reduce", str(tmp_path), "--run", "a", "--run", "b", "--name", "r"]
    done = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path), "--cache", str(tmp_path / "cache")])
    assert done.exit_code != 0 and "folds are two at least" in str(done.exception)
