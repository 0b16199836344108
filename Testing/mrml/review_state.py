"""What a user sees of a review, as values that can be compared."""

from __future__ import annotations

import numpy as np
import slicer

from LungNoduleSegLib.mrml.publishing import POINTS_ROLE, TABLE_ROLE


def ids(review) -> list[str]:
    return [row.segment_id for row in review.rows]


def masks(review) -> dict[str, np.ndarray]:
    """The voxels of every nodule as Slicer gives them, bool [k, j, i] on the CT's grid."""
    node, volume = review.segmentation_node, review.volume_node
    return {one: slicer.util.arrayFromSegmentBinaryLabelmap(node, one, volume) != 0 for one in ids(review)}


def state(review) -> tuple:
    """List, voxels, colours, points, table, and what is hidden."""
    node = review.segmentation_node
    points, table = node.GetNodeReference(POINTS_ROLE), node.GetNodeReference(TABLE_ROLE)
    numbers = range(points.GetNumberOfControlPoints())
    return (
        review.rows,
        {segment_id: mask.tobytes() for segment_id, mask in masks(review).items()},
        [node.GetSegmentation().GetSegment(one).GetColor() for one in ids(review)],
        [(points.GetNthControlPointLabel(n), tuple(points.GetNthControlPointPositionWorld(n))) for n in numbers],
        [points.GetNthControlPointVisibility(n) for n in numbers],
        [[table.GetCellText(r, c) for c in range(table.GetNumberOfColumns())] for r in range(table.GetNumberOfRows())],
        [node.GetDisplayNode().GetSegmentVisibility(one) for one in ids(review)],
    )


def paint(review, segment_id: str, box) -> None:
    """Give a segment other voxels as the Segment Editor does: from outside of the review."""
    mask = np.zeros(review.ct.shape, np.uint8)
    mask[box] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, review.segmentation_node, segment_id, review.volume_node)
