"""Nodes that tests put into a scene."""

from __future__ import annotations

import numpy as np
import slicer
import vtk


def parent_transform(scene, angle: float = 35.0):
    """A linear transform node, rotated about y and shifted, and its matrix (4, 4)."""
    transform = vtk.vtkTransform()
    transform.RotateY(angle)
    transform.Translate(5, 6, 7)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Oblique")
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node, slicer.util.arrayFromVTKMatrix(transform.GetMatrix())


def user_segment(segmentation_node, volume_node, name: str = "Drawn by hand", value: slice = slice(2, 6)) -> str:
    """Add a segment that is not ours to a segmentation; returns its ID."""
    mask = np.zeros(slicer.util.arrayFromVolume(volume_node).shape, np.uint8)
    mask[value, value, value] = 1
    segment_id = segmentation_node.GetSegmentation().AddEmptySegment("", name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation_node, segment_id, volume_node)
    return segment_id


def study_of(scene, volume_node, name: str = "Study"):
    """Put a volume into a study of a patient in the subject hierarchy; returns the study's item."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, name)
    hierarchy.SetItemUID(study, "DICOM", "1.2.3")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume_node), study)
    return study
