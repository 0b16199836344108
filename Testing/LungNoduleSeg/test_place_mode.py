"""Place mode through Slicer's own interaction node: points come in, and every way out of it."""

from __future__ import annotations

import pytest
import slicer
from slicer_harness.snapshot import scene_snapshot


@pytest.fixture
def points():
    return []


@pytest.fixture
def ended():
    return []


@pytest.fixture
def placing(module, scene, points, ended):
    from LungNoduleSegPanel.place_mode import PlaceMode

    made = PlaceMode(lambda ras, point: points.append((ras, point)), lambda: ended.append(True))
    yield made
    made.stop()


def singletons():
    logic = slicer.app.applicationLogic()
    return logic.GetSelectionNode(), logic.GetInteractionNode()


def place(ras):
    """As the markups displayable manager does it: the point goes to the active place node."""
    selection, _ = singletons()
    slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPointWorld(ras)


def test_points_are_handed_over_in_world_mm(placing, points):
    placing.start()
    interaction = singletons()[1]
    assert interaction.GetCurrentInteractionMode() == interaction.Place and interaction.GetPlaceModePersistence()
    place((1.0, 2.0, 3.0))
    place((4.0, 5.0, 6.0))
    assert [ras for ras, _point in points] == [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]


def test_stopping_leaves_the_scene_as_it_was(placing, scene, ended):
    before = scene_snapshot(scene)
    placing.start()
    placing.start()
    place((1.0, 2.0, 3.0))
    placing.stop()
    interaction = singletons()[1]
    after = scene_snapshot(scene)
    # Slicer's own memory of mouse modes.
    after["xml"] = after["xml"].replace('lastInteractionMode="Place"', 'lastInteractionMode="ViewTransform"')
    assert after == before and not placing.on and ended == []
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    placing.stop()


def test_the_user_may_choose_another_mouse_mode(placing, ended, points, scene):
    placing.start()
    singletons()[1].SwitchToViewTransformMode()
    slicer.app.processEvents()
    assert ended == [True] and not placing.on
    assert scene.GetFirstNodeByName("Lung nodule clicks") is None


def test_placing_something_else_ends_it_and_is_left_alone(placing, ended, points, scene):
    placing.start()
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Mine")
    selection, interaction = singletons()
    selection.SetActivePlaceNodeID(other.GetID())
    interaction.SwitchToSinglePlaceMode()
    slicer.app.processEvents()
    place((7.0, 8.0, 9.0))
    assert ended == [True] and points == [] and other.GetNumberOfControlPoints() == 1
    assert selection.GetActivePlaceNodeID() == other.GetID()


def test_its_points_are_shown_as_in_and_out_and_never_saved(placing, points, scene):
    from LungNoduleSegPanel.place_mode import IN, OUT

    placing.start()
    node = scene.GetFirstNodeByName("Lung nodule clicks")
    assert node.GetHideFromEditors() and not node.GetSaveWithScene()
    for ras in ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0)):
        place(ras)
    # As the markups displayable manager does it while the mouse moves: the last point is no placed one.
    node.AddControlPointWorld((0.0, 0.0, 0.0))
    node.SetNthControlPointPositionWorld(3, 0.0, 0.0, 0.0, node.PositionPreview)
    first, second, third = (point for _ras, point in points[:3])
    placing.mark(first, IN)
    placing.mark(third, OUT)
    assert [node.GetNthControlPointLabel(n) for n in (0, 2)] == ["+", "-"]
    assert [node.GetNthControlPointLocked(n) for n in range(4)] == [True, False, True, False]
    placing.drop(second)
    placing.drop(second)
    assert [node.GetNthControlPointLabel(n) for n in range(2)] == ["+", "-"]
    assert [node.GetNthControlPointPositionStatus(n) for n in range(3)] == [
        node.PositionDefined, node.PositionDefined, node.PositionPreview,
    ]  # fmt: skip
    placing.clear()
    assert node.GetNumberOfControlPoints() == 0
