"""The sensitivity slider: nodules of a run come and go, and what the user has touched stays."""

from __future__ import annotations

import time

import numpy as np
import pytest
from slicer_harness.samples import UIDS, result_of, sample_ct

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.mrml import NoduleReview, empty_segmentation, volume_from_ct
from LungNoduleSegLib.segmenter import Result
from Testing.mrml.review_state import ids, masks, paint, state

A, B, C = UIDS  # of the probabilities .85, .75 and .65


@pytest.fixture
def review(scene):
    volume = volume_from_ct(sample_ct()[0], scene)
    return NoduleReview(empty_segmentation(volume), volume)


@pytest.fixture
def run(review):
    result = result_of(review.ct, sample_ct()[1])
    review.add(result.at(0.6))
    return result


def test_nodules_come_and_go_without_a_step(review, run):
    before = state(review)
    calls = []
    review.on_change.append(lambda: calls.append(1))
    review.follow(run.at(0.8))
    assert ids(review) == [A] and calls == [1] and review.result.threshold == 0.8
    review.follow(run.at(0.79))
    assert calls == [1]
    review.follow(run.at(0.99))
    assert review.rows == ()
    review.follow(run.at(0.7))
    assert ids(review) == [A, B] and [row.name for row in review.rows] == ["Nodule 1", "Nodule 2"]
    review.follow(run.at(0.0))
    assert state(review) == before
    assert review.undo_text == "Find nodules" and not review.can_redo and not review.refresh()


def test_one_that_appears_late_has_a_number_of_its_own(review, run):
    review.delete(ids(review))
    review.add(run.at(0.8))
    assert [row.name for row in review.rows] == ["Nodule 1"]
    labels = np.zeros_like(sample_ct()[1])
    labels[2:5, 2:8, 2:8] = 1
    review.add(result_of(review.ct, labels, kind="SEMIAUTOMATIC", uids=("2.25.9",)), text="Click")
    review.follow(run.at(0.6))
    assert [(row.segment_id, row.name) for row in review.rows] == [
        (A, "Nodule 1"), ("2.25.9", "Nodule 2"), (B, "Nodule 3"), (C, "Nodule 4"),
    ]  # fmt: skip
    review.follow(run.at(0.99))
    review.follow(run.at(0.6))
    assert sorted((row.segment_id, row.name) for row in review.rows) == sorted(
        [(A, "Nodule 1"), ("2.25.9", "Nodule 2"), (B, "Nodule 3"), (C, "Nodule 4")]
    )
    assert len({row.nodule.label for row in review.rows}) == 4


