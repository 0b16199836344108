"""Intervals: against the plain bootstrap, coverage, pairing, seeds."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import bootstrap
from training.report.resample import DETECTABLE, Sample, estimate, gap


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


def test_pairing_removes_what_patients_share():
    rng = np.random.default_rng(2)
    ease = rng.normal(0, 0.2, 40)
    a, b = (noisy(rng, mean=m, within=0.02, ease=ease) for m in (0.62, 0.6))
    found = gap(a, b)
    assert found.separable and found.low > 0 and found.high - found.low < 0.02
    elsewhere = Sample(b.values, np.char.add("x", b.patients))
    assert not gap(a, elsewhere).separable


def test_a_gap_turned_round_changes_its_sign():
    rng = np.random.default_rng(3)
    a, b = noisy(rng, mean=0.65, seeds=2), noisy(rng)
    assert gap(a, b).value == pytest.approx(-gap(b, a).value)


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(4)
    ease = rng.normal(0, 0.1, 40)
    still, moved = (noisy(np.random.default_rng(5), seeds=4, ease=ease, seed_sd=s) for s in (0, 0.05))
    reference = noisy(rng, seeds=4, ease=ease)
    assert gap(moved, reference).high - gap(moved, reference).low > 2 * (
        gap(still, reference).high - gap(still, reference).low
    )
    assert gap(moved, reference).seeds_resampled
    assert not gap(Sample(moved.values[:1], moved.patients), reference).seeds_resampled


def test_intervals_cover_a_difference_of_nothing_about_as_often_as_they_say():
    rng, missed = np.random.default_rng(6), 0
    for repeat in range(100):
        ease = rng.normal(0, 0.1, 60)
        a, b = (noisy(rng, patients=60, seeds=4, ease=ease, seed_sd=0.01) for _ in range(2))
        missed += gap(a, b, repeats=400, seed=repeat).separable
    assert missed <= 14  # 5 % are expected; four seeds spread somewhat less than their normal law


def test_smallest_detectable_difference():
    # An interval of +- 1.96 standard errors: 2.80 standard errors are found in 80 % of studies.
    rng = np.random.default_rng(7)
    found = gap(noisy(rng), noisy(rng))
    assert found.detectable == pytest.approx(2.802 / 3.92 * (found.high - found.low), rel=1e-3)
    assert DETECTABLE == pytest.approx(0.7148, abs=1e-4)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 3)), np.zeros((1, 2))])
def test_shapes_are_checked(values):
    with pytest.raises(ValueError, match="values"):
        Sample(values, np.array(list("abc")))
