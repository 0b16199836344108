"""The logic, used from a script without panel, and Slicer's own self test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer
from slicer_harness.nodes import parent_transform
from slicer_harness.samples import result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import read_nodules, volume_from_ct


@pytest.fixture
def ct_node(scene):
    return volume_from_ct(sample_ct()[0], scene, "Thorax")


class Known:
    """Gives the sample's labels on whatever CT it is given; a click gives the first of them."""

    def __init__(self, model="model-2-compact"):
        self.model, self.options, self.ct, self.clicks = model, None, None, []

    def segment(self, ct, progress=None, cancel=None, **options):
        self.ct, self.options = ct, options
        progress(0.5, "half")
        return replace(result_of(ct, sample_ct()[1], model=self.model), threshold=options["threshold"] or 0.0)

    def click(self, ct, positive_ras, negative_ras=(), base=None):
        self.clicks.append((list(positive_ras), list(negative_ras), base))
        labels = sample_ct()[1] == 1
        if negative_ras or len(positive_ras) > 1:
            labels &= np.arange(labels.shape[0])[:, None, None] < 9  # another outline than the first click's
        number = len(self.clicks)
        return result_of(
            ct, labels.astype(np.uint16), kind="SEMIAUTOMATIC", model=self.model, uids=[f"2.25.77{number}"],
            probability=lambda label: 0.5,
        )  # fmt: skip


@pytest.fixture
def segmenter():
    return Known()


@pytest.fixture
def logic(module, segmenter):
    made = module.LungNoduleSegLogic(loadSegmenter=lambda model, device: segmenter)
    yield made
    made.close()


def test_slicers_self_test_passes(module):
    test = module.LungNoduleSegTest()
    test.runTest()
    assert test.messages[:4] == [
        "Nodules reach the scene", "Review, undo and redo", "Another threshold", "Cancel changes nothing",
    ]  # fmt: skip
    assert test.messages[4].startswith("Real model")


def test_process_from_a_script(module, ct_node, scene):
    segmenter, asked, events = Known(), [], []

    def load(model, device):
        asked.append((model, device))
        return segmenter

    logic = module.LungNoduleSegLogic(loadSegmenter=load)
    outcome = logic.process(
        ct_node,
        model="model-2-compact",
        device="cpu",
        roi=((0, 0, 0), (9, 9, 9)),
        threshold=0.4,
        minimumDiameterMm=4.0,
        onEvent=events.append,
    )
    assert asked == [("model-2-compact", "cpu")]
    assert segmenter.options == {"roi": ((0, 0, 0), (9, 9, 9)), "threshold": 0.4, "min_diameter_mm": 4.0}
    np.testing.assert_array_equal(segmenter.ct.hu, sample_ct()[0].hu)
    np.testing.assert_array_equal(read_nodules(outcome.nodes.segmentation, ct_node).labels, sample_ct()[1])
    assert outcome.message == "3 nodules found."
    assert [(event["event"], event["message"]) for event in events] == [
        ("progress", "Reading the CT"),
        ("progress", "half"),
        ("result", "3 nodules found."),
    ]
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    assert [row.name for row in outcome.review.rows] == ["Nodule 1", "Nodule 2", "Nodule 3"]


def test_uncertainty_lies_over_the_ct_when_asked_for(module, ct_node, monkeypatch):
    from LungNoduleSegLib.inference.spread import SpreadBox
    from LungNoduleSegLib.mrml.uncertainty import find_uncertainty

    segmenter = Known()
    plain = segmenter.segment
    box = SpreadBox((1, 2, 3), np.array([[[0.25, np.nan]]], np.float16))
    monkeypatch.setattr(segmenter, "segment", lambda ct, **options: replace(plain(ct, **options), spread=(box,)))
    logic = module.LungNoduleSegLogic(loadSegmenter=lambda model, device: segmenter)
    logic.process(ct_node)
    assert find_uncertainty(ct_node) is None and "uncertainty" not in segmenter.options
    logic.process(ct_node, uncertainty=True)
    assert segmenter.options["uncertainty"] is True
    percent = slicer.util.arrayFromVolume(find_uncertainty(ct_node))
    assert percent[1, 2, 3] == 25 and percent.sum() == 25
    logic.close()


def test_process_under_an_oblique_transform(logic, segmenter, ct_node, scene):
    transform, matrix = parent_transform(scene)
    ct_node.SetAndObserveTransformNodeID(transform.GetID())
    outcome = logic.process(ct_node)
    np.testing.assert_allclose(segmenter.ct.ijk_to_ras, matrix @ sample_ct()[0].ijk_to_ras, atol=1e-9)
    for label, segment_id in enumerate(outcome.nodes.segment_ids, start=1):
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(outcome.nodes.segmentation, segment_id, ct_node)
        np.testing.assert_array_equal(mask != 0, sample_ct()[1] == label)


