"""Tells when somebody changes the segments of a node, or the CT that they lie on."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

_SEGMENTATION_EVENTS = (
    "SegmentAdded",
    "SegmentRemoved",
    "SegmentModified",
    "RepresentationModified",
    "SourceRepresentationModified",
    "SegmentsOrderModified",
)


class SceneWatch:
    """VTK observers on a segmentation node and a volume node.

    Parameters
    ----------
    muted
        While it returns true, nothing is told: the change is the caller's own.
    """

    def __init__(self, segmentation_node, volume_node, muted: Callable[[], bool]) -> None:
        self._nodes = segmentation_node, volume_node
        self._muted = muted
        self._callback: Callable[[], object] | None = None
        self._on_nodes: list[tuple[object, int]] = []
        self._on_segmentation: list[tuple[object, int]] = []

    def observe(self, callback: Callable[[], object]) -> None:
        """Begin; an earlier callback is forgotten."""
        self.close()
        self._callback = callback
        segmentation_node, volume_node = self._nodes
        self._on_nodes = [
            (node, node.AddObserver(event, told))
            for node, event, told in (
                (segmentation_node, segmentation_node.SegmentationChangedEvent, self._other_segmentation),
                (segmentation_node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._tell),
                (volume_node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._tell),
                (volume_node, volume_node.ImageDataModifiedEvent, self._tell),
                (volume_node, vtk.vtkCommand.ModifiedEvent, self._tell),  # all that arrays of scripts announce
            )
        ]
        self._watch_segmentation()

    def close(self) -> None:
        """End; may be called again."""
        for watched, tag in (*self._on_nodes, *self._on_segmentation):
            watched.RemoveObserver(tag)  # type: ignore[attr-defined]
        self._on_nodes, self._on_segmentation, self._callback = [], [], None

    def _watch_segmentation(self) -> None:
        for watched, tag in self._on_segmentation:
            watched.RemoveObserver(tag)  # type: ignore[attr-defined]
        segmentation = self._nodes[0].GetSegmentation()
        self._on_segmentation = [
            (segmentation, segmentation.AddObserver(getattr(slicer.vtkSegmentation, name), self._tell))
            for name in _SEGMENTATION_EVENTS
        ]

    def _other_segmentation(self, caller: vtk.vtkObject, event: str) -> None:
        self._watch_segmentation()
        self._tell(caller, event)

    def _tell(self, _caller: vtk.vtkObject, _event: str) -> None:
        if self._callback is not None and not self._muted():
            self._callback()
