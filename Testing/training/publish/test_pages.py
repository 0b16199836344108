"""The pages of the models: the committed ones say what the cards say, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleSegLib.weights import Card
from Testing.weights.samples import TRAIN_UIDS, card_data
from training.evaluate.whole_scans import ScanFigures, Truth
from training.lidc.consensus import ConsensusNodule
from training.lidc.database import Annotation
from training.publish.operating import ScanLook
from training.publish.pages import scan as scan_module
from training.publish.pages.pictures import reliability
from training.publish.pages.pictures import scan as draw
from training.publish.pages.scan import measure_scan, with_times, words
from training.publish.pages.tables import number
from training.publish.pages.text import page
from training.publish.pages.write import page_in, write_page, write_scan

ROOT = Path(__file__).resolve().parents[3]
PAGES, WEIGHTS = ROOT / "docs" / "models", ROOT / "Resources" / "Weights"
SHIPPED = sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))

BINS = {"counts": [4, 0], "positives": [1, 0], "confidence": [0.2, None], "observed": [0.25, None]}
CALIBRATION = {
    "value": 0.05, "low": 0.04, "high": 0.06, "n_images": 10, "n_patients": 4, "what": "error of made pixels",
    "least_probability": 0.01, "brier": {"value": 0.1, "low": 0.09, "high": 0.11}, "pixels": 4, "nodule_pixels": 1,
    "nodule_pixels_below": 3, "bins": BINS,
}  # fmt: skip
ROW = {"readers": 4, "diameter_mm": 7.3, "z_mm": 1.0, "probability": 0.91, "dice": 0.84, "hd95_mm": 1.0}
SCAN = {
    "sha256": None, "patient": "LIDC-IDRI-0063", "threshold": 0.4, "slices": 133, "results": 3, "false_strict": 1,
    "false_luna16": 0,
    "nodules": [
        {"words": "solid", "found": True, "click_dice": 0.85, **ROW},
        {"words": "solid, calcified", "found": False, "click_dice": 0.3, **ROW, "readers": 1, "diameter_mm": 4.7},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_committed_page_is_what_its_card_says(name):
    written = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    card = Card.read(WEIGHTS / f"{name}.json")
    assert written == page_in(card, PAGES), f"run: python -m training page {name}"
    for link in re.findall(r"\]\(([^)]+)\)", written):
        assert link.startswith("https://") or (PAGES / link).exists(), link
    assert card.sha256 in written
    assert not set(card.training["series"]["train"]) & set(re.findall(r"[\d.]{20,}", written))


def test_pictures_are_small():
    for path in PAGES.glob("*.png"):
        assert path.stat().st_size < 300_000, path


def test_every_number_of_the_card_is_there():
    overlap = card_data()["metrics"]["test"]["iou_pos"]
    data = card_data(metrics__validation={"iou_pos": overlap, "calibration": CALIBRATION})
    text = page(Card.from_dict(data), SCAN, [])
    for part in (
        ".600 [.550, .650]", "10 / 4", "3 of 4", "Measured on six scans.", "balanced (default) | .400",
        "calibration error .050 [.040, .060]", "Brier score .100 [.090, .110]", "4 pixels, 1 of them nodule; 3 more",
        "| .0 to .5 | .200 | .250 | 1 of 4 |", "| .5 to 1.0 | n/a | n/a | 0 of 0 |",
        "| 1: solid | 4 | 7.3 | yes, .91 | .84 | .85 |", "| 2: solid, calcified | 1 | 4.7 | no |  | .30 |",
        "In LIDC-IDRI-0063 1 of 2 nodules: solid, calcified, 4.7 mm, 1 reader", "3 results for 2 annotated nodules",
        "2 CT series were trained on, 1 others",
    ):  # fmt: skip
        assert part in text, part
    assert TRAIN_UIDS[0] not in text and "png" not in text and "## Times" not in text


def test_where_weights_come_from_and_what_int8_costs():
    data = card_data()
    earlier = [{"run": "a", "samples": 5000}, {"run": "b", "samples": 300, "averaged": {"b": 0.75, "a": 0.25}}]
    data["training"] |= {"samples": 40, "earlier": earlier, "averaged": {"c": 0.5, "b": 0.5}}
    validation = {"metric": "iou_pos of the validation patients", "images": 7, "float32": 0.611, "int8": 0.609}
    text = page(Card.from_dict(data | {"quantisation": {"ranges": {}, "validation": validation}}), None, [])
    assert "stage by stage: 5,000 (a), 300 (b, averaged: 0.75 of b, 0.25 of a), 40 (last run)." in text
    assert "Averaged: 0.5 of c, 0.5 of b." in text
    assert "In int8, where the CPU has instructions for it: iou_pos of the validation patients .609, beside" in text
    assert "int8" not in page(Card.from_dict(data), None, [])


def test_figures_of_other_weights_are_left_out():
    text = page(Card.from_dict(card_data()), {**SCAN, "sha256": "a" * 64}, ["tiny-scan.png"])
    assert "## A whole scan" not in text and "In LIDC-IDRI-0063" not in text and "tiny-scan.png" not in text


def test_a_bare_card_has_a_page(tmp_path):
    card = Card.from_dict(card_data(metrics={}, operating_points=[]))
    assert [path.name for path in write_page(card, tmp_path)] == ["tiny.md"]
    text = (tmp_path / "tiny.md").read_text()
    assert "## Calibration" not in text and "## Operating points" not in text and "## What it misses" not in text


def test_a_page_with_its_picture_is_written_and_written_again_alike(tmp_path):
    card = Card.from_dict(card_data(metrics__validation={"calibration": CALIBRATION}))
    write_scan("tiny", tmp_path, {**SCAN, "times": {"machine": "a computer", "rows": []}}, b"picture")
    first = {path.name: path.read_bytes() for path in write_page(card, tmp_path)}
    assert set(first) == {"tiny.md", "tiny-reliability.png"} and first["tiny-reliability.png"] == reliability(card)
    assert b"tiny-scan.png" in first["tiny.md"] and b"CC BY 3.0" in first["tiny.md"]
    assert {path.name: path.read_bytes() for path in write_page(card, tmp_path)} == first
    assert (tmp_path / "tiny.md").read_text() == page_in(card, tmp_path)


def test_times_of_this_model_from_a_benchmark(tmp_path):
    ours = {"shape": [133, 512, 512], "engine": "bfloat16", "seconds": 19.04, "peak_mb": 300.4}
    rows = [{"ct": "A", "model": name, "ours": ours, "plain": {}} for name in ("tiny", "other")]
    (tmp_path / "b.json").write_text(json.dumps({"machine": "two cores", "rows": rows}))
    figures = with_times(SCAN, tmp_path / "b.json", "tiny")
    text = page(Card.from_dict(card_data()), figures, [])
    assert "On two cores" in text and text.count("| A | 133 | bfloat16 | 19.0 | 300 |") == 1
    assert with_times(SCAN, tmp_path / "b.json", "absent") == SCAN


def rated(*ratings: dict[str, int], readers: int = 4) -> ConsensusNodule:
    votes = np.zeros((2, 4, 4), np.uint8)
    votes[:, 1:3, 1:3] = readers
    annotations = tuple(Annotation(n, (), r) for n, r in enumerate(ratings))
    return ConsensusNodule(annotations, (1, 10, 10), votes, readers)


def test_words_of_the_readers_ratings():
    solid = {"texture": 5, "calcification": 6, "spiculation": 1, "internalStructure": 1}
    assert words(rated(solid, solid)) == "solid"
    assert words(rated({**solid, "calcification": 3})) == "solid, calcified"
    assert words(rated({**solid, "texture": 2}, {**solid, "texture": 3}, solid)) == "part-solid"
    assert words(rated({**solid, "spiculation": 3}, {**solid, "internalStructure": 4})) == "solid"
    assert words(rated({**solid, "spiculation": 4, "texture": 1, "internalStructure": 4})) == (
        "ground-glass, spiculated, air inside"
    )
    assert words(rated({})) == "not rated"


def test_a_scan_is_told_by_readers_and_cut_out_where_its_nodules_are(monkeypatch):
    nodules = (rated({}, readers=1), rated({}, readers=4))
    truth = Truth("P", nodules, np.zeros((0, 3)), (0, 0), np.arange(4.0), (2.0, 1.0, 1.0))
    shape = (4, 60, 60)
    labels, click = np.zeros(shape, np.uint16), np.zeros(shape, bool)
    labels[1:3, 11:13, 11:13], click[1, 11, 11] = 1, True
    rows = tuple(
        {**ROW, "readers": n.readers, "found": True, "click_dice": 0.5, "patient": "P", "row": 1} for n in nodules
    )
    ct = SimpleNamespace(hu=np.full(shape, -700, np.int16), shape=shape, spacing_mm=(2.0, 1.0, 1.0))
    look = ScanLook(ct, truth, labels, ScanFigures("P", (), 1, 0, 2), rows, (click, click))  # type: ignore[arg-type]
    monkeypatch.setattr(scan_module, "look_at_scan", lambda *_: look)
    figures, views = measure_scan(SimpleNamespace(card=None, default_threshold=0.3), "P", None)  # type: ignore[arg-type]
    assert [row["readers"] for row in figures["nodules"]] == [4, 1] and figures["results"] == 2
    assert [view.title for view in views] == ["1: 4 readers, 7.3 mm", "2: 1 reader, 7.3 mm"]
    # The centroid lies at slice 1.5, which rounds to 2, row and column 11.5; 44 mm about it begin before the image.
    view = views[0]
    assert view.hu.shape == (34, 34) and view.truth.sum() == view.result.sum() == 4 and view.click.sum() == 0
    assert draw(views, "made").startswith(b"\x89PNG")


def test_numbers():
    assert [number(v) for v in (0.6548, 1.0, None, 0.0)] == [".655", "1.000", "n/a", ".000"]
