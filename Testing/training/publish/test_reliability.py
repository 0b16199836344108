"""Calibration of a model's pixels and candidates, by hand; and the card that keeps it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import Card
from Testing.training.publish.test_scoring import candidate
from Testing.training.synthetic import TEST, TRAIN, VALIDATION, crops_of, disc_crops
from Testing.weights.samples import card_data
from training.publish import calibrate as calibrate_module
from training.publish.calibrate import calibrate
from training.publish.looks import FILE
from training.publish.reliability import BINS, candidate_reliability, pixel_reliability
from training.publish.scoring import JudgedScan


@pytest.fixture
def two_crops():
    """Of two patients; what is nodule, and how probable:

    A: nodule .25, background .25, left out .9, nodule .005; B: nodule .95, background .02. All else: background, 0.
    """
    labels, probability = np.zeros((2, 128, 128), np.uint8), np.zeros((2, 128, 128), np.float32)
    labels[0, 0, :4], probability[0, 0, :4] = (1, 0, 255, 1), (0.25, 0.25, 0.9, 0.005)
    labels[1, 5, :2], probability[1, 5, :2] = (1, 0), (0.95, 0.02)
    return probability, crops_of(np.zeros((2, 128, 128)), labels, ["A", "B"], [0, 1])


def test_pixels_by_hand(two_crops):
    probability, crops = two_crops
    found = pixel_reliability(probability, crops, np.array([0, 1]))
    assert found["bins"]["counts"] == [1, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert found["bins"]["positives"] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert found["bins"]["observed"] == [0.0, None, 0.5, *[None] * 6, 1.0]
    assert found["bins"]["confidence"] == [0.02, None, 0.25, *[None] * 6, 0.95]
    # |0 - .02| + |1 - 2 x .25| + |1 - .95|, over four pixels.
    assert found["value"] == pytest.approx(0.57 / 4, abs=1e-4)
    assert found["brier"]["value"] == pytest.approx((0.5625 + 0.0625 + 0.0025 + 0.0004) / 4, abs=1e-4)
    # Patient A alone: .5 / 2; B alone: .07 / 2.
    assert (found["low"], found["high"]) == (pytest.approx(0.035, abs=1e-4), 0.25)
    assert (found["pixels"], found["nodule_pixels"], found["nodule_pixels_below"]) == (4, 2, 1)
    assert (found["n_images"], found["n_patients"]) == (2, 2)


def test_crops_are_those_of_the_index_in_its_order(two_crops):
    probability, crops = two_crops
    assert pixel_reliability(probability[1:], crops, np.array([1]))["pixels"] == 2
    swapped = pixel_reliability(probability[::-1], crops, np.array([1, 0]))
    assert swapped == pixel_reliability(probability, crops, np.array([0, 1]))


def test_without_any_pixel_there_is_nothing_to_say(two_crops):
    probability, crops = two_crops
    assert pixel_reliability(np.zeros_like(probability), crops, np.array([0, 1])) == {}


def scan_of(kinds: tuple[str, ...]) -> JudgedScan:
    hits = tuple(frozenset({0} if kind == "nodule" else ()) for kind in kinds)
    return JudgedScan("P", tuple(candidate(0.5, 5.0) for _ in kinds), kinds, hits, (4,))


def test_candidates_by_hand():
    scans = [scan_of(("nodule", "false", "finding")), scan_of(("false",))]
    found = candidate_reliability(scans, [np.array([0.85, 0.45, 0.99]), np.array([0.41])], "two made scans")
    assert found["bins"]["counts"] == [0, 0, 0, 0, 2, 0, 0, 0, 1, 0]
    assert found["bins"]["positives"] == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    assert found["bins"]["findings"] == [0] * 9 + [1]
    assert found["value"] == pytest.approx((0.86 + 0.15) / 3, abs=1e-4)
    assert found["brier"]["value"] == pytest.approx((0.0225 + 0.2025 + 0.1681) / 3, abs=1e-4)
    assert (found["candidates"], found["nodules"], found["scans"]) == (3, 1, 2)
    assert "two made scans" in found["what"] and "low" not in found
    assert candidate_reliability([scan_of(("finding",))], [np.array([0.5])], "") == {}


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model whose card lies in a folder; it says .8 of the discs and .1 of everything else."""
    card = Card.from_dict(card_data())
    card.write(tmp_path / "tiny.json")
    crops = disc_crops((TRAIN, VALIDATION, TEST))
    read = lambda name, folder: (Card.read(folder / f"{name}.json"), None)  # noqa: E731
    monkeypatch.setattr(calibrate_module, "plain_scoring", read)
    monkeypatch.setattr(
        calibrate_module,
        "shipped_probability",
        lambda segmenter, crops, index: np.where(crops.labels[index] == 1, 0.8, 0.1).astype(np.float32),
    )
    return tmp_path, card, SimpleNamespace(crops=lambda: crops, cache=tmp_path / "cache")


def test_validation_alone_unless_asked_for_and_the_look_is_logged(model):
    folder, card, sources = model
    written = calibrate("tiny", folder, sources)
    assert written == Card.read(folder / "tiny.json") and "calibration" not in written.metrics["test"]
    found = written.metrics["validation"]["calibration"]
    assert found["n_patients"] == 1 and found["bins"]["observed"][8] == 1.0 and found["bins"]["observed"][1] == 0.0
    assert not (sources.cache / FILE).exists()
    assert written.metrics["test"]["iou_pos"] == card.metrics["test"]["iou_pos"]

    both = calibrate("tiny", folder, sources, test=True)
    assert both.metrics["test"]["calibration"]["bins"]["observed"] == found["bins"]["observed"]
    (look,) = [json.loads(line) for line in (sources.cache / FILE).read_text().splitlines()]
    assert look["run"] == f"tiny {card.version}" and look["figures"]["calibration"]["n_patients"] == 1
    plain, again = card.to_dict(), both.to_dict()
    del plain["metrics"], again["metrics"]
    assert again == plain


def test_candidates_when_asked_for(model, monkeypatch):
    folder, _, sources = model
    scans = [scan_of(("nodule", "false"))]
    monkeypatch.setattr(calibrate_module, "judged_candidates", lambda *_: (scans, "made scans"))
    monkeypatch.setattr(calibrate_module, "two_fold_scores", lambda scans: [np.array([0.7, 0.2])])
    card = calibrate("tiny", folder, sources, candidates=True)
    assert sum(card.metrics["candidates"]["calibration"]["bins"]["counts"]) == 2
    assert len(card.metrics["candidates"]["calibration"]["bins"]["counts"]) == BINS


def test_candidates_that_a_reduction_learned_from_are_refused(model):
    folder, card, sources = model
    layers = {"strides": [[1, 1, 1]], "paddings": [[0, 0, 0]]}
    after = {**card.to_dict()["postprocessing"], "candidate_scorer": {}, "reduction": layers}
    replace(card, postprocessing=after).write(folder / "tiny.json")
    with pytest.raises(InputError, match="false-positive reduction, which has seen these candidates"):
        calibrate("tiny", folder, sources, candidates=True)
    assert calibrate("tiny", folder, sources).postprocessing["reduction"] is not None
