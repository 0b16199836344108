"""Reliability bins, calibration error and Brier score, by hand and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import Calibration, PixelCalibration, calibration
from training.metrics.torchvision_operators import declare_operators


def test_by_hand():
    found = calibration(np.array([0.1, 0.1, 0.9, 0.9, 1.0]), np.array([0, 1, 1, 1, 0]), bins=2)
    assert found.counts.tolist() == [2, 3]
    assert found.positives.tolist() == [1, 2]
    assert found.confidence == pytest.approx([0.1, 2.8 / 3])
    assert found.ece == pytest.approx((2 * 0.4 + 3 * (2.8 / 3 - 2 / 3)) / 5)
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.01 + 0.01 + 1) / 5)


def test_what_was_not_kept_is_not_invented():
    found = Calibration(np.array([2, 0, 2, 0]), np.array([0, 0, 2, 0]))
    assert found.confidence[[0, 2]] == pytest.approx([0.125, 0.625])
    assert found.ece == pytest.approx((0.125 + 0.375) / 2)
    assert found.brier is None
    assert found.to_dict()["observed"] == [0.0, None, 1.0, None]
    assert Calibration(np.zeros(4, int), np.zeros(4, int)).ece is None


def test_two_parts_make_the_whole():
    rng = np.random.default_rng(0)
    p, t = rng.random(1000), rng.random(1000) < 0.3
    whole, parts = calibration(p, t), calibration(p[:300], t[:300]) + calibration(p[300:], t[300:])
    assert parts.ece == pytest.approx(whole.ece)
    assert parts.brier == pytest.approx(whole.brier)
    assert (whole + Calibration(whole.counts, whole.positives)).brier is None


def test_against_torchmetrics():
    declare_operators()
    from torchmetrics.functional.classification import binary_calibration_error

    rng = np.random.default_rng(0)
    p, t = rng.random(5000), rng.random(5000) < 0.4
    reference = binary_calibration_error(torch.tensor(p), torch.tensor(t).long(), n_bins=20, norm="l1")
    assert calibration(p, t).ece == pytest.approx(float(reference), abs=1e-6)


def test_honest_probabilities_have_no_error_and_the_brier_score_of_their_variance():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    found = calibration(p, rng.random(len(p)) < p)
    assert found.ece < 0.01
    assert found.brier == pytest.approx(1 / 6, abs=0.003)


def test_impossible_probabilities_are_refused():
    with pytest.raises(ValueError, match=r"0\.\.1"):
        calibration(np.array([1.2]), np.array([1]))
    with pytest.raises(ValueError, match="shape"):
        calibration(np.array([0.2]), np.array([1, 0]))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 300), st.integers(0, 2**16))
def test_in_training_the_same_numbers_come_out(pixels, seed):
    rng = np.random.default_rng(seed)
    p, labels = rng.random(pixels), rng.choice([0, 1, 255], pixels)
    metric = PixelCalibration()
    for part in np.array_split(np.arange(pixels), 3):
        metric.update(torch.tensor(p[part]), torch.tensor(labels[part]))
    kept = labels != 255
    found, whole = metric.calibration(), calibration(p[kept], labels[kept])
    assert found.counts.tolist() == whole.counts.tolist()
    assert found.positives.tolist() == whole.positives.tolist()
    both = metric.compute()
    assert (both["ece"], both["brier"]) == (pytest.approx(whole.ece), pytest.approx(whole.brier))
