"""Reading nodules back from segments that users have changed."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_harness.nodes import parent_transform, user_segment
from slicer_harness.samples import UIDS, oblique_matrix, result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.mrml import publish, read_nodules, volume_from_ct
from LungNoduleSegLib.mrml.read import nodule_labels
from LungNoduleSegLib.nodules import measure_nodule


@pytest.fixture
def volume(scene):
    return volume_from_ct(sample_ct()[0], scene)


@pytest.fixture
def published(volume):
    return publish(result_of(*sample_ct()), volume)


def test_read_equals_published(scene, volume, published):
    result = result_of(*sample_ct())
    before = scene_snapshot(scene)
    nodules = read_nodules(published.segmentation, volume)
    assert scene_snapshot(scene) == before
    assert nodules.labels.dtype == np.uint16
    np.testing.assert_array_equal(nodules.labels, result.labels)
    assert list(nodules.nodules) == list(result.nodules)
    assert nodules.names == ("Nodule 1", "Nodule 2", "Nodule 3")


def test_collapsed_layers_read_the_same(volume, published):
    # Slicer collapses segments into one shared labelmap when it saves, and in many of its own tools.
    published.segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert published.segmentation.GetSegmentation().GetNumberOfLayers() == 1
    nodules = read_nodules(published.segmentation, volume)
    np.testing.assert_array_equal(nodules.labels, sample_ct()[1])
    assert [nodule.uid for nodule in nodules.nodules] == list(UIDS)


def test_segments_without_our_tag_are_not_read(volume, published):
    user_segment(published.segmentation, volume)
    assert len(read_nodules(published.segmentation, volume).nodules) == 3


def test_an_emptied_segment_is_left_out(volume, published):
    empty = np.zeros(sample_ct()[1].shape, np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(empty, published.segmentation, UIDS[0], volume)
    assert [nodule.uid for nodule in read_nodules(published.segmentation, volume).nodules] == list(UIDS[1:])


def test_a_copied_segment_is_another_nodule(volume, published):
    segmentation = published.segmentation.GetSegmentation()
    copied = slicer.vtkSegment()
    copied.DeepCopy(segmentation.GetSegment(UIDS[0]))
    segmentation.AddSegment(copied, "copy")
    first, second = (read_nodules(published.segmentation, volume) for _ in range(2))
    uids = [nodule.uid for nodule in first.nodules]
    assert len(set(uids)) == 4 and uids[:3] == list(UIDS)
    assert uids == [nodule.uid for nodule in second.nodules]  # the same at every reading
    assert nodule_labels(published.segmentation)["copy"] == 4


def test_damaged_tags_do_not_stop_reading(volume, published):
    segment = published.segmentation.GetSegmentation().GetSegment(UIDS[0])
    segment.SetTag("LungNoduleSeg.Label", "many")
    segment.SetTag("LungNoduleSeg.Probability", "high")
    nodules = read_nodules(published.segmentation, volume)
    assert nodules.nodules[0].label == 4 and nodules.nodules[0].probability == 1.0


def test_voxels_outside_the_ct_are_cut(volume, published):
    from LungNoduleSegLib.mrml.geometry import labelmap

    segmentation = published.segmentation.GetSegmentation()
    mask = np.ones((4, 6, 8), bool)
    image = labelmap(mask, (22, 60, -3), oblique_matrix())
    segment = segmentation.GetSegment(UIDS[0])
    segment.RemoveAllRepresentations()
    segment.AddRepresentation("Binary labelmap", image)
    labels = read_nodules(published.segmentation, volume).labels
    expected = np.zeros_like(labels, bool)
    expected[22:, 60:, :5] = True
    np.testing.assert_array_equal(labels == 1, expected)


def test_segments_on_another_grid_are_resampled_as_slicer_does(scene, volume, published):
    # The same segments looked at from a CT of other spacing and orientation under another transform.
    matrix = oblique_matrix() @ np.diag([1.3, 0.9, 0.6, 1.0])
    matrix[:3, 3] += (0.2, 0.1, -0.3)
    other_ct, _ = sample_ct(matrix, series_uid="")
    other = volume_from_ct(other_ct, scene, "Other")
    transform, _ = parent_transform(scene, angle=3.0)
    other.SetAndObserveTransformNodeID(transform.GetID())
    nodules = read_nodules(published.segmentation, other)
    for label, segment_id in zip((1, 2), UIDS, strict=False):
        expected = slicer.util.arrayFromSegmentBinaryLabelmap(published.segmentation, segment_id, other) != 0
        found = nodules.labels == label
        assert expected.sum() > 500
        # Slicer rounds voxels that lie half-way to the other side; nothing else may differ.
        assert (found != expected).sum() <= 0.02 * expected.sum()


def test_measurements_are_those_of_the_voxels(volume, published):
    ct, labels = sample_ct()
    nodule = read_nodules(published.segmentation, volume).nodules[1]
    expected = measure_nodule(
        labels == 2, (0, 0, 0), ct, label=2, probability=nodule.probability, uid=nodule.uid, side="left"
    )
    assert nodule == expected
    assert nodule.volume_mm3 == pytest.approx((labels == 2).sum() * 0.7 * 0.7 * 2.5)
