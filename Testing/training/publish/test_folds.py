"""Networks that left scans out, judged on them: an engine that sees grey values, and made-up readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.reduction import Reduction, reduction_of
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.segmenter.segmenter import Segmenter
from LungNoduleSegLib.weights import Card, find, load_parts, load_state
from LungNoduleSegLib.weights.catalog import entry_of
from Testing.inference.phantom import OracleEngine, ball_mask, thorax
from training.cli.app import app
from training.evaluate.places import Found, Place
from training.evaluate.whole_scans import Truth
from training.lidc.consensus import ConsensusNodule
from training.publish import folds as folds_module
from training.publish.folds import Fold, fold_records, fold_scores, folds_of, judge_folds, source_text
from training.publish.pages.text import page
from training.publish.scoring import SCORER_FEATURES
from training.reduction.network import ReductionNetwork, folded
from training.reduction.store import write_about, write_reduction
from training.sources import Sources

ROOT = Path(__file__).resolve().parents[3]
NODULE, VESSEL = (10, 95, 50, 6.0, 50), (15, 90, 130, 3.5, 50)
SPACING = (2.5, 0.8, 0.8)
ONE_SCALE = SearchSettings(coarse_pixel_mm=0.0)
"""Larger pixels blend the wall with the lung to what the oracle takes for nodule."""

PATIENTS = ("A1", "A2", "B1", "B2")


def scan(number: int):
    """A CT with a nodule of four readers and a ball that nobody marked, each patient's own a little elsewhere."""
    balls = [(k, j + 2 * number, i + number, r, hu) for k, j, i, r, hu in (NODULE, VESSEL)]
    ct, _ = thorax((26, 180, 180), SPACING, balls=balls)
    where = np.argwhere(ball_mask(ct, *balls[0][:4]))
    low = where.min(axis=0)
    mask = np.zeros(where.max(axis=0) - low + 1, bool)
    mask[tuple((where - low).T)] = True
    nodule = ConsensusNodule((1, 2, 3, 4), tuple(int(v) for v in low), 4 * mask.astype(np.uint8), 4)
    z_mm = 2.5 * np.arange(26)
    return ct, Truth(PATIENTS[number], (nodule,), np.zeros((0, 3)), (0, 0), z_mm, SPACING)


@pytest.fixture
def folds(monkeypatch):
    made = {patient: scan(n) for n, patient in enumerate(PATIENTS)}
    places = [Place(p, f"1.2.{n}", (Path(f"{p}.dcm"),)) for n, p in enumerate(PATIENTS)]

    def find_places(source, patients):
        return Found(tuple(p for p in places if p.patient in set(patients)), ())

    monkeypatch.setattr(folds_module, "find_places", find_places)
    monkeypatch.setattr(folds_module, "open_place", lambda place, marks: made[place.patient])
    return [
        Fold("fold-a", Segmenter(OracleEngine(), settings=ONE_SCALE), frozenset(PATIENTS[:2]), 1000),
        Fold("fold-b", Segmenter(OracleEngine(), settings=ONE_SCALE), frozenset(PATIENTS[2:]), 2000),
    ]


def test_each_scan_is_judged_by_the_network_that_left_it_out(folds, monkeypatch):
    asked = []
    for fold in folds:

        def segment(*args, run=fold.run, plain=fold.segmenter.segment, **options):
            asked.append(run)
            return plain(*args, **options)

        monkeypatch.setattr(fold.segmenter, "segment", segment)
    scans = judge_folds(folds, Path("anywhere"), None)
    assert asked == ["fold-a", "fold-a", "fold-b", "fold-b"] and [s.fold for s in scans] == [0, 0, 1, 1]
    assert all(sorted(s.judged.kinds) == ["false", "nodule"] for s in scans)
    assert "4 scans of 4 training patients by 2 folds" in source_text(folds, scans)
    assert "fold-a, 1,000 images, fold-b, 2,000 images" in source_text(folds, scans)


def test_a_scan_is_scored_by_what_the_others_showed(folds):
    scans = judge_folds(folds, Path("anywhere"), None)
    scores = fold_scores(scans)
    for one, values in zip(scans, scores, strict=True):
        by_kind = dict(zip(one.judged.kinds, values, strict=True))
        assert by_kind["nodule"] > 0.5 > by_kind["false"]
    # With the nodules of fold b called false and the other way round, it is fold a's scores that turn.
    swapped = {"nodule": "false", "false": "nodule"}
    for one in scans[2:]:
        object.__setattr__(one.judged, "kinds", tuple(swapped[k] for k in one.judged.kinds))
    turned = fold_scores(scans)
    by_kind = dict(zip(scans[0].judged.kinds, turned[0], strict=True))
    assert by_kind["nodule"] < 0.5 < by_kind["false"]
    np.testing.assert_array_equal(turned[2], scores[2])


def test_records_follow_the_scores(folds):
    scans = judge_folds(folds, Path("anywhere"), None)
    scores = fold_scores(scans)
    records = fold_records(scans, scores, "fold-a and fold-b", 0.5, None)
    assert [r.patient for r in records] == list(PATIENTS)
    for record, values in zip(records, scores, strict=True):
        (row,) = record.figures.rows
        assert row.found and row.dice > 0.95 and record.figures.strict_false == 0
        assert row.probability == pytest.approx(max(values))
        assert record.nodule_scores == pytest.approx([max(values)]) and len(record.false_scores) == 1
    everything = fold_records(scans, scores, "both", 0.0, None)
    assert [r.figures.strict_false for r in everything] == [1] * 4


