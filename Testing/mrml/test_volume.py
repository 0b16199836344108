"""CT to volume node and back."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from slicer_harness.nodes import parent_transform
from slicer_harness.samples import oblique_matrix, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import ct_from_volume, volume_from_ct


def test_ct_comes_back_bit_by_bit(scene):
    ct, _ = sample_ct()
    node = volume_from_ct(ct, scene, "Thorax")
    back = ct_from_volume(node)
    assert node.GetName() == "Thorax"
    assert back.hu.dtype == np.int16
    np.testing.assert_array_equal(back.hu, ct.hu)
    np.testing.assert_allclose(back.ijk_to_ras, ct.ijk_to_ras, atol=1e-12)
    assert back.series_uid == "1.2.3.4"


def test_node_says_what_slicer_says(scene):
    ct, _ = sample_ct()
    node = volume_from_ct(ct, scene)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), ct.hu)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), oblique_matrix(), atol=1e-12)
    assert node.GetSpacing() == pytest.approx((0.7, 0.7, 2.5))
    assert (node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()) == (1500, -600)


def test_the_node_does_not_share_memory_with_the_ct(scene):
    ct, _ = sample_ct()
    node = volume_from_ct(ct, scene)
    back = ct_from_volume(node)
    slicer.util.arrayFromVolume(node)[:] = 7
    assert (ct.hu != 7).any() and (back.hu != 7).any()


def test_parent_transforms_are_part_of_the_geometry(scene):
    ct, _ = sample_ct()
    node = volume_from_ct(ct, scene)
    outer, outer_matrix = parent_transform(scene)
    inner, inner_matrix = parent_transform(scene, angle=-12.0)
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    expected = outer_matrix @ inner_matrix @ oblique_matrix()
    np.testing.assert_allclose(ct_from_volume(node).ijk_to_ras, expected, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_other_voxel_types_are_read_as_hu(scene, dtype):
    values = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    node = slicer.util.addVolumeFromArray(values)
    np.testing.assert_array_equal(ct_from_volume(node).hu, values)


def test_what_is_no_ct_is_refused_by_name(scene):
    label_map = slicer.util.addVolumeFromArray(
        np.zeros((2, 2, 2), np.uint8), name="Map", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "Table")
    for node, words in ((label_map, "'Map' is a label map"), (empty, "'Empty' holds no voxels"), (table, "'Table'")):
        with pytest.raises(InputError, match=words):
            ct_from_volume(node)
    with pytest.raises(InputError, match="no CT volume is chosen"):
        ct_from_volume(None)


def test_transform_that_is_not_linear_is_refused(scene):
    ct, _ = sample_ct()
    node = volume_from_ct(ct, scene)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Warp")
    warp = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10)):
        points.InsertNextPoint(point)
    moved = vtk.vtkPoints()
    moved.DeepCopy(points)
    moved.SetPoint(3, 0, 3, 12)
    warp.SetSourceLandmarks(points)
    warp.SetTargetLandmarks(moved)
    warp.SetBasisToR()
    transform.SetAndObserveTransformToParent(warp)
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="'Warp', which is not linear"):
        ct_from_volume(node)


def test_a_series_that_the_scene_has_keeps_its_item(scene):
    ct, _ = sample_ct()
    volume_from_ct(ct, scene)
    second = volume_from_ct(ct, scene)
    assert ct_from_volume(second).series_uid == ""


def test_failure_leaves_nothing(scene, monkeypatch):
    from LungNoduleSegLib.mrml import volume

    ct, _ = sample_ct()
    before = scene_snapshot(scene)

    def broken(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(volume, "set_dicom_uid", broken)
    with pytest.raises(RuntimeError, match="no"):
        volume_from_ct(ct, scene)
    assert scene_snapshot(scene) == before
