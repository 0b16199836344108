"""FROC by LUNA16's rule: hits, what is ignored, the curve by hand, and intervals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import RATES, Detections, Matched, cpm, froc, match
from training.metrics.torchvision_operators import declare_operators


def detections(candidates, nodules=(), ignored=()) -> Detections:
    """Candidates (x, probability), nodules and ignored (x, radius), all on a line."""
    on_line = lambda xs: np.array([(x, 0.0, 0.0) for x in xs]).reshape(-1, 3)  # noqa: E731
    return Detections(
        on_line([x for x, _ in candidates]), np.array([p for _, p in candidates]),
        on_line([x for x, _ in nodules]), np.array([r for _, r in nodules]),
        on_line([x for x, _ in ignored]), np.array([r for _, r in ignored]),
    )  # fmt: skip


def test_a_hit_lies_within_the_radius():
    found = match(detections([(4.9, 0.6), (-5.0, 0.9), (2.0, 0.4), (50, 0.7)], nodules=[(0, 5.0)]))
    # At 5.0 it lies on the radius: not closer. The best of two hits counts, the other one is no false positive.
    assert found.nodule_scores.tolist() == [0.6]
    assert sorted(found.false_scores) == [0.7, 0.9]


def test_irrelevant_findings_are_neither_hit_nor_false():
    found = match(detections([(0, 0.6), (30, 0.9), (60, 0.8)], nodules=[(1, 5.0)], ignored=[(31, 5.0), (0, 5.0)]))
    assert found.nodule_scores.tolist() == [0.6]
    assert found.false_scores.tolist() == [0.8]


def test_scans_without_candidates_or_nodules():
    assert match(detections([], nodules=[(0, 5.0)])).nodule_scores.tolist() == [-np.inf]
    assert match(detections([(0, 0.5)])).false_scores.tolist() == [0.5]
    assert froc([detections([(0, 0.5)])]) is None
    blind = froc([detections([], nodules=[(0, 5.0)])])
    assert blind.cpm == 0
    assert [p.found for p in blind.points] == [0] * 7
    assert blind.points[0].threshold is None


def test_the_curve_by_hand():
    """Two scans. By falling score: nodule .9, false .8, nodule .7, false .6, false .5; one nodule is missed."""
    scans = [
        Matched(np.array([0.9, -np.inf]), np.array([0.8, 0.5])),
        Matched(np.array([0.7]), np.array([0.6])),
    ]
    found = froc(scans)
    # Curve (false positives a scan, sensitivity): (0, 1/3) (.5, 1/3) (.5, 2/3) (1, 2/3) (1.5, 2/3).
    expected = [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3]
    assert [p.sensitivity for p in found.points] == pytest.approx(expected)
    assert found.cpm == pytest.approx(np.mean(expected))
    assert [(p.found, p.false_positives, p.threshold) for p in found.points] == [
        (1, 0, 0.9), (1, 0, 0.9), (2, 1, 0.7), (2, 2, 0.6), (2, 3, 0.5), (2, 3, 0.5), (2, 3, 0.5),
    ]  # fmt: skip
    assert (found.n_scans, found.n_nodules, found.n_hit_by_any, found.n_false) == (2, 3, 2, 3)
    assert found.cpm_low is None
    assert found.points[0].low is None, "two scans say nothing of others"


def test_between_two_points_sensitivity_is_interpolated():
    """One scan, (0, 0) to (1, 0) to (1, 1): equal scores come together, so the curve runs straight to (1, 1)."""
    found = froc([Matched(np.array([0.5]), np.array([0.5]))])
    assert [p.sensitivity for p in found.points] == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1, 1, 1, 1])
    assert [p.found for p in found.points] == [0, 0, 0, 1, 1, 1, 1]


def test_a_perfect_system():
    rng = np.random.default_rng(0)
    found = froc([Matched(rng.uniform(0.6, 1, 3), rng.uniform(0, 0.4, 9)) for _ in range(6)])
    assert found.cpm == 1
    assert (found.cpm_low, found.cpm_high) == (1, 1)
    assert all((p.low, p.high) == (1, 1) for p in found.points)


def test_intervals_come_from_scans():
    rng = np.random.default_rng(0)
    scans = [Matched(np.where(rng.random(4) < 0.7, rng.random(4), -np.inf), 0.8 * rng.random(6)) for _ in range(30)]
    found = froc(scans, repeats=300)
    for point in found.points:
        assert 0 <= point.low <= point.sensitivity <= point.high <= 1
    assert found.cpm_low < found.cpm < found.cpm_high
    assert froc(scans, repeats=300).to_dict() == found.to_dict()
    # Every scan twice: the curve stays, the interval narrows.
    twice = froc(scans + scans, repeats=300)
    assert twice.cpm == pytest.approx(found.cpm)
    assert twice.cpm_high - twice.cpm_low < found.cpm_high - found.cpm_low


def test_against_the_reference_formula():
    """The challenge's own way: an ROC of candidates, scaled to false positives a scan and to all nodules."""
    declare_operators()
    from torchmetrics.functional.classification import binary_roc

    rng = np.random.default_rng(0)
    scans = [Matched(np.round(rng.random(3), 2), np.round(rng.random(20) * 0.9, 2)) for _ in range(12)]
    missed = [Matched(np.append(s.nodule_scores, -np.inf), s.false_scores) for s in scans]
    truth = np.concatenate([np.r_[np.ones(3), np.zeros(20)] for _ in scans])
    score = np.concatenate([np.r_[s.nodule_scores, s.false_scores] for s in scans])
    fpr, tpr, _ = binary_roc(torch.tensor(score), torch.tensor(truth).long())
    reference = np.interp(RATES, fpr.numpy() * 240 / 12, tpr.numpy() * 36 / 48)
    assert [p.sensitivity for p in froc(missed).points] == pytest.approx(reference, abs=1e-5)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="radii_mm"):
        Detections(np.zeros((0, 3)), np.zeros(0), np.zeros((2, 3)), np.zeros(1))
    with pytest.raises(ValueError, match="7 values"):
        cpm([0.5])


# Subnormal numbers are equal to zero where the processor flushes them, as training sets it to.
scores = st.lists(st.floats(0, 1, allow_subnormal=False), max_size=8).map(np.array)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=4))
def test_sensitivity_rises_with_the_rate_and_only_the_ranking_matters(parts):
    scans = [Matched(hits, false) for hits, false in parts]
    found = froc(scans)
    if found is None:
        assert sum(len(hits) for hits, _ in parts) == 0
        return
    values = [p.sensitivity for p in found.points]
    assert values == sorted(values)
    assert all(0 <= v <= 1 for v in values)
    assert all(p.false_positives <= p.rate * found.n_scans for p in found.points)
    assert all(p.found / p.nodules <= p.sensitivity + 1e-12 for p in found.points)
    halved = froc([Matched(m.nodule_scores / 2, m.false_scores / 2) for m in scans])
    assert halved.cpm == pytest.approx(found.cpm)
