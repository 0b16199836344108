"""The nodules in 3D, on demand."""

from __future__ import annotations

from .segment_edits import SURFACE, make_surfaces


def show_3d(segmentation_node, on: bool) -> None:
    """Make the surfaces of all segments, or remove them: a segmentation without them is updated faster when edited."""
    if not on:
        segmentation_node.GetSegmentation().RemoveRepresentation(SURFACE)
        return
    make_surfaces(segmentation_node)
    if segmentation_node.GetDisplayNode() is not None:
        segmentation_node.GetDisplayNode().SetVisibility3D(True)
