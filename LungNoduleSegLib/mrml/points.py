"""One markups point per nodule, at its centroid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from .read import SceneNodules
    from .transaction import SceneTransaction

# Small beside a nodule, so that the point marks it without hiding it.
_GLYPH_SCALE = 1.5
_TEXT_SCALE = 2.5


def fill_points(transaction: SceneTransaction, node, nodules: SceneNodules, volume_node) -> None:
    """Make the control points of `node` the centroids of `nodules`: label = segment name, description = UID.

    The node follows the CT's parent transform; positions are set in world RAS mm, so both are right at once.
    """
    before = slicer.vtkMRMLMarkupsFiducialNode()
    before.CopyContent(node)
    transform, lock = node.GetTransformNodeID(), node.GetLocked()

    def restore() -> None:
        node.CopyContent(before)
        node.SetAndObserveTransformNodeID(transform)
        node.SetLocked(lock)

    transaction.on_error(restore)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetGlyphScale(_GLYPH_SCALE)
        display.SetTextScale(_TEXT_SCALE)
        display.SetSelectedColor(1.0, 0.85, 0.2)
    node.SetLocked(False)  # a locked list refuses new points
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.RemoveAllControlPoints()
    for nodule, name in zip(nodules.nodules, nodules.names, strict=True):
        index = node.AddControlPointWorld(nodule.centroid_ras, name)
        node.SetNthControlPointDescription(index, nodule.uid)
        node.SetNthControlPointLocked(index, True)
    node.SetLocked(True)  # the points follow the segments; dragging one would only make it wrong
