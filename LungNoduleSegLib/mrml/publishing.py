"""Put nodules into the scene: a segment, a point and a table row each, all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from LungNoduleSegLib.errors import InputError

from .geometry import labelmap, numpy_matrix, to_world, volume_to_world
from .hierarchy import place_beside
from .points import fill_points, style_points
from .read import SceneNodules, nodule_labels, read_nodules
from .segment_voxels import LABELMAP
from .segments import SegmentRecord, nodule_mask, segment_records
from .table import fill_table
from .transaction import SceneTransaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from LungNoduleSegLib.ct import CT
    from LungNoduleSegLib.segmenter import Result

    from .rows import ReviewRow

# The segmentation node refers to the other two nodes, so that a loaded scene knows what belongs together.
POINTS_ROLE = "LungNoduleSeg.Points"
TABLE_ROLE = "LungNoduleSeg.Table"
# Two grids are the same when no voxel centre of one lies further from the other's than this.
_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True)
class PublishedNodules:
    """The nodes that show nodules, and the segments that were added, in the order of the result."""

    segmentation: object
    points: object
    table: object
    segment_ids: tuple[str, ...]


def publish(
    result: Result, volume_node, *, segmentation_node=None, name: str = "", show_3d: bool = True
) -> PublishedNodules | None:
    """Show the nodules of `result` in the scene of its CT.

    Parameters
    ----------
    result
        Nodules on the grid of `volume_node`.
    volume_node
        The CT; the results are placed beside it in the subject hierarchy, and under its parent transform.
    segmentation_node
        An existing segmentation to add to; its other segments stay as they are. Default: a new one.
    name
        Name of a new segmentation; default: the CT's name with "nodules".
    show_3d
        Also make the surfaces that the 3D view shows, in a new segmentation. An existing one keeps its choice: where
        it has surfaces, Slicer makes them for added segments too.

    Returns
    -------
    PublishedNodules or None
        None, and nothing changes, where the result has no nodule.

    Raises
    ------
    InputError
        If the result is not on the grid of `volume_node`. Whatever the error: the scene is then as it was before.
    """
    check_same_grid(result, volume_node)
    if not result.nodules:
        return None
    scene = volume_node.GetScene()
    with SceneTransaction(scene) as transaction:
        is_new = segmentation_node is None
        if is_new:
            segmentation_node = _new_segmentation(transaction, volume_node, name)
        first = max(nodule_labels(segmentation_node).values(), default=0) + 1
        records = segment_records(result, first_label=first)
        _add_segments(transaction, segmentation_node, records, result, volume_node)
        if is_new and show_3d:
            _show_3d(segmentation_node)
        nodules = read_nodules(segmentation_node, volume_node, ct=result.ct)
        show_rows(transaction, segmentation_node, volume_node, nodules.rows)
        points, table = (segmentation_node.GetNodeReference(role) for role in (POINTS_ROLE, TABLE_ROLE))
    return PublishedNodules(segmentation_node, points, table, tuple(record.segment_id for record in records))


def empty_segmentation(volume_node, *, name: str = ""):
    """A new segmentation node for the nodules of a CT, without segments: beside it in the subject hierarchy, and under
    its parent transform. Default name: the CT's name with "nodules"."""
    with SceneTransaction(volume_node.GetScene()) as transaction:
        return _new_segmentation(transaction, volume_node, name)


def rebuild(segmentation_node, volume_node, *, ct: CT | None = None) -> SceneNodules:
    """Measure the nodules of a segmentation again, and make points and table say what the segments say.

    For use after any edit, undo or redo. Segments without this product's UID tag are neither read nor changed.

    Parameters
    ----------
    ct
        The CT of `volume_node`, where the caller has read it already.
    """
    nodules = read_nodules(segmentation_node, volume_node, ct=ct)
    with SceneTransaction(segmentation_node.GetScene()) as transaction:
        show_rows(transaction, segmentation_node, volume_node, nodules.rows)
    return nodules


def ijk_to_local(segmentation_node, volume_node) -> np.ndarray:
    """(4, 4): (i, j, k, 1) of the CT to the segmentation's own RAS mm; the CT's own matrix where both move alike."""
    if volume_node.GetParentTransformNode() is segmentation_node.GetParentTransformNode():
        return _ijk_to_ras(volume_node)
    return np.linalg.inv(to_world(segmentation_node)) @ volume_to_world(volume_node)


