"""What others do to the nodules: the Segment Editor, the Segmentations module, the user's scripts; and saved scenes."""

from __future__ import annotations

import time

import numpy as np
import pytest
import slicer
from slicer_harness.nodes import parent_transform, user_segment
from slicer_harness.samples import UIDS, result_of, sample_ct

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.mrml import NoduleReview, empty_segmentation, read, volume_from_ct
from LungNoduleSegLib.mrml.read import segment_tag
from Testing.mrml.review_state import ids, masks, paint, state

A, B, C = UIDS
BOX = np.s_[4:12, 14:26, 12:22]


@pytest.fixture
def volume(scene):
    return volume_from_ct(sample_ct()[0], scene)


@pytest.fixture
def review(volume):
    review = NoduleReview(empty_segmentation(volume), volume)
    review.add(result_of(review.ct, sample_ct()[1]))
    return review


@pytest.fixture
def measured(monkeypatch):
    """Labels of the nodules that were measured, in the order of measuring."""
    seen = []
    original = read.measure_nodule

    def counting(*args, **kwargs):
        seen.append(kwargs["label"])
        return original(*args, **kwargs)

    monkeypatch.setattr(read, "measure_nodule", counting)
    return seen


def segmentation_of(review):
    return review.segmentation_node.GetSegmentation()


def test_a_stroke_measures_one_nodule_again(review, measured):
    before = state(review)
    calls = []
    review.on_change.append(lambda: calls.append(1))
    paint(review, A, BOX)
    assert review.refresh() and measured == [1] and calls == [1]
    row = review.row(A)
    assert (row.edited, row.kind, row.model, row.name) == (True, "SEMIAUTOMATIC", "model-2-compact", "Nodule 1")
    assert row.nodule.uid == A and row.nodule.probability == pytest.approx(0.85)
    voxel = 0.7 * 0.7 * 2.5
    assert row.nodule.volume_mm3 == pytest.approx(8 * 12 * 10 * voxel)
    assert row.nodule.bounds_kji == ((4, 14, 12), (12, 26, 22))
    assert not review.row(B).edited
    assert review.undo_text == "Edit" and not review.refresh() and measured == [1]
    after = state(review)
    assert review.undo() and state(review) == before
    assert review.redo() and state(review) == after


def test_the_last_stroke_before_an_action_is_a_step_of_its_own(review):
    states = [state(review)]
    paint(review, A, BOX)
    review.accept([B])  # nobody has called refresh
    assert review.row(A).edited and review.undo_text == "Accept"
    review.undo()
    assert review.undo_text == "Edit"
    review.undo()
    assert state(review) == states[0]
    paint(review, A, BOX)
    review.undo()
    assert state(review) == states[0] and review.redo_text == "Edit"


def test_layers_that_slicer_collapses_are_no_edit(review, measured):
    segmentation_of(review).CollapseBinaryLabelmaps(False)
    assert segmentation_of(review).GetNumberOfLayers() == 1
    assert not review.refresh() and measured == [] and review.undo_text == "Find nodules"
    paint(review, A, BOX)  # in a layer of its own or not, only one nodule has changed
    assert review.refresh() and measured == [1]
    assert [row.edited for row in review.rows] == [True, False, False]
    for label, segment_id in ((2, B), (3, C)):
        np.testing.assert_array_equal(masks(review)[segment_id], sample_ct()[1] == label)


