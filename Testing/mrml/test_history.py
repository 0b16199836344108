"""Undo and redo, with points and table following."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_harness.nodes import user_segment
from slicer_harness.samples import UIDS, result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.mrml import NoduleHistory, publish, read_nodules, rebuild, volume_from_ct
from LungNoduleSegLib.mrml.history import STEPS
from LungNoduleSegLib.mrml.segment_edits import shares_layer
from LungNoduleSegLib.mrml.segments import TAGS
from LungNoduleSegLib.mrml.tags import segment_tag


@pytest.fixture
def volume(scene):
    return volume_from_ct(sample_ct()[0], scene)


@pytest.fixture
def published(volume):
    return publish(result_of(*sample_ct()), volume)


def state(published, volume):
    """What the three nodes show, and what the segments say."""
    points, segmentation = published.points, published.segmentation.GetSegmentation()
    nodules = read_nodules(published.segmentation, volume)
    segments = [segmentation.GetSegment(segment_id) for segment_id in nodules.segment_ids]
    return (
        nodules.labels.tobytes(),
        nodules.rows,
        [(segment.GetColor(), [segment_tag(segment, key) for key in TAGS]) for segment in segments],
        [points.GetNthControlPointLabel(n) for n in range(points.GetNumberOfControlPoints())],
        [published.table.GetCellText(row, 0) for row in range(published.table.GetNumberOfRows())],
    )


def paint(published, volume, segment_id, box):
    mask = np.zeros(sample_ct()[1].shape, np.uint8)
    mask[box] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, published.segmentation, segment_id, volume)


def test_steps_back_and_forth(published, volume):
    history = NoduleHistory(published.segmentation, volume)
    assert not history.can_undo and not history.can_redo
    assert not history.undo() and not history.redo()
    states = [state(published, volume)]

    published.segmentation.GetSegmentation().RemoveSegment(UIDS[0])
    rebuild(published.segmentation, volume)
    assert history.commit("Delete") and not history.commit("Again")
    states.append(state(published, volume))

    paint(published, volume, UIDS[1], np.s_[10:13, 30:36, 40:47])
    published.segmentation.GetSegmentation().GetSegment(UIDS[1]).SetName("Edited")
    rebuild(published.segmentation, volume)
    assert history.commit("Paint")
    states.append(state(published, volume))
    assert states[2][3] == ["Edited", "Nodule 3"]

    assert (history.undo_text, history.redo_text) == ("Paint", "")
    assert history.undo() and (history.undo_text, history.redo_text) == ("Delete", "Paint")
    assert state(published, volume) == states[1]
    assert history.undo()
    assert state(published, volume) == states[0] and not history.can_undo
    nodules = read_nodules(published.segmentation, volume).nodules
    assert list(nodules) == list(result_of(*sample_ct()).nodules)
    assert history.redo() and history.redo()
    assert state(published, volume) == states[2] and not history.can_redo


def test_a_new_change_ends_redo(published, volume):
    history = NoduleHistory(published.segmentation, volume)
    segmentation = published.segmentation.GetSegmentation()
    segmentation.RemoveSegment(UIDS[0])
    history.commit()
    history.undo()
    segmentation.RemoveSegment(UIDS[1])
    assert history.can_redo and history.commit() and not history.can_redo
    history.undo()
    assert len(read_nodules(published.segmentation, volume).nodules) == 3


def test_a_published_result_is_one_step(published, volume):
    before = state(published, volume)
    history = NoduleHistory(published.segmentation, volume)
    more = result_of(*sample_ct(), kind="SEMIAUTOMATIC", uids=("2.25.1", "2.25.2", "2.25.3"))
    publish(more, volume, segmentation_node=published.segmentation)
    history.commit("Click")
    assert published.table.GetNumberOfRows() == 6
    history.undo()
    assert state(published, volume) == before
    history.redo()
    assert published.table.GetNumberOfRows() == 6


def test_tags_and_colors_come_back(scene, published, volume):
    before = scene_snapshot(scene)["content"]
    history = NoduleHistory(published.segmentation, volume)
    published.segmentation.GetSegmentation().RemoveAllSegments()
    rebuild(published.segmentation, volume)
    history.commit()
    history.undo()
    assert scene_snapshot(scene)["content"] == before
    nodules = read_nodules(published.segmentation, volume).nodules
    assert [nodule.probability for nodule in nodules] == [n.probability for n in result_of(*sample_ct()).nodules]


def test_what_is_absorbed_is_no_step(published, volume):
    history = NoduleHistory(published.segmentation, volume)
    published.segmentation.GetSegmentation().RemoveSegment(UIDS[0])
    history.absorb()
    assert not history.can_undo and not history.commit()
    published.segmentation.GetSegmentation().RemoveSegment(UIDS[1])
    history.commit()
    history.undo()  # leads to a state as it was committed
    assert read_nodules(published.segmentation, volume).segment_ids == UIDS


def test_revert_takes_back_what_was_not_committed(scene, volume):
    # Without surfaces: Slicer's own function for arrays, which stands for a brush here, throws all of them away.
    published = publish(result_of(*sample_ct()), volume, show_3d=False)
    history = NoduleHistory(published.segmentation, volume)
    before = scene_snapshot(scene)["content"]
    paint(published, volume, UIDS[2], np.s_[3:5, 3:9, 3:9])
    published.segmentation.GetSegmentation().GetSegment(UIDS[2]).SetName("Other")
    published.segmentation.GetSegmentation().RemoveSegment(UIDS[0])
    history.revert()
    rebuild(published.segmentation, volume)
    after = scene_snapshot(scene)["content"]
    assert after == before and not history.can_undo


def test_other_segments_keep_what_was_done_to_them(published, volume):
    segmentation = published.segmentation.GetSegmentation()
    drawn = user_segment(published.segmentation, volume)
    erased = user_segment(published.segmentation, volume, "Erased later")
    history = NoduleHistory(published.segmentation, volume)
    segmentation.RemoveSegment(UIDS[0])
    history.commit()
    # Meanwhile the user paints, erases and adds.
    mask = np.zeros(sample_ct()[1].shape, np.uint8)
    mask[0, :5, :5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, published.segmentation, drawn, volume)
    segmentation.RemoveSegment(erased)
    added = user_segment(published.segmentation, volume, "Added later", slice(7, 9))
    assert not history.commit()
    history.undo()
    assert len(read_nodules(published.segmentation, volume).nodules) == 3
    np.testing.assert_array_equal(
        slicer.util.arrayFromSegmentBinaryLabelmap(published.segmentation, drawn, volume) != 0, mask != 0
    )
    assert segmentation.GetSegment(erased) is None
    assert slicer.util.arrayFromSegmentBinaryLabelmap(published.segmentation, added, volume).sum() == 8


def test_segments_in_one_layer_with_those_of_the_user(published, volume):
    segmentation = published.segmentation.GetSegmentation()
    drawn = user_segment(published.segmentation, volume)
    segmentation.CollapseBinaryLabelmaps(False)
    assert segmentation.GetNumberOfLayers() == 1 and shares_layer(segmentation, drawn)
    before = state(published, volume)
    history = NoduleHistory(published.segmentation, volume)
    assert not history.commit()
    paint(published, volume, UIDS[0], np.s_[2:6, 2:6, 2:20])  # over what the user has drawn
    rebuild(published.segmentation, volume)
    history.commit()
    history.undo()
    assert state(published, volume) == before
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(published.segmentation, drawn, volume)
    assert mask[2:6, 2:6, 2:6].all() and mask.sum() == 64


def test_the_scene_undo_stays_off(scene, published, volume):
    history = NoduleHistory(published.segmentation, volume)
    published.segmentation.GetSegmentation().RemoveSegment(UIDS[0])
    history.commit()
    history.undo()
    assert not scene.GetUndoFlag() and not published.segmentation.GetUndoEnabled()


def change(published, volume, random, number):
    """Something that happens to one nodule: it goes, comes back, is painted, named, judged or moved in the list."""
    segmentation = published.segmentation.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    missing = [uid for uid in UIDS if uid not in ids]
    what = random.integers(6)
    if missing and (what == 0 or not ids):
        ct, labels = sample_ct()
        one = np.where(labels == 1 + UIDS.index(missing[0]), np.uint16(1), np.uint16(0))
        publish(result_of(ct, one, uids=missing), volume, segmentation_node=published.segmentation)
        return
    one = segmentation.GetSegment(ids[random.integers(len(ids))])
    segment_id = segmentation.GetSegmentIdBySegment(one)
    if what == 1:
        segmentation.RemoveSegment(segment_id)
    elif what == 2:
        paint(published, volume, segment_id, tuple(slice(low, low + 4) for low in random.integers(0, 15, 3)))
    elif what == 3:
        one.SetName(f"Name {number}")
        one.SetColor(*random.random(3))
    elif what == 4:
        one.SetTag("LungNoduleSeg.Status", ("accepted", "rejected")[number % 2])
    else:
        segmentation.SetSegmentIndex(segment_id, int(random.integers(len(ids))))
    rebuild(published.segmentation, volume)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_changes(published, volume, seed):
    """Against a list of states that is kept beside it."""
    random = np.random.default_rng(seed)
    history = NoduleHistory(published.segmentation, volume, note=0)
    states, at, done, steps = [(state(published, volume), 0)], 0, set(), 0
    for number in range(1, 40):
        act = random.choice(["change", "change", "undo", "redo", "absorb"])
        if act == "change":
            change(published, volume, random, number)
            if history.commit(f"{number}", number):
                states = [*states[: at + 1], (state(published, volume), number)]
                at += 1
                steps += 1
            else:  # the note belongs to the state as it is now
                states[at] = (states[at][0], number)
        elif act == "absorb" and (history.can_undo or history.can_redo):
            change(published, volume, random, number)
            history.absorb(history.note)
            assert not history.commit("nothing", history.note)
            # What undo and redo lead to is as it was committed, whatever was absorbed meanwhile.
            at += -1 if history.undo() else history.redo()
        elif act == "undo":
            possible = history.can_undo
            assert history.undo() == possible == (at > max(0, len(states) - 1 - STEPS))
            at -= possible
        elif act == "redo":
            possible = history.can_redo
            assert history.redo() == possible == (at < len(states) - 1)
            at += possible
        assert (state(published, volume), history.note) == states[at], (number, act)
        done.add(act)
    assert len(done) == 4 and steps > 4


def test_only_so_many_steps_are_kept(published, volume):
    segmentation = published.segmentation.GetSegmentation()
    history = NoduleHistory(published.segmentation, volume)
    for number in range(STEPS + 5):
        segmentation.GetSegment(UIDS[0]).SetName(f"{number}")
        assert history.commit(f"{number}")
    for number in range(STEPS + 3, 3, -1):
        assert history.undo() and segmentation.GetSegment(UIDS[0]).GetName() == f"{number}"
    assert not history.can_undo and not history.undo()
    for number in range(5, STEPS + 5):
        assert history.redo() and segmentation.GetSegment(UIDS[0]).GetName() == f"{number}"
    assert not history.can_redo
