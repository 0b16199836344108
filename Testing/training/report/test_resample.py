"""Intervals: against the plain bootstrap, coverage, pairing, seeds."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import bootstrap
from training.report.resample import Sample, estimate, paired, unpaired


def noisy(rng, *, patients=40, images=5, seeds=1, mean=0.6, between=0.1, within=0.05, seed_sd=0.0, ease=None):
    """Values whose patients differ by ``between`` and whose seeds differ by ``seed_sd``."""
    ease = rng.normal(0, between, patients) if ease is None else ease
    owner = np.repeat(np.arange(patients), images)
    values = mean + ease[owner] + rng.normal(0, within, (seeds, len(owner))) + rng.normal(0, seed_sd, (seeds, 1))
    return Sample(values, owner.astype(str))


def test_one_seed_is_the_patient_bootstrap():
    sample = noisy(np.random.default_rng(1), images=3)
    ours, plain = estimate(sample), bootstrap(sample.values[0], sample.patients)
    assert ours.value == pytest.approx(plain.value)
    assert (ours.n_images, ours.n_patients) == (plain.n_images, plain.n_patients)
    assert ours.low == pytest.approx(plain.low, abs=0.004) and ours.high == pytest.approx(plain.high, abs=0.004)


def test_equal_values_have_no_width():
    sample = Sample(np.full((2, 6), 0.25), np.array(list("aabbcc")))
    found = estimate(sample)
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)


def test_seeds_that_differ_widen_the_interval():
    still, moved = (noisy(np.random.default_rng(5), seeds=4, seed_sd=s) for s in (0, 0.1))
    assert estimate(moved).high - estimate(moved).low > 1.5 * (estimate(still).high - estimate(still).low)


def test_patients_that_both_have_are_drawn_together():
    rng = np.random.default_rng(2)
    ease = rng.normal(0, 0.2, 40)
    a, b = (noisy(rng, mean=m, within=0.02, ease=ease, images=n) for m, n in ((0.63, 5), (0.6, 4)))
    assert unpaired(a, b).low > 0
    elsewhere = Sample(b.values, np.char.add("x", b.patients))
    found = unpaired(a, elsewhere)
    assert not found.separable and found.n_patients == 80
    assert found.value == pytest.approx(-unpaired(elsewhere, a).value)


def test_on_the_same_images_it_is_the_paired_bootstrap():
    rng = np.random.default_rng(3)
    a, b = noisy(rng, mean=0.65, seeds=3), noisy(rng, seeds=2)
    one, other = paired(a, b), unpaired(a, b)
    assert one.value == pytest.approx(other.value)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.006)
    assert one.n_seeds == other.n_seeds == (3, 2)


def test_intervals_cover_a_difference_of_nothing_about_as_often_as_they_say():
    rng, missed = np.random.default_rng(6), 0
    for repeat in range(100):
        ease = rng.normal(0, 0.1, 60)
        a, b = (noisy(rng, patients=60, seeds=4, ease=ease, seed_sd=0.01) for _ in range(2))
        missed += unpaired(a, b, repeats=400, seed=repeat).separable
    assert missed <= 14  # 5 % are expected; four seeds spread somewhat less than their normal law


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 3)), np.zeros((1, 2))])
def test_shapes_are_checked(values):
    with pytest.raises(ValueError, match="values"):
        Sample(values, np.array(list("abc")))
