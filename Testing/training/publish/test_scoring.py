"""Candidate scorer and operating points, on candidates made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.candidate import Candidate
from training.evaluate.whole_scans import Truth
from training.lidc.consensus import ConsensusNodule
from training.publish.scoring import (
    JudgedScan,
    fit_scorer,
    judge_candidates,
    operating_curve,
    operating_points,
    two_fold_scores,
)

NAMES = ("view_mean", "diameter_mm")


def candidate(view_mean: float, diameter: float, offset: tuple[int, int, int] = (0, 0, 0)) -> Candidate:
    mask = np.ones((1, 2, 2), bool)
    features = dict(zip(NAMES, (view_mean, diameter)))
    return Candidate(offset, mask, view_mean, view_mean, (0.0, 0.0, 0.0), diameter, features)


def scan(kinds: str, *, seed: int, readers: tuple[int, ...] = (4,)) -> JudgedScan:
    """'n' a nodule (the first is nodule 0, and so on), 'f' a false candidate, 'm' a finding."""
    rng = np.random.default_rng(seed)
    candidates, hits, number = [], [], 0
    for kind in kinds:
        high = kind == "n"
        view_mean = rng.uniform(0.6, 1.0) if high else rng.uniform(0.0, 0.5)
        candidates.append(candidate(float(view_mean), float(rng.uniform(4, 9))))
        hits.append(frozenset({number} if high else ()))
        number += high
    words = {"n": "nodule", "f": "false", "m": "finding"}
    return JudgedScan(f"P{seed}", tuple(candidates), tuple(words[k] for k in kinds), tuple(hits), readers)


def test_fitted_scorer_ranks_by_what_separates() -> None:
    scorer = fit_scorer([scan("nnnfffff", seed=s, readers=(4, 4, 4)) for s in range(4)], NAMES)
    assert scorer({"view_mean": 0.9, "diameter_mm": 6.0}) > 0.5 > scorer({"view_mean": 0.2, "diameter_mm": 6.0})
    assert abs(scorer.coefficients[0]) > 5 * abs(scorer.coefficients[1])


def test_fit_balances_nodules_and_false_candidates() -> None:
    # With no information in the features the weighted optimum is one half, however few the nodules.
    plain = [candidate(0.5, 6.0) for _ in range(10)]
    kinds = ("nodule",) + ("false",) * 9
    judged = JudgedScan("P", tuple(plain), kinds, tuple(frozenset({0} if k == "nodule" else ()) for k in kinds), (3,))
    assert fit_scorer([judged], NAMES)({"view_mean": 0.5, "diameter_mm": 6.0}) == pytest.approx(0.5, abs=1e-6)


def test_fit_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="nodules and false candidates"):
        fit_scorer([scan("mmm", seed=0)], NAMES)


def test_two_folds_never_score_a_scan_by_itself() -> None:
    scans = [scan("nnff", seed=s, readers=(4, 4)) for s in range(4)]
    scores = two_fold_scores(scans, NAMES)
    other = fit_scorer(scans[1::2], NAMES)
    assert scores[0].tolist() == [other(c.features) for c in scans[0].candidates]
    assert [len(s) for s in scores] == [4, 4, 4, 4]


def test_operating_curve_by_hand() -> None:
    judged = JudgedScan(
        "P",
        tuple(candidate(0.5, 5.0) for _ in range(4)),
        ("nodule", "false", "finding", "nodule"),
        (frozenset({0}), frozenset(), frozenset(), frozenset({1})),
        (4, 2, 3),
    )
    curve = operating_curve([judged], [np.array([0.9, 0.7, 0.6, 0.5])])
    assert [(p["threshold"], p["found"], p["found_any"], p["false_positives"]) for p in curve] == [
        (0.9, 1, 1, 0),
        (0.7, 1, 1, 1),
        (0.6, 1, 1, 1),
        (0.5, 1, 2, 1),
    ]
    assert {(p["nodules"], p["nodules_any"], p["scans"]) for p in curve} == {(2, 3, 1)}
    points = operating_points(curve, {"strict": 0.5, "balanced": 1})
    assert [(p["name"], p["threshold"]) for p in points] == [("strict", 0.9), ("balanced", 0.5)]


def test_at_its_own_threshold_a_candidate_counts_as_in_use() -> None:
    scores = np.array([0.76746, 0.76752, 0.2])
    one = tuple(candidate(0.5, 5.0) for _ in scores)
    curve = operating_curve([JudgedScan("P", one, ("false",) * 3, (frozenset(),) * 3, (4,))], [scores])
    for point in curve:
        assert point["false_positives"] == (scores >= point["threshold"]).sum()
    assert [p["threshold"] for p in curve] == [0.7675, 0.7674, 0.2]


def test_candidates_are_judged_by_consensus_then_annotation_then_mark() -> None:
    votes = np.zeros((1, 4, 4), np.uint8)
    votes[0, :2] = 4
    votes[0, 2:] = 1  # one reader of four: annotation without consensus
    nodule = ConsensusNodule((), (0, 10, 10), votes, 4)
    truth = Truth("P", (nodule,), np.array([[0.0, 30.0, 30.0]]), (0, 0), np.array([0.0]), (1.0, 1.0, 1.0))
    found = [candidate(0.5, 5.0, (0, j, i)) for j, i in ((10, 10), (12, 10), (30, 32), (2, 2))]
    judged = judge_candidates(found, truth, (1, 40, 40))
    assert judged.kinds == ("nodule", "finding", "finding", "false")
    assert judged.hits[0] == frozenset({0})
