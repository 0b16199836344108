"""What the views are told to show: a place, a highlighted point, surfaces, probabilities over the CT."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_harness.nodes import parent_transform, study_of
from slicer_harness.samples import UIDS, result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import (
    hide_probability,
    highlight_point,
    jump_to,
    probability,
    publish,
    show_3d,
    show_probability,
    show_uncertainty,
    volume_from_ct,
)
from LungNoduleSegLib.mrml.probability import find_probability, show_again
from LungNoduleSegLib.mrml.uncertainty import find_uncertainty

A, B, C = UIDS


@pytest.fixture
def volume(scene):
    return volume_from_ct(sample_ct()[0], scene, "Thorax")


@pytest.fixture
def published(volume):
    return publish(result_of(*sample_ct()), volume)


@pytest.fixture
def slices(scene):
    """Three slice views of 100 mm, with what they are composed of."""
    made = {}
    for orientation in ("Axial", "Coronal", "Sagittal"):
        made[orientation] = view = scene.AddNewNodeByClass("vtkMRMLSliceNode", orientation)
        view.SetOrientation(orientation)
        view.SetFieldOfView(100.0, 100.0, 1.0)
        scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", orientation)
    return made


def composites(scene):
    numbers = range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
    return [scene.GetNthNodeByClass(number, "vtkMRMLSliceCompositeNode") for number in numbers]


def middle(view) -> tuple[float, ...]:
    matrix = view.GetSliceToRAS()
    return tuple(matrix.GetElement(row, 3) for row in range(3))


def test_views_go_through_the_place(scene, slices):
    jump_to(scene, (10.0, -20.0, 30.0))
    # Inside their field of view the slices move along their normals only.
    assert middle(slices["Axial"]) == pytest.approx((0, 0, 30))
    assert middle(slices["Coronal"]) == pytest.approx((0, -20, 0))
    assert middle(slices["Sagittal"]) == pytest.approx((10, 0, 0))
    # Beyond it (50 mm on either side) they are centred.
    jump_to(scene, (10.0, -20.0, 130.0))
    assert middle(slices["Axial"]) == pytest.approx((0, 0, 130))
    assert middle(slices["Coronal"]) == pytest.approx((10, -20, 130))
    assert middle(slices["Sagittal"]) == pytest.approx((10, -20, 130))


def test_cameras_keep_their_direction(scene):
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetPosition(0.0, 500.0, 0.0)
    camera.SetFocalPoint(0.0, 0.0, 0.0)
    jump_to(scene, (10.0, -20.0, 30.0))
    assert camera.GetFocalPoint() == pytest.approx((10, -20, 30))
    assert camera.GetPosition() == pytest.approx((10, 480, 30))


def test_one_point_is_highlighted(published):
    def selected():
        numbers = range(published.points.GetNumberOfControlPoints())
        return [bool(published.points.GetNthControlPointSelected(n)) for n in numbers]

    assert highlight_point(published.points, B) and selected() == [False, True, False]
    assert highlight_point(published.points, C) and selected() == [False, False, True]
    assert not highlight_point(published.points, "2.25.9") and selected() == [False] * 3
    assert not highlight_point(published.points, "") and selected() == [False] * 3


def test_points_that_stay_keep_their_highlight(published, volume):
    from LungNoduleSegLib.mrml import rebuild

    highlight_point(published.points, B)
    published.segmentation.GetSegmentation().RemoveSegment(A)
    rebuild(published.segmentation, volume)
    points = published.points
    assert [points.GetNthControlPointDescription(n) for n in range(2)] == [B, C]
    assert [bool(points.GetNthControlPointSelected(n)) for n in range(2)] == [True, False]


def test_surfaces_on_demand(published):
    segmentation, display = published.segmentation.GetSegmentation(), published.segmentation.GetDisplayNode()

    def surfaces():
        return [segmentation.GetSegment(uid).GetRepresentation("Closed surface") is not None for uid in UIDS]

    show_3d(published.segmentation, False)
    assert surfaces() == [False] * 3
    display.SetVisibility3D(False)
    show_3d(published.segmentation, True)
    assert surfaces() == [True] * 3 and display.GetVisibility3D()
    show_3d(published.segmentation, True)
    segmentation.RemoveAllSegments()
    show_3d(published.segmentation, True)  # nothing to show, and no complaint


def values():
    """Probabilities of a ramp along i, one not a number."""
    k, j, i = sample_ct()[0].shape
    ramp = np.broadcast_to(np.linspace(0, 1, i, dtype=np.float16), (k, j, i)).copy()
    ramp[0, 0, 0] = np.nan
    return ramp


def test_probability_lies_on_the_ct(scene, volume, slices):
    study = study_of(scene, volume)
    transform, _ = parent_transform(scene)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    node = show_probability(values(), volume)
    array = slicer.util.arrayFromVolume(node)
    assert array.dtype == np.uint8 and array[0, 0, 0] == 0
    np.testing.assert_array_equal(array[3], np.rint(100 * values()[3].astype(np.float32)))
    ours, theirs = slicer.vtkMRMLVolumeNode, node.GetParentTransformNode()
    assert node.IsA(ours.__name__) and theirs is transform
    for get in ("GetOrigin", "GetSpacing"):
        assert getattr(node, get)() == pytest.approx(getattr(volume, get)())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    display = node.GetScalarVolumeDisplayNode()
    assert display.GetColorNode().GetName() == "Iron" and display.GetApplyThreshold()
    assert (display.GetLowerThreshold(), display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (10, 0, 100)


def test_probability_is_the_foreground_with_a_legend(scene, volume, slices):
    for composite in composites(scene):
        composite.SetBackgroundVolumeID(volume.GetID())
    node = show_probability(values(), volume)
    legends = [scene.GetNthNodeByClass(0, "vtkMRMLColorLegendDisplayNode")]
    assert scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
    assert legends[0].GetVisibility() and legends[0].GetDisplayableNode() is node
    assert legends[0].GetColorNodeID() == node.GetDisplayNode().GetColorNodeID()
    shown = [(one.GetBackgroundVolumeID(), one.GetForegroundVolumeID(), one.GetForegroundOpacity())
             for one in composites(scene)]  # fmt: skip
    assert shown == [(volume.GetID(), node.GetID(), 0.5)] * 3
    hide_probability(node)
    assert [one.GetForegroundVolumeID() for one in composites(scene)] == [None] * 3 and not legends[0].GetVisibility()
    show_again(node, True)
    assert composites(scene)[0].GetForegroundVolumeID() == node.GetID() and legends[0].GetVisibility()
    other = volume_from_ct(sample_ct()[0], scene, "Other")
    composites(scene)[0].SetForegroundVolumeID(other.GetID())
    hide_probability(node)  # what the user has put there himself stays
    assert composites(scene)[0].GetForegroundVolumeID() == other.GetID()


def test_uncertainty_is_another_volume_in_the_foreground(scene, volume, slices):
    for composite in composites(scene):
        composite.SetBackgroundVolumeID(volume.GetID())
    likely = show_probability(values(), volume)
    node = show_uncertainty(values() / 2, volume)
    assert node is not likely and node is find_uncertainty(volume) and find_probability(volume) is likely
    array = slicer.util.arrayFromVolume(node)
    assert array[0, 0, 0] == 0 and array.max() == 50 and slicer.util.arrayFromVolume(likely).max() == 100
    display = node.GetScalarVolumeDisplayNode()
    assert (display.GetLowerThreshold(), display.GetWindowLevelMax()) == (5, 50)
    assert [one.GetForegroundVolumeID() for one in composites(scene)] == [node.GetID()] * 3
    assert node.GetName().endswith("nodule uncertainty")
    hide_probability(node)
    assert [one.GetForegroundVolumeID() for one in composites(scene)] == [None] * 3


def test_the_next_run_shows_in_the_same_volume(scene, volume):
    first = show_probability(values(), volume)
    second = show_probability(np.zeros_like(values()), volume)
    assert first is second is find_probability(volume) and slicer.util.arrayFromVolume(first).max() == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
    scene.RemoveNode(first)
    assert find_probability(volume) is None
    assert show_probability(values(), volume) is not None


def test_probabilities_of_another_grid_are_refused(scene, volume):
    before = scene_snapshot(scene)
    with pytest.raises(InputError, match="nodule probability has"):
        show_probability(values()[1:], volume)
    assert scene_snapshot(scene) == before


def test_a_failure_leaves_no_volume(scene, volume, monkeypatch):
    before = scene_snapshot(scene)

    def fail(*args):
        raise RuntimeError("broken")

    monkeypatch.setattr(probability, "_add_legend", fail)
    with pytest.raises(RuntimeError, match="broken"):
        show_probability(values(), volume)
    assert scene_snapshot(scene) == before