def test_runs_that_are_no_folds(monkeypatch, tmp_path):
    left_out = {"a": ["P1", "P2"], "b": ["P2"], "c": []}
    monkeypatch.setattr(
        folds_module, "network_of_run",
        lambda folder: (
            SimpleNamespace(state_dict=dict),
            SimpleNamespace(run={"leave_out": left_out[folder.name]}, network=None, normalisation=None, samples=5),
        ),
    )  # fmt: skip
    monkeypatch.setattr(folds_module, "make_engine", lambda *_: OracleEngine())
    sources = Sources(tmp_path, tmp_path)
    with pytest.raises(InputError, match="1 run given, and folds are two at least"):
        folds_of(["a"], sources)
    with pytest.raises(InputError, match="two of the runs left out P2"):
        folds_of(["a", "b"], sources)
    with pytest.raises(InputError, match="left no patient out"):
        folds_of(["b", "c"], sources)


def test_the_command_writes_tables_and_the_card(folds, monkeypatch, tmp_path):
    card = Card.read(ROOT / "Resources" / "Weights" / "model-2-compact.json")
    monkeypatch.setattr(folds_module, "folds_of", lambda runs, sources, reduction: folds)
    monkeypatch.setattr("training.publish.shipped.shipped", lambda name, folder: (card, None))
    (tmp_path / "lidc_marks.csv").write_text("patient\n")
    arguments = ["folds", str(tmp_path), "--run", "fold-a", "--run", "fold-b", "--output", str(tmp_path / "out")]
    arguments += ["--model", card.name, "--folder", str(tmp_path), "--data", str(tmp_path), "--cache", str(tmp_path)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "two folds" in done.output and "4/4" in done.output
    rows = (tmp_path / "out" / "nodules.csv").read_text().splitlines()
    assert len(rows) == 5 and rows[1].split(",")[1] == "two folds"
    written = Card.read(tmp_path / f"{card.name}.json")
    assert tuple(written.postprocessing["candidate_scorer"]["features"]) == SCORER_FEATURES
    assert all("had not seen them (fold-a, 1,000 images" in p["source"] for p in written.operating_points)
    assert written.metrics["candidates"]["calibration"]["nodules"] == 4
    assert written.metrics["test"] == card.metrics["test"]


class Likes:
    """A reduction that likes the nodule, which lies before the vessel, and not the vessel."""

    def __call__(self, ct, offset_kji, mask):
        return 5.0 if offset_kji[0] < 12 else -5.0


def test_the_command_puts_the_reduction_into_the_weights(folds, monkeypatch, tmp_path):
    weights_folder = ROOT / "Resources" / "Weights"
    card = replace(Card.read(weights_folder / "model-2-compact.json"), file="model-2-compact.safetensors")
    entry = find("model-2-compact")
    for fold in folds:
        fold.segmenter.reduction = Likes()
    torch.manual_seed(0)
    network = ReductionNetwork(4).eval()
    sources = Sources(tmp_path, tmp_path)
    write_reduction(sources.reduction("r") / "all.safetensors", folded(network))
    about = {"examples": {"all.safetensors": {"found false": 3}}, "runs": ["fold-a"], "fit": {"steps": 9}}
    about |= {"layers": network.config.to_dict(), "networks": {"all.safetensors": []}}
    write_about(sources.reduction("r"), {**about, "validation_area": {"all.safetensors": 0.99}})
    monkeypatch.setattr(folds_module, "folds_of", lambda runs, sources, reduction: folds)
    monkeypatch.setattr("training.publish.shipped.shipped", lambda name, folder: (card, entry))
    (tmp_path / "lidc_marks.csv").write_text("patient\n")
    arguments = ["folds", str(tmp_path), "--run", "fold-a", "--run", "fold-b", "--output", str(tmp_path / "out")]
    arguments += ["--model", card.name, "--folder", str(tmp_path), "--data", str(tmp_path), "--cache", str(tmp_path)]
    done = CliRunner().invoke(app, [*arguments, "--reduction", "r", "--version", "9.0"])
    assert done.exit_code == 0, done.output
    path = tmp_path / f"{card.name}.json"
    written = Card.read(path)
    assert written.version == "9.0" and "by a false-positive reduction" in written.operating_points[0]["source"]
    network_state, second = load_parts(entry_of(written, path, shipped=False))
    before = load_state(entry)
    assert all(np.array_equal(network_state[name], before[name]) for name in before)
    stack = np.random.default_rng(0).normal(size=(5, 64, 64)).astype(np.float32)
    shipped = reduction_of(written.postprocessing["reduction"], second)
    plain = Reduction(network.config, folded(network))
    assert shipped.of_stack(stack) == pytest.approx(plain.of_stack(stack), rel=0.01)  # rounded to float16
    count = sum(array.size for array in folded(network).values())
    assert written.training["reduction"]["parameters"] == count
    assert f"a 3D network of {count:,} parameters more: 3 x found false" in page(written, None, ())
    # Judged without one again, the card no longer uses it.
    for fold in folds:
        fold.segmenter.reduction = None
    monkeypatch.setattr("training.publish.shipped.shipped", lambda name, folder: (written, entry))
    assert CliRunner().invoke(app, arguments).exit_code == 0
    again = Card.read(path)
    assert again.postprocessing["reduction"] is None and "parameters more" not in page(again, None, ())
