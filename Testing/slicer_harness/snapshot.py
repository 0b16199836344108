"""Everything a scene holds, as one comparable value: to prove that a failure changed nothing."""

from __future__ import annotations

import hashlib

import slicer
from vtk.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkIdList


def scene_snapshot(scene) -> dict:
    """Nodes with all attributes and references, subject hierarchy, voxels, segments, points and tables of `scene`."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)  # made if missing: before looking
    nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    scene.SetSaveToXMLString(True)
    scene.Commit()
    xml = scene.GetSceneXMLString()
    scene.SetSaveToXMLString(False)
    return {
        "ids": [node.GetID() for node in nodes],
        "xml": xml,
        "content": {node.GetID(): content for node in nodes if (content := _content(node)) is not None},
        "hierarchy": _tree(hierarchy),
    }


def _content(node):
    if node.IsA("vtkMRMLSegmentationNode"):
        return _segments(node.GetSegmentation())
    if node.IsA("vtkMRMLVolumeNode"):
        return _hash(node.GetImageData())
    if node.IsA("vtkMRMLMarkupsNode"):
        numbers = range(node.GetNumberOfControlPoints())
        return [(node.GetNthControlPointLabel(n), tuple(node.GetNthControlPointPosition(n))) for n in numbers]
    if node.IsA("vtkMRMLTableNode"):
        cells = range(node.GetNumberOfColumns())
        return [[node.GetCellText(row, column) for column in cells] for row in range(node.GetNumberOfRows())]
    return None


def _segments(segmentation) -> list:
    found = []
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        image = segment.GetRepresentation("Binary labelmap")
        found.append(
            (
                segmentation.GetNthSegmentID(number),
                segment.GetName(),
                tuple(segment.GetColor()),
                segment.GetLabelValue(),
                image.GetExtent(),
                _hash(image),
                sorted(_representations(segment)),
            )
        )
    return found


def _representations(segment) -> list[str]:
    return [name for name in ("Binary labelmap", "Closed surface") if segment.GetRepresentation(name) is not None]


def _hash(image) -> str:
    scalars = None if image is None else image.GetPointData().GetScalars()
    return "" if scalars is None else hashlib.sha256(vtk_to_numpy(scalars).tobytes()).hexdigest()


def _tree(hierarchy, item: int | None = None) -> list:
    item = hierarchy.GetSceneItemID() if item is None else item
    ids = vtkIdList()
    hierarchy.GetItemChildren(item, ids)
    items = (ids.GetId(number) for number in range(ids.GetNumberOfIds()))
    return [(hierarchy.GetItemName(item), _tree(hierarchy, item)) for item in items]