@pytest.mark.parametrize(
    "touch",
    [
        lambda review: review.accept([C]),
        lambda review: review.reject([C]),
        lambda review: review.rename(C, "Mine"),
        lambda review: review.set_type(C, "ground-glass"),
        lambda review: paint(review, C, np.s_[16:22, 34:44, 55:62]),
        lambda review: review.merge([C, B]),
        lambda review: review.replace(C, result_of(review.ct, sample_ct()[1] // 3, kind="SEMIAUTOMATIC")),
    ],
    ids=["accepted", "rejected", "renamed", "typed", "edited", "merged", "clicked"],
)
def test_what_the_user_has_touched_stays(review, run, touch):
    touch(review)
    review.refresh()
    before, mask = review.row(C), masks(review)[C]
    others = [one for one in ids(review) if one != C]
    review.follow(run.at(0.99))
    assert review.rows == (before,)
    review.follow(run.at(0.1))
    assert set(ids(review)) == {C, *others} and review.row(C) == before
    np.testing.assert_array_equal(masks(review)[C], mask)


def test_what_the_user_has_deleted_does_not_come_back(review, run):
    review.delete([B])
    review.segmentation_node.GetSegmentation().RemoveSegment(C)  # elsewhere
    review.refresh()
    review.follow(run.at(0.99))
    review.follow(run.at(0.1))
    assert ids(review) == [A]
    review.undo()
    review.undo()
    assert ids(review) == [A, B, C]
    review.follow(run.at(0.7))
    review.follow(run.at(0.1))
    assert set(ids(review)) == {A, B, C}
    review.redo()
    review.follow(run.at(0.99))
    review.follow(run.at(0.1))
    assert set(ids(review)) == {A, C}


def test_undo_keeps_the_threshold_that_is_shown(review, run):
    review.accept([A])
    review.follow(run.at(0.7))
    review.reject([A])
    review.follow(run.at(0.8))
    assert ids(review) == [A]
    assert review.undo() and ids(review) == [A] and review.row(A).status == "accepted"
    assert review.undo() and ids(review) == [A] and review.row(A).status == "pending"
    review.follow(run.at(0.9))
    assert review.rows == ()
    assert review.redo() and ids(review) == [A] and review.row(A).status == "accepted"
    review.follow(run.at(0.0))
    assert set(ids(review)) == {A, B, C} and review.redo()
    assert set(ids(review)) == {A, B, C} and review.row(A).status == "rejected"


def test_undo_of_a_run_gives_the_one_before_back(review, run):
    second = result_of(review.ct, sample_ct()[1], uids=("2.25.1", "2.25.2", "2.25.3"))
    review.follow(run.at(0.8))
    review.add(second.at(0.7))
    assert ids(review) == ["2.25.1", "2.25.2"]
    with pytest.raises(InputError, match="not of this run"):
        review.follow(run.at(0.6))
    review.undo()
    assert review.result.candidates is run.candidates
    review.follow(run.at(0.0))
    assert set(ids(review)) == {A, B, C}
    review.undo()
    assert review.rows == () and review.result is None
    with pytest.raises(InputError, match="not of this run"):
        review.follow(run.at(0.6))


def test_a_new_nodule_that_the_user_has_already_is_left_out(review, run):
    review.follow(run.at(0.8))
    click = result_of(review.ct, np.where(sample_ct()[1] == 3, 1, 0).astype(np.uint16), kind="SEMIAUTOMATIC",
                      uids=("2.25.9",))  # fmt: skip
    review.add(click, text="Click")
    review.follow(run.at(0.0))
    assert set(ids(review)) == {A, B, "2.25.9"}


def test_sixty_candidates_follow_at_once(scene):
    """Seconds of this process, not of the clock: the machine may be busy."""
    rng = np.random.default_rng(2)
    hu = np.full((60, 256, 256), -850, np.int16)
    balls = np.indices((5, 12, 12)).astype(float)
    ball = sum(((axis - c) / r) ** 2 for axis, c, r in zip(balls, (2, 5.5, 5.5), (2.6, 6, 6), strict=True)) <= 1
    candidates = []
    for number in range(60):
        offset = (3 + 9 * (number % 6), 20 + 40 * (number // 6 % 5), 20 + 100 * (number // 30) + 20 * (number % 2))
        hu[tuple(slice(a, a + n) for a, n in zip(offset, ball.shape, strict=True))][ball] = rng.integers(0, 60)
        candidates.append(Candidate(offset, ball, 1 - number / 100, 1.0, (0.0, 0.0, 0.0), 8.0))
    ct = CT.from_array(hu, spacing_mm=(2.5, 0.7, 0.7))
    volume = volume_from_ct(ct, scene)
    review = NoduleReview(empty_segmentation(volume), volume)
    run = Result(ct=ct, candidates=tuple(candidates), threshold=1.0, min_diameter_mm=0.0, model="m")
    review.add(run)
    assert len(run.at(0.0).nodules) == 60  # measured once, as the run does before it hands its result over
    review.segmentation_node.RemoveClosedSurfaceRepresentation()

    def seconds(threshold):
        begin = time.process_time()
        review.follow(run.at(threshold))
        assert len(review.rows) == sum(candidate.probability >= threshold for candidate in candidates)
        return time.process_time() - begin

    times = [seconds(threshold) for threshold in (0.0, 0.7, 0.99, 0.2)]
    assert max(times) < 0.3, times
    review.segmentation_node.CreateClosedSurfaceRepresentation()
    # Surfaces are made once; segments that come back bring theirs along.
    times = [seconds(threshold) for threshold in (0.99, 0.0, 0.7, 0.2)]
    assert max(times) < 0.3, times
    segmentation = review.segmentation_node.GetSegmentation()
    assert all(segmentation.GetSegment(one).GetRepresentation("Closed surface") is not None for one in ids(review))
