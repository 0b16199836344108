"""Candidates, their features and their score."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate, overlap, share_inside, without_doubles
from LungNoduleSegLib.inference.features import FEATURES, hu_features, lung_features, shape_features, view_features
from LungNoduleSegLib.inference.scorer import CandidateScorer, plain_score, score
from Testing.inference.phantom import thorax


def candidate(offset=(0, 0, 0), shape=(2, 4, 4), probability=0.5):
    return Candidate(offset, np.ones(shape, bool), probability, 0.9, (0.0, 0.0, 0.0), 5.0, {"view_mean": 0.5})


def test_candidate_is_checked_and_read_only():
    with pytest.raises(ValueError, match="probability"):
        candidate(probability=1.2)
    with pytest.raises(ValueError, match="mask"):
        Candidate((0, 0, 0), np.zeros((1, 2, 2), bool), 0.5, 0.5, (0.0, 0.0, 0.0), 1.0)
    one = candidate((1, 2, 3))
    assert one.box == (slice(1, 3), slice(2, 6), slice(3, 7))
    with pytest.raises(ValueError, match="read-only"):
        one.mask[0, 0, 0] = False
    again = pickle.loads(pickle.dumps(one))
    assert again.features == one.features and again.offset_kji == one.offset_kji
    np.testing.assert_array_equal(again.mask, one.mask)


def test_overlap_is_a_share_of_the_smaller():
    large, small = candidate((0, 0, 0), (4, 10, 10)), candidate((3, 8, 8), (2, 4, 4))
    assert overlap(large, small) == pytest.approx(4 / 32)
    assert overlap(small, large) == pytest.approx(4 / 32)
    assert overlap(large, candidate((4, 0, 0))) == 0


def test_share_of_voxels_inside_a_candidate():
    mask = np.ones((1, 2, 2), bool)
    mask[0, 1, 1] = False
    one = Candidate((5, 10, 20), mask, 0.5, 0.5, (0.0, 0.0, 0.0), 2.0)
    voxels = np.array([[5, 10, 20], [5, 11, 21], [5, 9, 20], [6, 10, 20]])
    assert share_inside(voxels, one) == 0.25
    assert share_inside(voxels[:1], one) == 1.0


def test_of_doubles_the_more_probable_one_stays_and_masks_do_not_overlap():
    weak, strong = candidate((0, 0, 0), probability=0.4), candidate((0, 0, 1), probability=0.8)
    far = candidate((0, 20, 20), probability=0.1)
    assert without_doubles([weak, far, strong]) == [strong, far]
    touching = candidate((0, 0, 4), probability=0.2)
    kept = without_doubles([strong, touching])
    assert kept[0] is strong and kept[1].mask.sum() == 2 * 4 * 3
    assert overlap(*kept) == 0 and kept[1].offset_kji == (0, 0, 5)


def test_view_features_by_hand():
    by_view = np.full((3, 1, 2, 2), 0.8, np.float32)
    by_view[1] = 0.5
    by_view[2] = np.nan
    mask = np.array([[[True, True], [True, False]]])
    found = view_features(by_view, mask)
    assert found["view_mean"] == pytest.approx(0.65) and found["view_spread"] == pytest.approx(0.15)
    # 20th percentile of 0.5 and 0.8, linear: 0.5 + 0.2 x 0.3.
    assert found["view_low"] == pytest.approx(0.56)


def test_features_of_a_ball_in_lung_and_at_the_wall():
    hu = np.full((21, 40, 40), -850, np.int16)
    k, j, i = np.indices(hu.shape, sparse=True)
    ball = (k - 10) ** 2 + (j - 20) ** 2 + (i - 20) ** 2 <= 25
    hu[ball] = 50
    box = np.s_[5:16, 15:26, 15:26]
    spacing = (1.0, 1.0, 1.0)
    free = hu_features(hu, (5, 15, 15), ball[box], spacing)
    assert free["mean_hu"] == 50 and free["spread_hu"] == 0 and free["shell_hu"] == pytest.approx(-850)
    assert free["contrast_hu"] == pytest.approx(900) and free["shell_dense"] == 0
    hu[:, :, 24:] = 50  # a wall
    hu[ball] = 50
    wall = hu_features(hu, (5, 15, 15), ball[box], spacing)
    assert 0.1 < wall["shell_dense"] < 0.5
    # The near shell lies against the wall as far as the ball does; a faint ball's wall is denser than it all the same.
    assert free["attached"] == 0 and 0.15 < wall["attached"] < 0.6
    hu[ball] = -500
    assert hu_features(hu, (5, 15, 15), ball[box], spacing)["attached"] == pytest.approx(wall["attached"], abs=0.15)
    shape = shape_features(ball[box], spacing)
    assert shape["elongation"] == pytest.approx(1, abs=0.01) and shape["diameter_mm"] == pytest.approx(10, abs=0.3)
    assert shape["fill"] == pytest.approx(np.pi / 6, abs=0.15)


@pytest.mark.parametrize("slice_mm", [2.5, 3.0, 5.0])
def test_a_vessel_across_thick_slices_is_attached_to_what_goes_on(slice_mm):
    """Round on the two slices of its mask, and on those beside them too; a nodule is on its own slices alone."""
    spacing = (slice_mm, 0.7, 0.7)
    hu = np.full((12, 40, 40), -850, np.int16)
    j, i = np.indices(hu.shape[1:])
    round_ = (j - 20) ** 2 + (i - 20) ** 2 <= 25
    mask = np.stack([round_[15:26, 15:26]] * 2)
    hu[5:7, round_] = 50
    nodule = hu_features(hu, (5, 15, 15), mask, spacing)
    hu[:, round_] = 50
    vessel = hu_features(hu, (5, 15, 15), mask, spacing)
    assert nodule["attached"] == 0
    assert vessel["attached"] > 0.15
    assert vessel["contrast_hu"] < nodule["contrast_hu"]


def test_share_inside_of_the_lungs():
    ct, lung = thorax(shape=(60, 260, 260), spacing=(2.5, 1.2, 1.2))
    free = np.ones((4, 10, 10), bool)
    k, j, i = 30, 125, 65
    assert lung[k : k + 4, j : j + 10, i : i + 10].all()
    assert lung_features(ct, (k, j, i), free)["lung_share"] > 0.95
    # In the wall, far from the lung.
    assert lung_features(ct, (k, 2, 2), free)["lung_share"] == 0
    none = CT.from_array(np.full((5, 20, 20), 40, np.int16))
    assert lung_features(none, (0, 0, 0), free)["lung_share"] == 1


def some_features(**changed):
    values = dict.fromkeys(FEATURES, 0.0)
    values.update(view_mean=0.8, diameter_mm=6.0, elongation=2.0)
    return {**values, **changed}


def test_plain_score_by_hand():
    assert plain_score(some_features()) == pytest.approx(0.8 * 0.5 / 2)
    assert plain_score(some_features(diameter_mm=40.0, elongation=1.0)) == pytest.approx(0.8)
    assert score(some_features(), None) == plain_score(some_features())


def test_fitted_scorer_by_hand_and_through_its_card():
    scorer = CandidateScorer(("view_mean", "elongation"), (0.5, 1.0), (0.1, 2.0), (2.0, -1.0), 0.5)
    # (0.8 - 0.5) / 0.1 = 3; (2 - 1) / 2 = 0.5; 2 x 3 - 0.5 + 0.5 = 6.
    assert scorer(some_features()) == pytest.approx(1 / (1 + np.exp(-6)))
    assert CandidateScorer.from_dict(scorer.to_dict()) == scorer
    assert score(some_features(), scorer) == scorer(some_features())
    # A value like no other counts as six standard deviations.
    assert scorer(some_features(view_mean=1e9)) == scorer(some_features(view_mean=1.1))


@pytest.mark.parametrize(
    "change",
    [
        {"features": ("view_mean", "charm")},
        {"mean": (0.5,)},
        {"scale": (0.1, 0.0)},
        {"coefficients": (float("nan"), 1.0)},
        {"intercept": float("inf")},
    ],
)
def test_scorer_is_checked(change):
    good = {"features": ("view_mean", "elongation"), "mean": (0, 0), "scale": (1, 1), "coefficients": (1, 1)}
    with pytest.raises(ValueError, match="Expected"):
        CandidateScorer(**{**good, "intercept": 0.0, **change})
