"""The review: results come in, the user judges and changes them, and every step can be undone."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_harness.nodes import parent_transform, user_segment
from slicer_harness.samples import UIDS, result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import NoduleReview, ct_from_volume, empty_segmentation, volume_from_ct
from LungNoduleSegLib.mrml.publishing import TABLE_ROLE
from LungNoduleSegLib.mrml.read import segment_tag
from Testing.mrml.review_state import ids, masks, state

A, B, C = UIDS
OTHER_UIDS = ("2.25.1", "2.25.2", "2.25.3")


@pytest.fixture
def volume(scene):
    return volume_from_ct(sample_ct()[0], scene)


@pytest.fixture
def review(volume):
    return NoduleReview(empty_segmentation(volume), volume)


def found(review, **options):
    return result_of(review.ct, sample_ct()[1], **options)


def test_a_result_comes_in_as_one_step(review):
    assert review.rows == () and not review.can_undo and not review.can_redo
    calls = []
    review.on_change.append(lambda: calls.append(ids(review)))
    result = found(review)
    assert review.add(result) == UIDS
    assert calls == [list(UIDS)]
    for row, nodule in zip(review.rows, result.nodules, strict=True):
        assert row.nodule == nodule and row.name == nodule.name and row.attenuation == nodule.attenuation == "solid"
        assert (row.status, row.edited, row.typed, row.kind, row.model) == (
            "pending", False, False, "AUTOMATIC", "model-2-compact",
        )  # fmt: skip
    for label, mask in enumerate(masks(review).values(), start=1):
        np.testing.assert_array_equal(mask, sample_ct()[1] == label)
    assert review.undo_text == "Find nodules"
    before = state(review)
    assert review.undo() and review.rows == () and not review.can_undo and review.redo_text == "Find nodules"
    assert review.segmentation_node.GetNodeReference(TABLE_ROLE).GetNumberOfRows() == 0
    assert review.redo() and state(review) == before and not review.redo()
    assert len(calls) == 3


def test_looking_at_a_segmentation_changes_nothing(scene, volume):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    user_segment(node, volume)
    before = scene_snapshot(scene)
    review = NoduleReview(node, volume)
    assert review.rows == () and not review.refresh() and not review.undo()
    assert scene_snapshot(scene) == before


def test_every_action_is_undone_and_done_again(review):
    review.add(found(review))
    states = [state(review)]
    texts = []
    for act in (
        lambda: review.accept([A, B]),
        lambda: review.reject([C]),
        lambda: review.rename(A, "  Suspicious \n one "),
        lambda: review.set_type(B, "part-solid"),
        lambda: review.reset([C]),
        lambda: review.merge([B, C]),
        lambda: review.delete([A]),
        lambda: review.set_type(B, ""),
    ):
        act()
        states.append(state(review))
        texts.append(review.undo_text)
    assert texts == ["Accept", "Reject", "Rename", "Set type", "Reset", "Merge", "Delete", "Set type"]
    for expected, text in zip(states[-2::-1], texts[::-1], strict=True):
        assert review.undo_text == text and review.undo()
        assert state(review) == expected
    for expected in states[1:]:
        assert review.redo() and state(review) == expected
    assert not review.can_redo


def test_verdicts(scene, review):
    review.add(found(review))
    review.accept([A])
    review.reject([B])
    assert [row.status for row in review.rows] == ["accepted", "rejected", "pending"]
    display = review.segmentation_node.GetDisplayNode()
    assert [display.GetSegmentVisibility(one) for one in UIDS] == [True, False, True]
    assert set(display.GetVisibleSegmentIDs()) == {A, C}
    segmentation = review.segmentation_node.GetSegmentation()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert [logic.GetSegmentStatus(segmentation.GetSegment(one)) for one in UIDS] == [
        logic.Completed, logic.Flagged, logic.NotStarted,
    ]  # fmt: skip
    review.reset([A, B])
    assert [row.status for row in review.rows] == ["pending"] * 3
    assert all(display.GetSegmentVisibility(one) for one in UIDS)
    assert logic.GetSegmentStatus(segmentation.GetSegment(B)) == logic.NotStarted


def test_slicers_own_status_is_a_verdict_too(review):
    """The Segment Editor's list has a column for it."""
    review.add(found(review))
    segmentation, logic = review.segmentation_node.GetSegmentation(), slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(segmentation.GetSegment(A), logic.Completed)
    logic.SetSegmentStatus(segmentation.GetSegment(B), logic.Flagged)
    logic.SetSegmentStatus(segmentation.GetSegment(C), logic.InProgress)
    assert review.refresh() and [row.status for row in review.rows] == ["accepted", "rejected", "pending"]
    assert not review.segmentation_node.GetDisplayNode().GetSegmentVisibility(B)
    logic.SetSegmentStatus(segmentation.GetSegment(A), logic.NotStarted)
    assert review.refresh() and review.row(A).status == "pending"
    assert review.undo() and review.undo() and [row.status for row in review.rows] == ["pending"] * 3
    assert review.segmentation_node.GetDisplayNode().GetSegmentVisibility(B)


