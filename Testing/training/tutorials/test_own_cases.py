"""docs/tutorials/own-cases.md from the first command to the last, on made-up cases."""

from __future__ import annotations

import json

import pytest

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import find, trained_on
from Testing.training.tutorials.bright import NAME as BRIGHT
from Testing.training.tutorials.bright import SERIES
from Testing.training.tutorials.own import make_cases
from Testing.training.tutorials.walk import DOCS, Walk
from training.data.split import side
from training.lidc import database
from training.prepare.store import Store
from training.publish.origin import as_uid

TINY = "--width 2 --batch 8 --tile 32"
SMALLER = {
    "--pairs cases/cases.csv": "--pairs cases/cases.csv --workers 1",
    # The shipped network would take a minute for a whole CT: one that sees bright balls stands for it.
    "--from-model model-2-compact --samples 20000 --cooldown 15000 --learning-rate 2e-4 --validate-every 2000": (
        f"--from-model {BRIGHT} --samples 16 --cooldown 8 --learning-rate 1e-9 --validate-every 8 {TINY}"
    ),
    "--from-model model-2-compact --samples 16 --cooldown 16": f"--from-model {BRIGHT} --samples 8 --cooldown 8 {TINY}",
}


@pytest.fixture
def without_database(monkeypatch):
    """LIDC-IDRI's annotations are not needed."""

    def absent():
        raise InputError("the annotations of LIDC-IDRI were not found")

    monkeypatch.setattr(database, "database_path", absent)


@pytest.mark.slow
@pytest.mark.usefixtures("without_database")
def test_every_command_of_the_tutorial(place, monkeypatch):
    text = (DOCS / "own-cases.md").read_text(encoding="utf-8")
    rows = make_cases(place / "cases", text)
    assert "P02 and P03 train, P04 validates, P01 tests" in text
    assert [side(f"P0{n}") for n in (1, 2, 3, 4)] == ["test", "train", "train", "validation"]
    walk = Walk(monkeypatch, SMALLER)
    walk.run(text)

    prepared = walk.of("python -m training prepare").out
    assert "cases of the user (CT and segmentation): 5 items, 4 patients" in prepared
    assert "skipped:" not in prepared
    store = Store(place / "own-cache")
    assert [scan.patient for scan in store.scans("train")] == ["P02", "P02", "P03"]
    assert set(store.crops().patients) == {row["patient"] for row in rows}

    before, mine = (json.loads(ended.out) for ended in walk.ended if ended.line.startswith("python -m training check"))
    assert before["iou_pos"]["n_patients"] == mine["iou_pos"]["n_patients"] == 1
    card = find("my-clinic").card
    assert card.version == "1.0.0"
    assert card.licence == "for use in our hospital"
    assert card.training["started_from"]["model"] == BRIGHT
    assert "cases of the user" in card.training["data"]
    assert not card.training["data"].startswith("LIDC-IDRI")
    assert "reader_agreement" not in card.metrics
    assert set(card.metrics) == {"test", "validation", "candidates"}
    assert card.metrics["validation"]["calibration"]["n_patients"] == 1
    assert trained_on(card, SERIES) == "train"
    assert trained_on(card, as_uid("case:P03")) == "train"
    assert trained_on(card, as_uid("case:P02-follow-up")) == "train"
    assert trained_on(card, as_uid("case:P04")) == "validation"
    assert trained_on(card, as_uid("case:P01")) is None
    (dicom,) = [s.series for s in store.scans("train") if not s.series.startswith("case:")]
    assert trained_on(card, dicom) == "train"
    assert card.default_operating_point["nodules"] == 6, "one reader is all that a case has"
    assert "my-clinic" in walk.of("lungnoduleseg weights import").out
    nodules = (place / "results" / "nodules.csv").read_text().splitlines()
    assert len(nodules) >= 3, "both nodules, below the line of names"
    # The command as it stands, but for its sizes, fits the weights that ship.
    shipped = Walk(monkeypatch, {})
    ended = shipped.command(
        "python -m training train model-2-compact --run shipped --from-model model-2-compact --samples 2 --batch 2 "
        "--tile 32 --cooldown 0 --validate-every 0"
    )
    assert ended.code == 0
    assert "started from model-2-compact; 0 tensors are new" in ended.out


@pytest.mark.slow
@pytest.mark.usefixtures("without_database")
def test_cases_that_only_train(place, monkeypatch):
    """Without validation and test patients a model comes out all the same, and says what it lacks."""
    table = "```csv\ncase,ct,segmentation\nP02,P02.nrrd,P02.seg.nrrd\n```\n"
    make_cases(place / "cases", table)
    walk = Walk(monkeypatch, {})
    train = f"python -m training train model-2-compact --from-model {BRIGHT} --samples 8 {TINY} --cache cache --run a"
    for line in ("python -m training prepare cases cache --workers 1", train):
        assert walk.command(line).code == 0, walk.ended[-1].out
    refused = walk.command("python -m training check a --cache cache")
    assert refused.code == 2
    assert "no case of the validation side" in refused.out
    exported = walk.command("python -m training export mine --run a --version 1 --output weights --cache cache")
    assert exported.code == 0, exported.out
    assert "validation: no patient" in exported.out
    assert "test: no patient" in exported.out
    assert not (place / "cache" / "test_looks.jsonl").exists(), "nobody looked"
    assert walk.command("lungnoduleseg weights import weights/mine.safetensors").code == 0
    assert dict(find("mine").card.metrics) == {}
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", "weights")
    refused = walk.command("python -m training operate mine --folder weights --cache cache")
    assert refused.code == 2
    assert "1 whole scans of the training side are prepared" in refused.out
