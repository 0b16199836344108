"""Paired comparison and bootstrap of sums: by hand, by simulation, and the properties that they must have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from training.metrics import bootstrap, bootstrap_totals, paired_bootstrap, smallest_detectable_difference
from training.metrics.bootstrap import draw


def test_mean_is_drawn_as_any_other_statistic():
    rng = np.random.default_rng(0)
    values, patients = rng.random(60), rng.integers(12, size=60)
    quick = bootstrap(values, patients, repeats=300)
    slow = bootstrap(values, patients, statistic=lambda v: float(np.mean(v)), repeats=300)
    assert (quick.value, quick.low, quick.high) == pytest.approx((slow.value, slow.low, slow.high))


@pytest.mark.parametrize("count", [1, 3, 75, 134])
def test_draws_are_those_that_shipped_cards_were_made_with(count):
    """Patient by patient, as the cards' intervals were drawn: a figure must come out the same when it is made again."""
    rng = np.random.default_rng(0)
    assert np.array_equal(draw(count, 20, 0), [rng.integers(count, size=count) for _ in range(20)])


def test_a_ratio_of_sums_by_hand():
    # Two patients: 1 of 2, and 3 of 4; the draws are 1/2, 4/6 and 3/4.
    totals = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = bootstrap_totals(totals, lambda t: t[..., 0] / t[..., 1], n_images=6, repeats=400)
    assert (found.value, found.low, found.high) == pytest.approx((4 / 6, 0.5, 0.75))
    assert (found.n_images, found.n_patients) == (6, 2)


def test_a_figure_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="totals"):
        bootstrap_totals(np.zeros((0, 2)), lambda t: t[..., 0], n_images=0)
    with pytest.raises(ValueError, match="totals"):
        bootstrap_totals(np.ones((2, 1)), lambda t: t[..., 0] * np.nan, n_images=2)


def test_the_same_model_does_not_differ_from_itself():
    rng = np.random.default_rng(0)
    values, patients = rng.random(100), rng.integers(20, size=100)
    found = paired_bootstrap(values, values, patients)
    assert (found.value, found.low, found.high, found.standard_error, found.p) == (0, 0, 0, 0, 1)
    assert not found.separable


def test_pairing_finds_what_two_intervals_would_hide():
    """Patients differ by far more than the models do."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(50), 4)
    level = rng.normal(0.5, 0.2, 50)[patients]
    a, b = level + 0.02 + rng.normal(0, 0.02, 200), level + rng.normal(0, 0.02, 200)
    assert bootstrap(a, patients).low < bootstrap(b, patients).high
    found = paired_bootstrap(a, b, patients)
    assert found.separable
    assert found.low > 0
    assert found.p < 0.01
    assert (found.n_images, found.n_patients, found.n_seeds) == (200, 50, (1, 1))


def test_swapping_the_models_turns_the_sign():
    rng = np.random.default_rng(0)
    a, b, patients = rng.random((3, 80)), rng.random((3, 80)), rng.integers(15, size=80)
    there, back = paired_bootstrap(a, b, patients), paired_bootstrap(b, a, patients)
    assert there.value == pytest.approx(-back.value)
    # Runs are drawn by other numbers, so the ends agree as far as 2000 draws do.
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.02)


def test_an_unpaired_shift_is_the_standard_error_of_a_mean():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=400), rng.normal(size=400)
    found = paired_bootstrap(a, b, np.arange(400))
    assert found.standard_error == pytest.approx((a - b).std() / np.sqrt(400), rel=0.06)


def test_seeds_widen_the_interval_by_their_own_spread():
    """Images that agree, runs that do not: the error is that of a mean of few runs, without the bias of drawing few."""
    runs_a, runs_b = np.array([0.50, 0.60, 0.40, 0.50]), np.array([0.5, 0.5, 0.5, 0.5])
    a, b = np.repeat(runs_a[:, None], 30, axis=1), np.repeat(runs_b[:, None], 30, axis=1)
    found = paired_bootstrap(a, b, np.arange(30), repeats=4000)
    assert found.standard_error == pytest.approx(runs_a.std(ddof=1) / 2, rel=0.05)
    assert found.n_seeds == (4, 4)
    assert not found.separable


def test_one_run_against_several():
    found = paired_bootstrap(np.full(10, 0.7), np.full((3, 10), 0.6), np.arange(10))
    assert found.value == pytest.approx(0.1)
    assert found.n_seeds == (1, 3)


@pytest.mark.slow
def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, inside, trials = np.random.default_rng(0), 0, 300
    for trial in range(trials):
        shift = 0.1 + rng.normal(0, 0.05, (2, 4))  # runs of A and B around a true difference of .1
        a = np.repeat(shift[0][:, None], 40, axis=1) + rng.normal(0, 0.1, (1, 40))
        b = np.repeat(shift[1][:, None] - 0.1, 40, axis=1) + rng.normal(0, 0.1, (1, 40))
        found = paired_bootstrap(a, b, np.arange(40), repeats=300, seed=trial)
        inside += found.low <= 0.1 <= found.high
    assert 0.87 < inside / trials < 0.99


def test_smallest_detectable_difference():
    assert smallest_detectable_difference(1.0) == pytest.approx(norm.ppf(0.975) + norm.ppf(0.8))
    assert smallest_detectable_difference(0.01) == pytest.approx(0.0280, abs=1e-4)
    assert smallest_detectable_difference(1.0, significance=0.01, power=0.9) == pytest.approx(3.858, abs=1e-3)


def test_a_true_difference_of_that_size_is_found_four_times_in_five():
    rng, error = np.random.default_rng(0), 0.1 / np.sqrt(50)
    shift = smallest_detectable_difference(error)
    estimates = shift + rng.normal(0, error, 20_000)
    assert (np.abs(estimates) > 1.96 * error).mean() == pytest.approx(0.8, abs=0.01)


def test_as_text_and_as_json():
    found = paired_bootstrap(np.array([0.5, 0.6]), np.array([0.4, 0.5]), np.array(["a", "b"]), repeats=50)
    assert str(found) == "+0.100 [+0.100, +0.100]"
    assert found.to_dict()["separable"] is True
    assert found.to_dict()["n_seeds"] == (1, 1)
    assert found.to_dict()["smallest_detectable"] == 0


def test_other_images_are_refused():
    with pytest.raises(ValueError, match="got 3, 2 and 3"):
        paired_bootstrap(np.zeros(3), np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="at least one"):
        paired_bootstrap(np.zeros(0), np.zeros(0), np.zeros(0))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**16), st.floats(-1, 1))
def test_moving_one_model_moves_the_difference(images, runs, seed, shift):
    rng = np.random.default_rng(seed)
    a, b, patients = rng.random((runs, images)), rng.random((runs, images)), rng.integers(4, size=images)
    before, after = (paired_bootstrap(x, b, patients, repeats=100) for x in (a, a + shift))
    for name in ("value", "low", "high"):
        assert getattr(after, name) == pytest.approx(getattr(before, name) + shift, abs=1e-9)
    assert after.standard_error == pytest.approx(before.standard_error, abs=1e-9)
    assert before.low <= before.high