def test_a_rejected_nodule_that_is_deleted_and_comes_back(review):
    review.add(found(review))
    review.reject([B])
    review.delete([B])
    review.undo()
    assert review.row(B).status == "rejected"
    assert not review.segmentation_node.GetDisplayNode().GetSegmentVisibility(B)
    review.undo()
    assert review.segmentation_node.GetDisplayNode().GetSegmentVisibility(B)


def test_what_the_user_has_hidden_stays_hidden(review):
    review.add(found(review))
    display = review.segmentation_node.GetDisplayNode()
    display.SetSegmentVisibility(A, False)
    review.reject([B])
    review.accept([C])
    review.undo()
    review.undo()
    assert [display.GetSegmentVisibility(one) for one in UIDS] == [False, True, True]


def test_an_action_that_changes_nothing_is_no_step(review):
    review.add(found(review))
    calls = []
    review.on_change.append(lambda: calls.append(1))
    review.reset([A])
    review.rename(A, "Nodule 1")
    review.set_type(A, "")
    assert review.undo_text == "Find nodules" and calls == [] and not review.refresh()


def test_type_chooses_the_band(review):
    review.add(found(review))
    assert review.row(A).band.category == ">8 mm"  # a mean diameter of 9.8 mm
    review.set_type(A, "ground-glass")
    row = review.row(A)
    assert (row.attenuation, row.nodule.attenuation, row.typed) == ("ground-glass", "ground-glass", True)
    assert row.band.category == ">=6 mm"
    review.set_type(A, "calcified")
    assert review.row(A).band is None
    review.guideline = "lung-rads-2022"
    assert [row.band.category for row in review.rows] == ["1", "4A", "4A"]
    assert review.undo_text == "Set type"
    with pytest.raises(ValueError, match="lung-rads-2022"):
        review.guideline = "none"
    with pytest.raises(ValueError, match="attenuation"):
        review.set_type(A, "soft")


def test_merging(review):
    review.add(found(review))
    review.rename(C, "Third")
    assert review.merge([C, B]) == C
    assert ids(review) == [A, C]
    np.testing.assert_array_equal(masks(review)[C], sample_ct()[1] >= 2)
    row = review.row(C)
    assert (row.name, row.kind, row.edited, row.nodule.uid) == ("Third", "SEMIAUTOMATIC", False, C)
    assert row.nodule.probability == pytest.approx(0.75)  # that of B, the higher one
    review.undo()
    assert ids(review) == [A, B, C] and review.row(C).nodule.probability == pytest.approx(0.65)
    with pytest.raises(InputError, match="cannot be merged"):
        review.merge([A, A])


def test_a_click_gives_a_nodule_other_voxels(review):
    review.add(found(review))
    review.rename(B, "Mine")
    review.set_type(B, "ground-glass")
    labels = np.zeros_like(sample_ct()[1])
    labels[12:16, 30:40, 40:50] = 1
    review.replace(B, result_of(review.ct, labels, kind="SEMIAUTOMATIC", model="model-1", uids=("2.25.9",)))
    row = review.row(B)
    np.testing.assert_array_equal(masks(review)[B], labels == 1)
    assert (row.nodule.uid, row.name, row.attenuation, row.kind, row.model, row.edited) == (
        B, "Mine", "ground-glass", "SEMIAUTOMATIC", "model-1", False,
    )  # fmt: skip
    assert review.undo_text == "Click" and ids(review) == list(UIDS)
    np.testing.assert_array_equal(masks(review)[C], sample_ct()[1] == 3)
    with pytest.raises(InputError, match="nothing is left"):
        review.replace(B, result_of(review.ct, np.zeros_like(labels), kind="SEMIAUTOMATIC"))


def test_a_second_run_takes_the_place_of_what_nobody_has_touched(review):
    review.add(found(review))
    review.accept([A])
    added = review.add(found(review, model="model-1", uids=OTHER_UIDS))
    # A is kept, so the same nodule of the new run is left out.
    assert added == OTHER_UIDS[1:] and ids(review) == [A, *OTHER_UIDS[1:]]
    assert [row.model for row in review.rows] == ["model-2-compact", "model-1", "model-1"]
    assert sorted(row.nodule.label for row in review.rows) == [1, 2, 3]
    review.undo()
    assert ids(review) == [A, B, C] and review.row(A).status == "accepted"
    assert review.add(found(review, uids=OTHER_UIDS), replace_untouched=False) == ()
    assert ids(review) == [A, B, C]


def test_a_click_replaces_nothing(review):
    review.add(found(review))
    labels = np.zeros_like(sample_ct()[1])
    labels[2:5, 2:8, 2:8] = 1
    click = result_of(review.ct, labels, kind="SEMIAUTOMATIC", uids=("2.25.9",))
    assert review.add(click, text="Click") == ("2.25.9",)
    assert ids(review) == [*UIDS, "2.25.9"]
    assert review.row("2.25.9").name == "Nodule 4" and review.row("2.25.9").kind == "SEMIAUTOMATIC"
    again = result_of(review.ct, np.minimum(sample_ct()[1], 1), kind="SEMIAUTOMATIC", uids=("2.25.10",))
    assert review.add(again, text="Click") == () and ids(review) == [*UIDS, "2.25.9"]


