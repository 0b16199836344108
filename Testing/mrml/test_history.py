"""Undo and redo, with points and table following."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_harness.nodes import user_segment
from slicer_harness.samples import UIDS, result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.mrml import NoduleHistory, publish, read_nodules, rebuild, volume_from_ct


@pytest.fixture
def volume(scene):
    return volume_from_ct(sample_ct()[0], scene)


@pytest.fixture
def published(volume):
    return publish(result_of(*sample_ct()), volume)


def state(published, volume):
    """What the three nodes show."""
    points = published.points
    return (
        read_nodules(published.segmentation, volume).labels.tobytes(),
        [points.GetNthControlPointLabel(n) for n in range(points.GetNumberOfControlPoints())],
        [published.table.GetCellText(row, 0) for row in range(published.table.GetNumberOfRows())],
    )


def test_steps_back_and_forth(published, volume):
    history = NoduleHistory(published.segmentation, volume)
    assert not history.can_undo and not history.can_redo
    assert history.undo() is None and history.redo() is None
    states = [state(published, volume)]

    history.save()
    published.segmentation.GetSegmentation().RemoveSegment(UIDS[0])
    rebuild(published.segmentation, volume)
    states.append(state(published, volume))

    history.save()
    mask = np.zeros(sample_ct()[1].shape, np.uint8)
    mask[10:13, 30:36, 40:47] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, published.segmentation, UIDS[1], volume)
    published.segmentation.GetSegmentation().GetSegment(UIDS[1]).SetName("Edited")
    rebuild(published.segmentation, volume)
    states.append(state(published, volume))
    assert states[2][1] == ["Edited", "Nodule 3"]

    history.undo()
    assert state(published, volume) == states[1]
    nodules = history.undo()
    assert state(published, volume) == states[0] and not history.can_undo
    assert list(nodules.nodules) == list(result_of(*sample_ct()).nodules)
    history.redo()
    history.redo()
    assert state(published, volume) == states[2] and not history.can_redo


def test_a_new_change_ends_redo(published, volume):
    history = NoduleHistory(published.segmentation, volume)
    history.save()
    published.segmentation.GetSegmentation().RemoveSegment(UIDS[0])
    history.undo()
    history.save()
    published.segmentation.GetSegmentation().RemoveSegment(UIDS[1])
    rebuild(published.segmentation, volume)
    assert not history.can_redo
    assert len(history.undo().nodules) == 3


def test_a_published_result_is_one_step(published, volume):
    before = state(published, volume)
    history = NoduleHistory(published.segmentation, volume)
    history.save()
    more = result_of(*sample_ct(), kind="SEMIAUTOMATIC", uids=("2.25.1", "2.25.2", "2.25.3"))
    publish(more, volume, segmentation_node=published.segmentation)
    assert published.table.GetNumberOfRows() == 6
    history.undo()
    assert state(published, volume) == before
    assert len(history.redo().nodules) == 6


def test_tags_and_colors_come_back(scene, published, volume):
    before = scene_snapshot(scene)["content"]
    history = NoduleHistory(published.segmentation, volume)
    history.save()
    published.segmentation.GetSegmentation().RemoveAllSegments()
    rebuild(published.segmentation, volume)
    history.undo()
    assert scene_snapshot(scene)["content"] == before
    nodules = read_nodules(published.segmentation, volume).nodules
    assert [nodule.probability for nodule in nodules] == [n.probability for n in result_of(*sample_ct()).nodules]


def test_other_segments_keep_what_was_done_to_them(published, volume):
    segmentation = published.segmentation.GetSegmentation()
    drawn = user_segment(published.segmentation, volume)
    erased = user_segment(published.segmentation, volume, "Erased later")
    history = NoduleHistory(published.segmentation, volume)
    history.save()
    segmentation.RemoveSegment(UIDS[0])
    # Meanwhile the user paints, erases and adds.
    mask = np.zeros(sample_ct()[1].shape, np.uint8)
    mask[0, :5, :5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, published.segmentation, drawn, volume)
    segmentation.RemoveSegment(erased)
    added = user_segment(published.segmentation, volume, "Added later", slice(7, 9))
    history.undo()
    assert len(read_nodules(published.segmentation, volume).nodules) == 3
    np.testing.assert_array_equal(
        slicer.util.arrayFromSegmentBinaryLabelmap(published.segmentation, drawn, volume) != 0, mask != 0
    )
    assert segmentation.GetSegment(erased) is None
    assert slicer.util.arrayFromSegmentBinaryLabelmap(published.segmentation, added, volume).sum() == 8


def test_the_scene_undo_stays_off(scene, published, volume):
    history = NoduleHistory(published.segmentation, volume)
    history.save()
    assert not scene.GetUndoFlag() and not published.segmentation.GetUndoEnabled()
