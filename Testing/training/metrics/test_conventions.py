"""Means and confusion matrix: which image counts where, by hand, and what is said where nothing can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import (
    Confusion,
    by_size,
    confusion,
    confusion_rates,
    dice_all,
    dice_pos,
    iou_all,
    iou_pos,
)

# tp, fp, fn of: a hit (IoU .5), a miss (IoU .25), a small truth of 8 px that was found, two negatives (clean, false).
COUNTS = np.array([[10, 5, 5], [5, 5, 10], [8, 0, 0], [0, 0, 0], [0, 3, 0]])
PATIENTS = np.array(["a", "a", "a", "b", "c"])


def test_means_by_hand():
    assert iou_pos(COUNTS, PATIENTS).value == pytest.approx((0.5 + 0.25) / 2)
    assert dice_pos(COUNTS, PATIENTS).value == pytest.approx((20 / 30 + 10 / 25) / 2)
    # With the two negatives, 1 and 0; the truth of 8 px is neither.
    assert iou_all(COUNTS, PATIENTS).value == pytest.approx((0.5 + 0.25 + 1 + 0) / 4)
    assert dice_all(COUNTS, PATIENTS).value == pytest.approx((20 / 30 + 10 / 25 + 1 + 0) / 4)
    assert (iou_pos(COUNTS, PATIENTS).n_images, iou_pos(COUNTS, PATIENTS).n_patients) == (2, 1)
    assert (iou_all(COUNTS, PATIENTS).n_images, iou_all(COUNTS, PATIENTS).n_patients) == (4, 3)


def test_nothing_is_invented_without_negatives_or_positives():
    positives, negatives = COUNTS[:2], COUNTS[3:]
    assert iou_all(positives, PATIENTS[:2]) is None
    assert dice_all(positives, PATIENTS[:2]) is None
    assert iou_pos(negatives, PATIENTS[3:]) is None
    assert dice_pos(COUNTS[2:3], PATIENTS[2:3]) is None
    assert confusion(positives) == Confusion(1, 1, None, None)
    assert confusion(negatives) == Confusion(None, None, 1, 1)
    assert confusion(COUNTS[:0]) == Confusion(None, None, None, None)
    table = confusion(positives)
    assert (table.accuracy, table.specificity, table.balanced_accuracy) == (None, None, None)
    assert table.sensitivity == 0.5
    rates = confusion_rates(positives, PATIENTS[:2], repeats=20)
    assert {name for name, rate in rates.items() if rate is None} == {"accuracy", "specificity", "balanced_accuracy"}
    assert set(confusion_rates(negatives, PATIENTS[3:], repeats=20)) == set(rates)


def test_the_thesis_rule_by_hand():
    assert confusion(COUNTS) == Confusion(tp=1, fn=1, fp=1, tn=1)
    # An IoU of just .5 is a hit; one predicted pixel on a negative is false.
    assert confusion(np.array([[10, 0, 10], [10, 1, 10], [0, 1, 0]])) == Confusion(1, 1, 1, 0)


def test_the_thesis_own_numbers():
    """Model 1 of Table B: 2510, 1364, 14, 207 give 94.6 % (its 94.63), over 4,095 images."""
    table = Confusion(tp=2510, fn=207, fp=14, tn=1364)
    assert table.accuracy == pytest.approx(0.946, abs=5e-4)
    assert table.sensitivity == pytest.approx(2510 / 2717)
    assert table.balanced_accuracy == pytest.approx((2510 / 2717 + 1364 / 1378) / 2)
    assert table.to_dict()["tn"] == 1364


def test_rates_and_their_intervals():
    rates = confusion_rates(COUNTS, PATIENTS, repeats=500)
    assert {name: rate.value for name, rate in rates.items()} == pytest.approx(
        {"accuracy": 0.5, "sensitivity": 0.5, "specificity": 0.5, "balanced_accuracy": 0.5}
    )
    # One patient has all positives: no spread; of the two with negatives one is right.
    assert (rates["sensitivity"].low, rates["sensitivity"].high) == (0.5, 0.5)
    assert (rates["specificity"].low, rates["specificity"].high) == (0, 1)
    assert rates["accuracy"].n_images == 4


def test_by_size():
    sizes = by_size(COUNTS, PATIENTS, [(9, 15), (16, 100)], repeats=20)
    assert sizes[9, 15]["sensitivity"].value == 0.5
    assert sizes[9, 15]["iou_pos"].value == pytest.approx(0.375)
    assert sizes[16, 100] is None
    millimetres = by_size(COUNTS, PATIENTS, [(3, 6), (6.1, 30)], np.array([4.0, 9.0, 4.0, 0, 0]), repeats=20)
    assert millimetres[3, 6]["iou_pos"].n_images == 1
    assert millimetres[6.1, 30]["sensitivity"].value == 0


counts_of = st.lists(st.tuples(*[st.integers(0, 40)] * 3), min_size=1, max_size=30).map(np.array)


@settings(deadline=None, max_examples=60)
@given(counts_of)
def test_every_image_counts_once_at_most(counts):
    table, patients = confusion(counts), np.arange(len(counts))
    truth = counts[:, 0] + counts[:, 2]
    assert (table.tp or 0) + (table.fn or 0) == (truth > 8).sum()
    assert (table.tn or 0) + (table.fp or 0) == (truth == 0).sum()
    for name, rate in confusion_rates(counts, patients, repeats=30).items():
        assert (rate is None) == (getattr(table, name) is None)
        if rate is not None:
            assert 0 <= rate.low <= rate.high <= 1
            assert rate.value == pytest.approx(getattr(table, name))


@settings(deadline=None, max_examples=60)
@given(counts_of)
def test_dice_lies_above_iou(counts):
    patients = np.arange(len(counts))
    for lower, upper in ((iou_pos, dice_pos), (iou_all, dice_all)):
        low, high = lower(counts, patients, repeats=10), upper(counts, patients, repeats=10)
        assert (low is None) == (high is None)
        assert low is None or low.value <= high.value + 1e-12