def test_unknown_nodules_and_segments_of_the_user_are_refused(review):
    review.add(found(review))
    drawn = user_segment(review.segmentation_node, review.volume_node)
    before = state(review)
    for act in (
        lambda: review.delete([A, drawn]),
        lambda: review.accept(["2.25.77"]),
        lambda: review.merge([A, drawn]),
        lambda: review.rename(drawn, "x"),
        lambda: review.set_type(drawn, "solid"),
        lambda: review.replace(drawn, found(review, kind="SEMIAUTOMATIC")),
        lambda: review.rename(A, "  "),
    ):
        with pytest.raises(InputError):
            act()
    assert state(review) == before and review.undo_text == "Find nodules"


def test_segments_of_the_user_stay_as_they_are(review):
    drawn = user_segment(review.segmentation_node, review.volume_node)
    segmentation = review.segmentation_node.GetSegmentation()
    before = scene_snapshot(slicer.mrmlScene)["content"][review.segmentation_node.GetID()]
    review.add(found(review))
    review.delete([B])
    segmentation.GetSegment(drawn).SetName("Renamed meanwhile")
    review.merge([A, C])
    while review.undo():
        pass
    after = scene_snapshot(slicer.mrmlScene)["content"][review.segmentation_node.GetID()]
    assert [segment[:1] + segment[2:] for segment in after] == [segment[:1] + segment[2:] for segment in before]
    assert segmentation.GetSegment(drawn).GetName() == "Renamed meanwhile"


@pytest.mark.parametrize("own", [False, True], ids=["the CT's transform", "another transform"])
def test_under_transforms(scene, volume, own):
    transform, _ = parent_transform(scene)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    node = empty_segmentation(volume)
    if own:
        node.SetAndObserveTransformNodeID(parent_transform(scene, angle=-20.0)[0].GetID())
    review = NoduleReview(node, volume)
    labels = sample_ct()[1]
    review.add(found(review))
    review.merge([B, C])
    review.replace(A, found(review, kind="SEMIAUTOMATIC", uids=OTHER_UIDS))
    np.testing.assert_array_equal(review.mask(B).mask, labels[10:24, 32:49, 42:68] >= 2)
    assert review.mask(B).offset_kji == (10, 32, 42)
    assert review.mask(A).mask.sum() == (labels > 0).sum()
    review.undo()
    review.undo()
    result = found(review)
    assert [row.nodule for row in review.rows] == pytest.approx(result.nodules)
    assert ct_from_volume(volume).ijk_to_ras == pytest.approx(review.ct.ijk_to_ras)


def test_a_failure_changes_nothing(scene, review, monkeypatch):
    from LungNoduleSegLib.mrml import review as module
    from LungNoduleSegLib.mrml import shown_run

    review.add(found(review))
    review.reject([C])
    before, everything = state(review), scene_snapshot(scene)["content"]

    def broken(*args, **kwargs):
        raise RuntimeError("broken")

    for where, name, act in (
        (module, "show_rows", lambda: review.delete([A])),
        (module, "show_rows", lambda: review.reset([C])),
        (module, "write_voxels", lambda: review.merge([A, B])),
        (module, "set_origin", lambda: review.merge([A, B])),
        (shown_run, "insert_segment", lambda: review.add(found(review, uids=OTHER_UIDS))),
        (shown_run, "uids_of", lambda: review.follow(review.result.at(0.8))),
        (module, "show_rows", lambda: review.follow(review.result.at(0.8))),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, broken)
            with pytest.raises(RuntimeError, match="broken"):
                act()
        assert state(review) == before
        assert scene_snapshot(scene)["content"] == everything
        assert review.undo_text == "Reject"
        assert not review.refresh()


def test_a_result_of_another_grid_is_refused(review):
    ct, labels = sample_ct(np.eye(4))
    with pytest.raises(InputError, match="from where the result was computed"):
        review.add(result_of(ct, labels))
    assert not review.can_undo


def test_surfaces_follow(review):
    review.add(found(review))
    segmentation = review.segmentation_node.GetSegmentation()

    def surfaces():
        return [segmentation.GetSegment(one).GetRepresentation("Closed surface") is not None for one in ids(review)]

    assert surfaces() == [True] * 3
    review.merge([B, C])
    assert surfaces() == [True] * 2
    review.undo()
    review.undo()
    review.redo()
    assert surfaces() == [True] * 3


def test_tags_are_not_of_a_nodule_that_nobody_judged(review):
    review.add(found(review))
    segment = review.segmentation_node.GetSegmentation().GetSegment(A)
    assert segment_tag(segment, "LungNoduleSeg.Status") == segment_tag(segment, "LungNoduleSeg.Edited") == ""
    review.accept([A])
    assert segment_tag(segment, "LungNoduleSeg.Status") == "accepted"
    assert segment_tag(segment, "Segmentation.Status") == "completed"
    review.set_type(A, "solid")
    assert segment_tag(segment, "LungNoduleSeg.Type") == "solid"