def test_an_roi_node_is_its_box_in_world_mm(logic, segmenter, ct_node, scene):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenterWorld(10, 20, 30)
    roi.SetSizeWorld(4, 6, 8)
    logic.process(ct_node, roi=roi)
    low, high = segmenter.options["roi"]
    np.testing.assert_allclose([low, high], [(8, 17, 26), (12, 23, 34)])


def test_errors_are_events_and_exceptions(logic, scene):
    events = []
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    before = scene_snapshot(scene)
    with pytest.raises(InputError, match="'Empty' holds no voxels"):
        logic.process(empty, onEvent=events.append)
    assert events[-1]["event"] == "error" and "'Empty' holds no voxels" in events[-1]["message"]
    assert scene_snapshot(scene) == before and not logic.running


def test_cancelling_after_the_run_keeps_the_scene(logic, ct_node, scene):
    before = scene_snapshot(scene)
    outcome = logic.process(ct_node, onEvent=lambda event: event["message"] == "half" and logic.cancel())
    assert outcome.nodes is None and outcome.result is None and outcome.message.startswith("Cancelled")
    assert scene_snapshot(scene) == before
    assert logic.process(ct_node).nodes is not None  # the next run is not cancelled


def test_two_runs_at_a_time_are_refused(logic, ct_node):
    pending = logic.process(ct_node, wait=False)
    assert logic.running
    with pytest.raises(RuntimeError, match="A run is in progress"):
        logic.process(ct_node)
    assert pending.wait().message == "3 nodules found."
    assert not logic.running and logic.lastOutcome is pending.outcome


def test_a_ct_that_was_removed_during_the_run(logic, ct_node, scene):
    pending = logic.process(ct_node, wait=False)
    scene.RemoveNode(ct_node)
    with pytest.raises(RuntimeError, match="The CT was removed"):
        pending.wait()
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


def test_seen_in_training_and_warnings_are_said(logic):
    result = replace(result_of(*sample_ct()), seen_in_training="train", warnings=("Slices are 5 mm apart.",))
    assert logic.describe(result) == (
        "3 nodules found. The model has seen this CT in its training data. Slices are 5 mm apart."
    )


def test_another_threshold_without_another_run(logic, segmenter, ct_node):
    outcome = logic.process(ct_node, threshold=0.7)  # the sample's nodules have .85, .75 and .65
    review = outcome.review
    assert len(review.rows) == 2 and logic.canFollow(ct_node, "model-2-compact")
    assert not logic.canFollow(ct_node, "model-1-compact")
    segmenter.options = None
    result, node = logic.setThreshold(ct_node, 0.6, segmentationNode=outcome.nodes.segmentation)
    assert len(review.rows) == 3 and len(result.nodules) == 3 and node is outcome.nodes.segmentation
    review.reject([review.rows[0].segment_id])
    logic.setThreshold(ct_node, 0.99, segmentationNode=node)
    assert [row.status for row in review.rows] == ["rejected"]  # what was judged stays
    assert segmenter.options is None


def test_a_threshold_that_shows_the_first_nodule_makes_the_segmentation(logic, ct_node, scene):
    assert logic.process(ct_node, threshold=0.99).nodes is None
    result, node = logic.setThreshold(ct_node, 0.8)
    assert len(result.nodules) == 1 and node.GetSegmentation().GetNumberOfSegments() == 1
    with pytest.raises(RuntimeError, match="Find nodules first"):
        logic.setThreshold(volume_from_ct(sample_ct()[0], scene, "Another"), 0.5)


def centre(ct_node, label=1):
    ct, labels = sample_ct()
    return tuple(ct.kji_to_ras(np.argwhere(labels == label).mean(axis=0)))


def test_a_click_makes_a_segment_and_further_ones_refine_it(logic, segmenter, ct_node, scene):
    point, other = centre(ct_node), (1.0, 2.0, 3.0)
    segment_id = logic.click(ct_node, [point])
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    review = logic.review(node)
    row = review.row(segment_id)
    assert (row.kind, row.status) == ("SEMIAUTOMATIC", "pending")
    volume = row.nodule.volume_mm3
    assert logic.click(ct_node, [], [other], segmentId=segment_id, segmentationNode=node) == segment_id
    assert segmenter.clicks == [([point], [], None), ([point], [other], None)]  # all points so far, together
    assert review.row(segment_id).nodule.volume_mm3 < volume and len(review.rows) == 1
    review.undo()
    assert review.row(segment_id).nodule.volume_mm3 == pytest.approx(volume)
    review.undo()
    assert review.rows == ()