def check_same_grid(result: Result, volume_node) -> None:
    """Refuse a result that does not lie on the voxels of `volume_node`, where that lies now."""
    name = volume_node.GetName()
    image = volume_node.GetImageData()
    shape = None if image is None else tuple(reversed(image.GetDimensions()))
    if shape is None or shape != tuple(result.ct.shape):
        raise InputError(f"the result has {tuple(result.ct.shape)} voxels [k, j, i], the volume {name!r} {shape}")
    corners = np.array([[i, j, k, 1.0] for i in (0, shape[2]) for j in (0, shape[1]) for k in (0, shape[0])])
    apart = corners @ (volume_to_world(volume_node) - np.asarray(result.ct.ijk_to_ras)).T
    if np.abs(apart).max() > _SAME_PLACE_MM:
        raise InputError(
            f"the volume {name!r} lies up to {np.abs(apart).max():.3g} mm from where the result was computed",
            remedy="Was it moved meanwhile? Run again.",
        )


def _new_segmentation(transaction: SceneTransaction, volume_node, name: str):
    node = transaction.add("vtkMRMLSegmentationNode", name or f"{volume_node.GetName()} nodules")
    node.CreateDefaultDisplayNodes()
    # Under the CT's own transform the segments keep the CT's matrix as it is; and they follow if the CT is moved.
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    place_beside(volume_node.GetScene(), node, volume_node)
    return node


def _add_segments(
    transaction: SceneTransaction, node, records: list[SegmentRecord], result: Result, volume_node
) -> None:
    segmentation = node.GetSegmentation()
    local = ijk_to_local(node, volume_node)
    nodules = {nodule.uid: nodule for nodule in result.nodules}
    for record in records:
        if segmentation.GetSegment(record.segment_id) is not None:
            raise InputError(f"{node.GetName()!r} has a segment with the UID {record.segment_id} already")
        nodule = nodules[record.segment_id]
        segment = make_segment(record, labelmap(nodule_mask(result, nodule), nodule.bounds_kji[0], local))
        transaction.on_error(partial(segmentation.RemoveSegment, record.segment_id))
        if not segmentation.AddSegment(segment, record.segment_id):
            raise RuntimeError(f"Slicer did not add the segment {record.name!r}.")


def make_segment(record: SegmentRecord, image):
    """A new segment of a record, with the voxels of `image`."""
    segment = slicer.vtkSegment()
    segment.SetName(record.name)
    segment.SetColor(*record.color)
    # Else Slicer names and colours it again from the terminology, which has no colour for a nodule.
    segment.SetNameAutoGenerated(False)
    segment.SetColorAutoGenerated(False)
    for key, value in record.tags.items():
        segment.SetTag(key, value)
    segment.AddRepresentation(LABELMAP, image)
    return segment


def _show_3d(node) -> None:
    """Make the surfaces; only for a segmentation of our own, because Slicer makes them for all segments or none."""
    if not node.CreateClosedSurfaceRepresentation():
        raise RuntimeError("Slicer did not make the surfaces of the segments.")


def _companions(transaction: SceneTransaction, segmentation_node, volume_node) -> tuple[object, object]:
    """The points and the table of a segmentation; made where they are missing."""
    nodes = []
    for role, class_name, suffix in (
        (POINTS_ROLE, "vtkMRMLMarkupsFiducialNode", "points"),
        (TABLE_ROLE, "vtkMRMLTableNode", "table"),
    ):
        node = segmentation_node.GetNodeReference(role)
        if node is None:
            node = transaction.add(class_name, f"{segmentation_node.GetName()} {suffix}")
            transaction.on_error(partial(segmentation_node.SetNodeReferenceID, role, None))
            segmentation_node.SetNodeReferenceID(role, node.GetID())
            place_beside(volume_node.GetScene(), node, volume_node)
            if role == POINTS_ROLE:
                style_points(node)
        nodes.append(node)
    return nodes[0], nodes[1]


def show_rows(transaction: SceneTransaction, segmentation_node, volume_node, rows: Sequence[ReviewRow]) -> None:
    """Make points and table of a segmentation, which are made where they are missing, say what `rows` say."""
    points, table = _companions(transaction, segmentation_node, volume_node)
    fill_points(transaction, points, rows, volume_node)
    fill_table(transaction, table, rows)


def _ijk_to_ras(volume_node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return numpy_matrix(matrix)