def test_voxels_that_change_without_a_word_are_seen(review):
    """A script may write through numpy and forget to say so."""
    array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(review.segmentation_node, B)
    array[array.shape[0] // 2, array.shape[1] // 2, :] = 0
    assert review.refresh() and review.row(B).edited


def test_painting_over_a_neighbour_changes_both(review):
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    image = slicer.vtkOrientedImageData()
    review.segmentation_node.GetBinaryLabelmapRepresentation(C, image)
    # As the Segment Editor overwrites other segments: C's voxels are given to B, and taken from C.
    logic.SetBinaryLabelmapToSegment(image, review.segmentation_node, B, logic.MODE_MERGE_MAX, image.GetExtent())
    paint(review, C, np.s_[22:24, 38:42, 60:64])
    assert review.refresh() and [row.edited for row in review.rows] == [False, True, True]
    np.testing.assert_array_equal(masks(review)[B], sample_ct()[1] >= 2)
    review.undo()
    np.testing.assert_array_equal(masks(review)[B], sample_ct()[1] == 2)
    np.testing.assert_array_equal(masks(review)[C], sample_ct()[1] == 3)


def test_names_and_colours_from_elsewhere(review, measured):
    segment = segmentation_of(review).GetSegment(B)
    segment.SetName("Lingula")
    segment.SetColor(0.0, 0.0, 1.0)
    assert review.refresh() and measured == [] and review.row(B).name == "Lingula" and not review.row(B).edited
    review.undo()
    assert review.row(B).name == segment.GetName() == "Nodule 2" and segment.GetColor() != (0.0, 0.0, 1.0)


def test_segments_that_others_remove_and_order(review):
    before = state(review)
    segmentation_of(review).RemoveSegment(B)
    assert review.refresh() and ids(review) == [A, C]
    segmentation_of(review).SetSegmentIndex(C, 0)
    assert review.refresh() and ids(review) == [C, A]
    assert review.undo() and ids(review) == [A, C]
    assert review.undo() and state(review) == before


def test_an_erased_nodule_leaves_the_list(review):
    paint(review, A, np.s_[0:0, 0:0, 0:0])
    assert review.refresh() and ids(review) == [B, C]
    review.delete([B])
    review.undo()
    assert review.undo() and ids(review) == [A, B, C]
    np.testing.assert_array_equal(masks(review)[A], sample_ct()[1] == 1)


def test_a_copied_nodule_is_another_one(review):
    copied = slicer.vtkSegment()
    copied.DeepCopy(segmentation_of(review).GetSegment(A))
    copied.SetName("Copy")
    segmentation_of(review).AddSegment(copied, "copy")
    assert review.refresh() and ids(review) == [A, B, C, "copy"]
    assert len({row.nodule.uid for row in review.rows}) == len({row.nodule.label for row in review.rows}) == 4
    assert review.row("copy").nodule.label == 4 and review.row(A).nodule.uid == A
    # It keeps its UID when the original is gone.
    uid = review.row("copy").nodule.uid
    review.delete([A])
    assert review.row("copy").nodule.uid == uid == segment_tag(copied, "LungNoduleSeg.UID")


def test_what_the_user_draws_elsewhere_is_no_step(review):
    user_segment(review.segmentation_node, review.volume_node)
    assert not review.refresh() and review.undo_text == "Find nodules"


def test_a_ct_that_is_moved_or_changed(scene, review, measured, monkeypatch):
    reads = []
    original = read.ct_from_volume
    monkeypatch.setattr(read, "ct_from_volume", lambda node: reads.append(1) or original(node))
    transform, matrix = parent_transform(scene)
    before = review.row(A).nodule
    for node in (review.volume_node, review.segmentation_node):
        node.SetAndObserveTransformNodeID(transform.GetID())
    assert review.refresh() and reads == [] and measured == [1, 2, 3]
    moved = matrix @ [*before.centroid_ras, 1.0]
    assert review.row(A).nodule.centroid_ras == pytest.approx(moved[:3])
    assert review.row(A).nodule.volume_mm3 == pytest.approx(before.volume_mm3)
    assert review.undo_text == "Find nodules"  # the nodules themselves have not changed
    slicer.util.arrayFromVolume(review.volume_node)[:] += 100
    slicer.util.arrayFromVolumeModified(review.volume_node)
    assert review.refresh() and reads == [1]
    assert review.row(A).nodule.mean_hu == pytest.approx(before.mean_hu + 100)
    assert not review.refresh() and reads == [1]


def test_observing(scene, review):
    calls = []
    review.observe(lambda: calls.append(1))
    review.accept([A])
    review.undo()
    review.follow(review.result.at(0.8))
    review.refresh()
    assert calls == []  # what the review does itself
    for change in (
        lambda: paint(review, A, BOX),
        lambda: segmentation_of(review).GetSegment(A).SetName("x"),
        lambda: user_segment(review.segmentation_node, review.volume_node),
        lambda: segmentation_of(review).RemoveSegment(A),
        lambda: slicer.util.arrayFromVolumeModified(review.volume_node),
        lambda: review.volume_node.SetAndObserveTransformNodeID(parent_transform(scene)[0].GetID()),
    ):
        calls.clear()
        change()
        assert calls
    calls.clear()
    review.close()
    user_segment(review.segmentation_node, review.volume_node, "Second")
    assert calls == []
    review.close()


def test_another_segmentation_in_the_same_node(review):
    calls = []
    review.observe(lambda: calls.append(1))
    other = slicer.vtkSegmentation()
    other.DeepCopy(segmentation_of(review))
    other.RemoveSegment(A)
    review.segmentation_node.SetAndObserveSegmentation(other)
    assert calls and review.refresh() and ids(review) == [B, C]
    calls.clear()
    other.GetSegment(B).SetName("x")
    assert calls and review.refresh() and review.row(B).name == "x"


def test_a_saved_scene_remembers(scene, review, tmp_path):
    review.accept([A])
    review.reject([B])
    review.rename(A, "Suspicious")
    review.set_type(C, "ground-glass")
    paint(review, C, np.s_[16:22, 34:44, 55:62])
    review.refresh()
    rows, expected = review.rows, {one: mask.copy() for one, mask in masks(review).items()}
    review.close()
    path = tmp_path / "scene.mrb"
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(path))
    scene.Clear(False)
    scene.ReadFromMRB(str(path))
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    volume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    opened = NoduleReview(node, volume)
    assert [
        (row.segment_id, row.name, row.attenuation, row.status, row.edited, row.kind, row.model, row.band, row.typed)
        for row in opened.rows
    ] == [
        (row.segment_id, row.name, row.attenuation, row.status, row.edited, row.kind, row.model, row.band, row.typed)
        for row in rows
    ]
    for one, mask in masks(opened).items():
        np.testing.assert_array_equal(mask, expected[one])
    display = node.GetDisplayNode()
    assert [display.GetSegmentVisibility(one) for one in UIDS] == [True, False, True]
    tags = {one: segment_tag(node.GetSegmentation().GetSegment(one), "DICOM.SegmentAlgorithmType") for one in UIDS}
    assert tags == {A: "AUTOMATIC", B: "AUTOMATIC", C: "SEMIAUTOMATIC"}
    assert opened.result is None and not opened.can_undo and not opened.refresh()
    opened.reset([B])
    assert display.GetSegmentVisibility(B)


