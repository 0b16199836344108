"""Reliability bins in a card: kept as they are, and each fault named."""

from __future__ import annotations

import pytest

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights import Card
from Testing.weights.samples import card_data

BINS = {"counts": [4, 0, 2], "positives": [1, 0, 2], "confidence": [0.2, None, 0.9], "observed": [0.25, None, 1.0]}


def with_bins(**changes):
    calibration = {"value": 0.06, "low": 0.05, "high": 0.07, "what": "pixels", "bins": {**BINS, **changes}}
    return card_data(metrics__test__calibration=calibration)


def test_bins_are_read_and_written():
    card = Card.from_dict(with_bins())
    assert Card.from_json(card.to_json()) == card
    assert card.to_dict()["metrics"]["test"]["calibration"]["bins"] == BINS
    Card.from_dict(with_bins(findings=[0, 0, 1]))
    Card.from_dict(card_data())  # a card without is a card too


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positives": [1, 0]}, "`metrics.test.calibration.bins.positives`.*a list of 3"),
        ({"positives": [5, 0, 2]}, "`metrics.test.calibration.bins.positives`.*at most"),
        ({"counts": [4.5, 0, 2]}, "`metrics.test.calibration.bins.counts`.*whole number"),
        ({"confidence": [1.2, None, 0.9]}, "`metrics.test.calibration.bins.confidence`.*between 0 and 1"),
        ({"observed": [None, None, 1.0]}, "`metrics.test.calibration.bins.observed`.*finite number"),
        ({"observed": [0.25, 0.0, 1.0]}, "`metrics.test.calibration.bins.observed`.*null where"),
        ({"counts": "many"}, "`metrics.test.calibration.bins.counts`.*a list"),
    ],
)
def test_a_fault_is_named(change, said):
    with pytest.raises(WeightsError, match=said):
        Card.from_dict(with_bins(**change))


def test_a_missing_list_is_named():
    data = with_bins()
    del data["metrics"]["test"]["calibration"]["bins"]["observed"]
    with pytest.raises(WeightsError, match=r"`metrics\.test\.calibration\.bins\.observed` is missing"):
        Card.from_dict(data)
