"""Undo and redo of what happens to the nodules of one segmentation node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer

from .geometry import voxels
from .publishing import rebuild
from .read import nodule_segment_ids

if TYPE_CHECKING:
    from .read import SceneNodules

_LABELMAP = "Binary labelmap"
_STATES = 20  # a state holds only the boxes around the nodules


class NoduleHistory:
    """Undo and redo on Slicer's ``vtkSegmentationHistory``; points and table follow the segmentation.

    The scene's own undo is off by default and unreliable, so it is not used. Call :meth:`save` before each change.
    A restored state brings back nodule segments only: what the user did meanwhile to other segments of the same
    segmentation stays.
    """

    def __init__(self, segmentation_node, volume_node) -> None:
        self._segmentation_node = segmentation_node
        self._volume_node = volume_node
        self._history = slicer.vtkSegmentationHistory()
        self._history.SetMaximumNumberOfStates(_STATES)
        self._history.SetSegmentation(segmentation_node.GetSegmentation())

    @property
    def can_undo(self) -> bool:
        return bool(self._history.IsRestorePreviousStateAvailable())

    @property
    def can_redo(self) -> bool:
        return bool(self._history.IsRestoreNextStateAvailable())

    def save(self) -> None:
        """Remember the segmentation as it is now."""
        if not self._history.SaveState():
            raise RuntimeError("Slicer did not save the state of the segmentation.")

    def undo(self) -> SceneNodules | None:
        """Go back to the state that was saved last; None, and nothing changes, where there is none."""
        return self._restore(self._history.RestorePreviousState) if self.can_undo else None

    def redo(self) -> SceneNodules | None:
        """Take the last undo back; None, and nothing changes, where there is none."""
        return self._restore(self._history.RestoreNextState) if self.can_redo else None

    def _restore(self, step) -> SceneNodules:
        segmentation = self._segmentation_node.GetSegmentation()
        others = {segment_id: _copy(segmentation.GetSegment(segment_id)) for segment_id in self._other_ids()}
        step()
        for segment_id in self._other_ids():
            if segment_id not in others:
                segmentation.RemoveSegment(segment_id)
        for segment_id, kept in others.items():
            restored = segmentation.GetSegment(segment_id)
            if restored is None:
                segmentation.AddSegment(kept, segment_id)
            elif not _equal(restored, kept):
                restored.DeepCopy(kept)
        return rebuild(self._segmentation_node, self._volume_node)

    def _other_ids(self) -> list[str]:
        segmentation = self._segmentation_node.GetSegmentation()
        ours = set(nodule_segment_ids(self._segmentation_node))
        ids = [segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments())]
        return [segment_id for segment_id in ids if segment_id not in ours]


def _copy(segment):
    copied = slicer.vtkSegment()
    copied.DeepCopy(segment)
    return copied


def _equal(one, other) -> bool:
    if (one.GetName(), one.GetColor(), one.GetLabelValue()) != (
        other.GetName(),
        other.GetColor(),
        other.GetLabelValue(),
    ):
        return False
    first, second = one.GetRepresentation(_LABELMAP), other.GetRepresentation(_LABELMAP)
    if first is None or second is None or first.GetExtent() != second.GetExtent():
        return first is second
    if first.GetNumberOfPoints() == 0:
        return second.GetNumberOfPoints() == 0
    return bool(np.array_equal(voxels(first) == one.GetLabelValue(), voxels(second) == other.GetLabelValue()))