def test_a_segment_of_a_run_is_refined_from_what_it_is(logic, segmenter, ct_node):
    nodes = logic.process(ct_node).nodes
    logic.click(ct_node, [], [(1.0, 2.0, 3.0)], segmentId=nodes.segment_ids[0], segmentationNode=nodes.segmentation)
    (positive, negative, base), = segmenter.clicks
    assert (positive, negative) == ([], [(1.0, 2.0, 3.0)])
    offset, mask = base
    whole = np.zeros(sample_ct()[1].shape, bool)
    whole[tuple(slice(o, o + n) for o, n in zip(offset, mask.shape))] = mask
    np.testing.assert_array_equal(whole, sample_ct()[1] == 1)


def test_after_undo_a_click_begins_from_what_is_there(logic, segmenter, ct_node, scene):
    segment_id = logic.click(ct_node, [centre(ct_node)])
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    logic.click(ct_node, [], [(1.0, 2.0, 3.0)], segmentId=segment_id, segmentationNode=node)
    logic.review(node).undo()
    logic.click(ct_node, [], [(4.0, 5.0, 6.0)], segmentId=segment_id, segmentationNode=node)
    assert segmenter.clicks[-1][1] == [(4.0, 5.0, 6.0)] and segmenter.clicks[-1][2] is not None


def test_a_click_on_a_listed_nodule_is_not_added_twice(logic, ct_node):
    nodes = logic.process(ct_node).nodes
    with pytest.raises(RuntimeError, match="in the list already"):
        logic.click(ct_node, [centre(ct_node)], segmentationNode=nodes.segmentation)
    assert len(logic.review(nodes.segmentation).rows) == 3


def test_a_click_without_waiting(logic, ct_node):
    done = []
    pending = logic.click(ct_node, [centre(ct_node)], wait=False, onDone=done.append)
    while not pending.finished:
        slicer.app.processEvents()
    assert done == [pending] and pending.message.startswith("Nodule 1 segmented.")


def test_nodules_and_csv(logic, ct_node, tmp_path):
    from LungNoduleSegLib.nodules.table import read_csv

    nodes = logic.process(ct_node).nodes
    rows = logic.nodules(nodes.segmentation)
    assert [row.nodule.probability for row in rows] == pytest.approx([0.85, 0.75, 0.65])
    logic.exportCsv(nodes.segmentation, tmp_path / "nodules.csv")
    assert [row["name"] for row in read_csv(tmp_path / "nodules.csv")] == ["Nodule 1", "Nodule 2", "Nodule 3"]


def test_the_ct_is_read_once_until_it_changes(logic, ct_node):
    first = logic.ct(ct_node)
    assert logic.ct(ct_node) is first
    slicer.util.arrayFromVolume(ct_node)[0, 0, 0] += 1
    slicer.util.arrayFromVolumeModified(ct_node)
    second = logic.ct(ct_node)
    assert second is not first and second.hu[0, 0, 0] == first.hu[0, 0, 0] + 1


def test_input_check_and_training_series(logic, ct_node, scene):
    assert logic.checkInput(ct_node).sentences
    assert logic.seenInTraining(ct_node, "model-2-compact") is None
    from LungNoduleSegLib.mrml.hierarchy import set_dicom_uid

    series = logic.modelEntry("model-2-compact").card.training["series"]["train"][0]
    other = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Seen")
    set_dicom_uid(scene, other, series)
    assert logic.seenInTraining(other, "model-2-compact") == "train"


def test_closing_the_scene_ends_a_run_silently(logic, ct_node, scene):
    events = []
    pending = logic.process(ct_node, wait=False, onEvent=events.append)
    logic.forgetScene()
    scene.Clear(False)
    for _ in range(50):
        slicer.app.processEvents()
    assert pending.finished and [event["event"] for event in events] == ["progress"]
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


def test_models_that_cannot_run_say_why(module):
    logic = module.LungNoduleSegLogic()
    assert "There is no model my-own" in logic.reasonModelCannotRun("my-own")
    entry = logic.modelEntry("model-2")
    assert logic.reasonModelCannotRun("model-2") == f"{entry.reason} {entry.remedy}"
    assert logic.reasonModelCannotRun("model-2-compact") == ""


def test_the_default_leaves_a_core_free(module, monkeypatch):
    import os

    for cores, threads in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert module.LungNoduleSegLogic.defaultThreads() == threads
