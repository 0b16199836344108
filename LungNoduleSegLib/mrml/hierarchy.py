"""The subject hierarchy: results stand beside the CT that they belong to."""

from __future__ import annotations

import slicer

_DICOM = "DICOM"  # vtkMRMLSubjectHierarchyConstants::GetDICOMUIDName()
_STUDY = "Study"  # vtkMRMLSubjectHierarchyConstants::GetDICOMLevelStudy()


def _hierarchy(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def place_beside(scene, node, neighbour) -> None:
    """Give `node` the same parent item (the study, where there is one) as `neighbour`."""
    hierarchy = _hierarchy(scene)
    beside = hierarchy.GetItemByDataNode(neighbour)
    # Without the application's plugins a node has no item of its own yet.
    parent = hierarchy.GetItemParent(beside) if beside else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def forget(scene, node) -> None:
    """Remove the item of `node`, not the node; in the application a removed node takes its item along anyway."""
    hierarchy = _hierarchy(scene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not node else 0
    if item:
        hierarchy.RemoveItem(item, False, False)


def dicom_uid(scene, node) -> str:
    """SeriesInstanceUID of a node that came from DICOM, else an empty string."""
    hierarchy = _hierarchy(scene)
    item = hierarchy.GetItemByDataNode(node)
    return (hierarchy.GetItemUID(item, _DICOM) or "") if item else ""


def set_dicom_uid(scene, node, uid: str) -> None:
    """Remember the SeriesInstanceUID `uid` of `node`, unless the scene has that series already: UIDs are unique."""
    hierarchy = _hierarchy(scene)
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    if not hierarchy.GetItemByUID(_DICOM, uid):
        hierarchy.SetItemUID(item, _DICOM, uid)


def study_uid(scene, node) -> str:
    """StudyInstanceUID of the study that `node` stands in, else an empty string."""
    hierarchy = _hierarchy(scene)
    item = hierarchy.GetItemByDataNode(node)
    study = hierarchy.GetItemAncestorAtLevel(item, _STUDY) if item else 0
    return (hierarchy.GetItemUID(study, _DICOM) or "") if study else ""
