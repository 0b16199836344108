"""An error at any step of publishing or rebuilding leaves the scene exactly as it was."""

from __future__ import annotations

import pytest
import slicer
from slicer_harness.nodes import study_of, user_segment
from slicer_harness.samples import UIDS, result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.mrml import publish, publishing, rebuild, volume_from_ct
from LungNoduleSegLib.mrml.transaction import SceneTransaction

STEPS = (
    "_new_segmentation",
    "place_beside",
    "segment_records",
    "_add_segments",
    "make_segment",
    "labelmap",
    "_show_3d",
    "read_nodules",
    "_companions",
    "fill_points",
    "fill_table",
)
TARGETS = ("new", "earlier result", "user's segmentation")
# An earlier result has its nodes already, and no segmentation that is there gets surfaces.
UNUSED = {(step, target) for step in ("_new_segmentation", "_show_3d") for target in TARGETS[1:]}
UNUSED.add(("place_beside", "earlier result"))
CASES = [(step, target) for step in STEPS for target in TARGETS if (step, target) not in UNUSED]


class Injected(RuntimeError):
    pass


def inject(monkeypatch, step: str, when: str, call: int) -> list[int]:
    """Let the given call of one step fail, before or after it has done its work; returns a counter of its calls."""
    original = getattr(publishing, step)
    calls = [0]

    def failing(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call and when == "before":
            raise Injected(step)
        value = original(*args, **kwargs)
        if calls[0] == call and when == "after":
            raise Injected(step)
        return value

    monkeypatch.setattr(publishing, step, failing)
    return calls


def full_scene(scene):
    """A CT in a study, a segmentation of the user, and an earlier result."""
    volume = volume_from_ct(sample_ct()[0], scene)
    study_of(scene, volume)
    earlier = publish(result_of(*sample_ct(), uids=("2.25.1", "2.25.2", "2.25.3")), volume)
    user_segment(earlier.segmentation, volume)
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    mine.CreateDefaultDisplayNodes()
    mine.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    user_segment(mine, volume)
    return volume, earlier.segmentation, mine


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("step", "target"), CASES)
def test_failure_leaves_the_scene_as_it_was(scene, monkeypatch, step, target, when):
    volume, earlier, mine = full_scene(scene)
    node = dict(zip(TARGETS, (None, earlier, mine), strict=True))[target]
    before = scene_snapshot(scene)
    calls = inject(monkeypatch, step, when, call=1)
    with pytest.raises(Injected):
        publish(result_of(*sample_ct()), volume, segmentation_node=node)
    assert calls[0] >= 1
    assert scene_snapshot(scene) == before
    # And the scene still works: the same call succeeds now.
    monkeypatch.undo()
    assert publish(result_of(*sample_ct()), volume, segmentation_node=node).segment_ids == UIDS


@pytest.mark.parametrize(
    ("step", "call"),
    [("make_segment", 2), ("make_segment", 3), ("labelmap", 3), ("place_beside", 2), ("place_beside", 3)],
)
def test_failure_in_the_middle_of_a_step(scene, monkeypatch, step, call):
    volume, _, _ = full_scene(scene)
    before = scene_snapshot(scene)
    inject(monkeypatch, step, "after", call)
    with pytest.raises(Injected):
        publish(result_of(*sample_ct()), volume)
    assert scene_snapshot(scene) == before


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["read_nodules", "_companions", "fill_points", "fill_table"])
def test_failed_rebuild_keeps_points_and_table(scene, monkeypatch, step, when):
    volume, earlier, _ = full_scene(scene)
    earlier.GetSegmentation().RemoveSegment("2.25.2")
    before = scene_snapshot(scene)
    inject(monkeypatch, step, when, call=1)
    with pytest.raises(Injected):
        rebuild(earlier, volume)
    assert scene_snapshot(scene) == before


def test_interruption_is_an_error_too(scene, monkeypatch):
    volume, _, _ = full_scene(scene)
    before = scene_snapshot(scene)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(publishing, "fill_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish(result_of(*sample_ct()), volume)
    assert scene_snapshot(scene) == before


def test_a_failing_revert_does_not_stop_the_others(scene, caplog):
    before = scene_snapshot(scene)
    with pytest.raises(Injected), SceneTransaction(scene) as transaction:
        transaction.add("vtkMRMLTableNode", "Table")
        transaction.on_error(lambda: 1 / 0)
        transaction.add("vtkMRMLTextNode", "Text")
        raise Injected
    assert scene_snapshot(scene) == before
    assert "Could not take back" in caplog.text


def test_names_are_unique_and_unknown_classes_refused(scene):
    with SceneTransaction(scene) as transaction:
        first = transaction.add("vtkMRMLTableNode", "Table")
        second = transaction.add("vtkMRMLTableNode", "Table")
    assert first.GetName() == "Table" and second.GetName() != "Table"
    assert slicer.mrmlScene.GetNodeByID(first.GetID()) is first
