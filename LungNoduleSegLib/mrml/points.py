"""One markups point per nodule, at its centroid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .rows import ReviewRow
    from .transaction import SceneTransaction

# In percent of the view. A cross, so that the point marks a small nodule without hiding it, in the slices and in 3D.
_GLYPH_SCALE = 1.5
_TEXT_SCALE = 2.5


def style_points(node) -> None:
    """Make a new node look like marks of nodules. Slicer may have given it a display node of its own before."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.CrossDot2D)
    display.SetGlyphScale(_GLYPH_SCALE)
    display.SetTextScale(_TEXT_SCALE)
    display.SetSelectedColor(1.0, 0.85, 0.2)


def fill_points(transaction: SceneTransaction, node, rows: Sequence[ReviewRow], volume_node) -> None:
    """Make the control points of `node` the centroids of the nodules: label = segment name, description = UID.

    The node follows the CT's parent transform; positions are set in world RAS mm, so both are right at once. The points
    of rejected nodules are hidden. Points that stay are still selected, or not, as before.
    """
    before = slicer.vtkMRMLMarkupsFiducialNode()
    before.CopyContent(node)
    transform, lock, fixed = node.GetTransformNodeID(), node.GetLocked(), node.GetFixedNumberOfControlPoints()

    def restore() -> None:
        node.SetFixedNumberOfControlPoints(False)
        node.CopyContent(before)
        node.SetAndObserveTransformNodeID(transform)
        node.SetLocked(lock)
        node.SetFixedNumberOfControlPoints(fixed)

    transaction.on_error(restore)
    if node.GetDisplayNode() is None:
        style_points(node)
    numbers = range(node.GetNumberOfControlPoints())
    selected = {node.GetNthControlPointDescription(n): bool(node.GetNthControlPointSelected(n)) for n in numbers}
    modifying = node.StartModify()  # views are drawn once, not for every point
    try:
        node.SetLocked(False)  # a locked list refuses new points, and so does one of a fixed number
        node.SetFixedNumberOfControlPoints(False)
        node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        node.RemoveAllControlPoints()
        for row in rows:
            index = node.AddControlPointWorld(row.nodule.centroid_ras, row.name)
            node.SetNthControlPointDescription(index, row.nodule.uid)
            node.SetNthControlPointVisibility(index, row.status != "rejected")
            # New points look like most: selected as Slicer makes them, unless one is highlighted among the others.
            node.SetNthControlPointSelected(index, selected.get(row.nodule.uid, all(selected.values())))
            node.SetNthControlPointLocked(index, True)
        # The points follow the segments: none can be dragged, added or removed. The list itself is not locked, because
        # Slicer takes no click on a locked one, and a click on a point chooses its nodule.
        node.SetFixedNumberOfControlPoints(True)
    finally:
        node.EndModify(modifying)
