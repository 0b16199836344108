"""Figures of merit by hand, and the properties that a patient-level bootstrap must have."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import Estimate, bootstrap, dice, iou, overlap_counts


def images(*rows: list[int]) -> np.ndarray:
    """One 1 x w image for each row."""
    return np.array(rows, dtype=bool)[:, None, :]


PREDICTED = images([1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])
TRUTH = images([1, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1])


def test_counts_and_ratios_by_hand():
    counts = overlap_counts(PREDICTED, TRUTH)
    assert counts.tolist() == [[1, 1, 2], [0, 0, 0], [0, 1, 0], [0, 0, 1], [4, 0, 0]]
    # Empty and empty is 1; an empty truth with a prediction, or the reverse, is 0.
    assert iou(counts).tolist() == [0.25, 1, 0, 0, 1]
    assert dice(counts).tolist() == [0.4, 1, 0, 0, 1]


def test_dice_and_iou_tell_the_same_story():
    rng = np.random.default_rng(0)
    counts = overlap_counts(rng.random((50, 9, 9)) < 0.4, rng.random((50, 9, 9)) < 0.3)
    overlap = iou(counts)
    assert np.allclose(dice(counts), 2 * overlap / (1 + overlap))
    assert (overlap <= dice(counts)).all()


def test_large_images_do_not_overflow():
    full = np.ones((1, 700, 700), dtype=bool)
    assert overlap_counts(full, full).tolist() == [[490_000, 0, 0]]


def test_patients_are_drawn_not_images():
    values = np.array([0.0, 1.0, 1.0, 1.0])
    patients = np.array(["a", "b", "b", "b"])
    seen: list[tuple[float, ...]] = []

    def statistic(drawn: np.ndarray) -> float:
        seen.append(tuple(sorted(drawn)))
        return float(drawn.mean())

    estimate = bootstrap(values, patients, statistic=statistic, repeats=200)
    # Two patients drawn from two: (a, a), (a, b) or (b, b), each with all of its images.
    assert set(seen[:-1]) == {(0.0, 0.0), (0.0, 1.0, 1.0, 1.0), (1.0,) * 6}
    assert estimate == Estimate(0.75, 0.0, 1.0, 4, 2)


def test_constant_data_give_an_interval_of_no_width():
    estimate = bootstrap(np.full(7, 0.25), np.array(list("aabbbcd")))
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)
    assert (estimate.n_images, estimate.n_patients) == (7, 4)


def test_one_patient_gives_no_spread():
    estimate = bootstrap(np.array([0.0, 1.0]), np.array(["a", "a"]))
    assert estimate.low == estimate.high == estimate.value == 0.5


def test_repeatable_and_another_seed_differs():
    rng = np.random.default_rng(0)
    values, patients = rng.random(100), rng.integers(30, size=100)
    assert bootstrap(values, patients) == bootstrap(values, patients)
    assert bootstrap(values, patients, seed=1) != bootstrap(values, patients)


def test_the_order_of_images_does_not_matter():
    rng = np.random.default_rng(0)
    values, patients = rng.random(100), rng.integers(30, size=100).astype(str)
    order = rng.permutation(100)
    one, other = bootstrap(values, patients), bootstrap(values[order], patients[order])
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_width_for_independent_images_and_for_images_that_repeat_their_patient():
    rng = np.random.default_rng(0)
    by_patient = rng.normal(size=200)
    alone = bootstrap(by_patient, np.arange(200))
    # The mean of 200 unit normals: 2 x 1.96 / sqrt(200) wide.
    assert alone.high - alone.low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.2)
    # Ten copies of each image tell nothing new.
    copied = bootstrap(np.repeat(by_patient, 10), np.repeat(np.arange(200), 10))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_no_image_is_an_error():
    with pytest.raises(ValueError, match="Expected argument `values`"):
        bootstrap(np.array([]), np.array([]))


def test_as_text_and_as_json():
    estimate = Estimate(0.51234, 0.4, 0.61, 10, 3)
    assert str(estimate) == "0.512 [0.400, 0.610]"
    assert estimate.to_dict() == {"value": 0.5123, "low": 0.4, "high": 0.61, "n_images": 10, "n_patients": 3}