@pytest.mark.slow
def test_a_stroke_on_a_ct_of_usual_size(scene):
    """Seconds of this process, not of the clock: the machine may be busy."""
    hu = np.full((300, 512, 512), -850, np.int16)
    labels = np.zeros((300, 512, 512), np.uint16)
    for number in range(30):
        k, j, i = 5 + 9 * number, 60 + 100 * (number % 4), 60 + 80 * (number % 5)
        hu[k : k + 6, j : j + 14, i : i + 14] = 30
        labels[k : k + 6, j : j + 14, i : i + 14] = number + 1
    volume = volume_from_ct(CT.from_array(hu, spacing_mm=(1.0, 0.7, 0.7), copy=False), scene)
    review = NoduleReview(empty_segmentation(volume), volume)
    review.add(result_of(review.ct, labels, uids=[f"2.25.{n}" for n in range(1, 31)], probability=lambda n: 1 - n / 99))
    review.segmentation_node.RemoveClosedSurfaceRepresentation()
    array = slicer.util.arrayFromSegmentInternalBinaryLabelmap(review.segmentation_node, "2.25.1")
    array[0] = 0
    segmentation_of(review).GetSegment("2.25.1").GetRepresentation("Binary labelmap").Modified()
    begin = time.process_time()
    assert review.refresh()
    assert time.process_time() - begin < 0.3
    begin = time.process_time()
    assert not review.refresh()
    assert time.process_time() - begin < 0.1
