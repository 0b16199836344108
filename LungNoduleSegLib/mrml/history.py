"""Undo and redo of what happens to the nodules of one segmentation node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer

from .publishing import rebuild
from .read import nodule_segment_ids
from .segment_edits import (
    copy_metadata,
    has_surfaces,
    insert_segment,
    make_surfaces,
    order_segments,
    segment_ids,
    segment_like,
    write_voxels,
)
from .segment_voxels import LABELMAP, SegmentVoxels, VoxelReader
from .segments import TAGS
from .tags import segment_tag

STEPS = 20  # a state holds only the boxes around the nodules
# An empty segment that has another name in every state: Slicer saves none that looks like the last one.
_MARKER = "LungNoduleSeg.State"


@dataclass(frozen=True)
class Step:
    """What was done, and the notes that belong to the states before and after it."""

    text: str
    before: Any
    after: Any = None


@dataclass(frozen=True, eq=False)
class _Kept:
    """A nodule segment as it was: a copy without voxels for what it says, and its voxels."""

    segment: Any
    said: tuple
    voxels: SegmentVoxels | None

    @classmethod
    def of(cls, segment, voxels: SegmentVoxels | None) -> _Kept:
        copied = slicer.vtkSegment()
        copy_metadata(copied, segment)
        return cls(copied, _said(copied), voxels)

    def holds(self, voxels: SegmentVoxels | None) -> bool:
        return voxels is self.voxels if voxels is None or self.voxels is None else voxels.same_as(self.voxels)

    def says(self, segment) -> bool:
        return _said(segment) == self.said


class NoduleHistory:
    """Undo and redo on Slicer's ``vtkSegmentationHistory``; points and table follow the segmentation.

    The scene's own undo is off by default and unreliable, so it is not used. The history keeps copies of the nodule
    segments as they were at the last :meth:`commit`. So a change may be committed after it has happened, whoever made
    it, and other segments of the user's are never touched, whatever happens to them meanwhile. Slicer's history looks
    at a segmentation of its own, which changes only when a state is saved or restored: any other change to what it
    looks at would count as a state.

    Parameters
    ----------
    restored
        Is called after nodule segments were put back; default: :func:`LungNoduleSegLib.mrml.rebuild`.
    reader
        Reads the nodule segments' voxels, where the caller does so too.
    note
        Whatever the caller wants to keep with the state that is there now; see :attr:`note`.

    Attributes
    ----------
    note
        The caller's note to the present state; set it with :meth:`commit` or :meth:`absorb`, undo and redo bring it
        back.
    """

    def __init__(
        self,
        segmentation_node,
        volume_node,
        *,
        restored: Callable[[], object] | None = None,
        reader: VoxelReader | None = None,
        note: Any = None,
    ) -> None:
        self._node = segmentation_node
        self._restored = restored or (lambda: rebuild(segmentation_node, volume_node))
        self._stage = slicer.vtkSegmentation()
        self._stage.SetSourceRepresentationName(LABELMAP)
        self._history = slicer.vtkSegmentationHistory()
        self._history.SetMaximumNumberOfStates(STEPS + 1)  # the newest state is saved too
        self._history.SetSegmentation(self._stage)
        self._reader = reader or VoxelReader()
        self._kept: dict[str, _Kept] = {}
        self._back: list[Step] = []
        self._forward: list[Step] = []
        self._surfaces = False
        self._saved = 0
        self.note = note
        self.absorb(note)
        self._save()

    @property
    def can_undo(self) -> bool:
        return bool(self._back)

    @property
    def can_redo(self) -> bool:
        return bool(self._forward)

    @property
    def undo_text(self) -> str:
        """What would be undone, empty where there is nothing."""
        return self._back[-1].text if self._back else ""

    @property
    def redo_text(self) -> str:
        """What would be done again, empty where there is nothing."""
        return self._forward[-1].text if self._forward else ""

    def differing(self) -> tuple[set[str], set[str]]:
        """IDs of nodule segments that are not as they were at the last commit: by their voxels, and in any way.

        A segment that came or went counts for both.
        """
        now, segmentation = self._voxels(), self._node.GetSegmentation()
        by_voxels = set(now.keys() ^ self._kept.keys())
        at_all = set(by_voxels)
        for segment_id in now.keys() & self._kept.keys():
            kept = self._kept[segment_id]
            if not kept.holds(now[segment_id]):
                by_voxels.add(segment_id)
                at_all.add(segment_id)
            elif not kept.says(segmentation.GetSegment(segment_id)):
                at_all.add(segment_id)
        return by_voxels, at_all

    def commit(self, text: str = "", note: Any = None) -> bool:
        """Make one step of everything that happened to the nodule segments since the last one.

        Returns
        -------
        bool
            False, and nothing is saved, where nothing has changed. A new step ends redo.
        """
        if not self.differing()[1] and nodule_segment_ids(self._node) == list(self._kept):
            self.note = note
            return False
        step = Step(text, self.note)
        self.absorb(note)
        self._save()
        self._back = [*self._back, step][-STEPS:]
        self._forward = []
        return True

    def absorb(self, note: Any = None) -> None:
        """Take what is there now as it is, without a step; undo and redo lead to states as they were committed."""
        self._has_surfaces()
        segmentation, before = self._node.GetSegmentation(), self._kept
        self._kept = {}
        for segment_id, voxels in self._voxels().items():
            segment, kept = segmentation.GetSegment(segment_id), before.get(segment_id)
            same = kept is not None and kept.holds(voxels) and kept.says(segment)
            self._kept[segment_id] = kept if kept is not None and same else _Kept.of(segment, voxels)
        self.note = note

    def revert(self) -> None:
        """Put the nodule segments back as they were at the last commit, without a step."""
        self._put(self._kept)

    def undo(self) -> bool:
        """Take the last step back; False, and nothing changes, where there is none."""
        if not self._back:
            return False
        step = self._back.pop()
        self._forward.append(Step(step.text, step.before, self.note))
        self._go(self._history.RestorePreviousState, step.before)
        return True

    def redo(self) -> bool:
        """Do again what was undone last; False, and nothing changes, where there is nothing."""
        if not self._forward:
            return False
        step = self._forward.pop()
        self._back.append(Step(step.text, self.note, step.after))
        self._go(self._history.RestoreNextState, step.after)
        return True

    def _go(self, restore: Callable[[], bool], note: Any) -> None:
        if not restore():
            raise RuntimeError("Slicer did not restore the state of the nodules.")
        ids = [one for one in segment_ids(self._stage) if one != _MARKER]
        voxels = VoxelReader().read(self._stage, ids)
        self._put({one: _Kept.of(self._stage.GetSegment(one), voxels[one]) for one in ids})
        self.absorb(note)
        self._restored()

    def _voxels(self) -> dict[str, SegmentVoxels | None]:
        return self._reader.read(self._node.GetSegmentation(), nodule_segment_ids(self._node))

    def _has_surfaces(self) -> bool:
        """Whether the node shows surfaces; of one without segments, whether it did when it had some."""
        if self._node.GetSegmentation().GetNumberOfSegments():
            self._surfaces = has_surfaces(self._node)
        return self._surfaces

    def _put(self, state: dict[str, _Kept]) -> None:
        """Make the node's nodule segments those of a state; nothing else in the node changes."""
        node, segmentation = self._node, self._node.GetSegmentation()
        surfaces = self._has_surfaces()
        now = self._voxels()
        for segment_id in now.keys() - state.keys():
            segmentation.RemoveSegment(segment_id)
        for segment_id, kept in state.items():
            if segment_id not in now:
                insert_segment(node, segment_like(kept.segment, kept.voxels), segment_id)
                continue
            if not kept.holds(now[segment_id]):
                write_voxels(node, segment_id, kept.voxels)
            if not kept.says(segmentation.GetSegment(segment_id)):
                copy_metadata(segmentation.GetSegment(segment_id), kept.segment)
        order_segments(segmentation, list(state))
        if surfaces:
            make_surfaces(node)

    def _save(self) -> None:
        """Show Slicer's history the state of the last commit, and let it save that."""
        stage = self._stage
        voxels = VoxelReader().read(stage, segment_ids(stage))
        if _MARKER not in voxels:
            stage.AddSegment(segment_like(slicer.vtkSegment(), None), _MARKER)
        for segment_id in voxels.keys() - self._kept.keys() - {_MARKER}:
            stage.RemoveSegment(segment_id)
        for segment_id, kept in self._kept.items():
            if segment_id not in voxels:
                stage.AddSegment(segment_like(kept.segment, kept.voxels), segment_id)
                continue
            segment = stage.GetSegment(segment_id)
            if not kept.holds(voxels[segment_id]):  # other images are not saved again
                image = slicer.vtkOrientedImageData() if kept.voxels is None else kept.voxels.image()
                segment.AddRepresentation(LABELMAP, image)
            if not kept.says(segment):
                copy_metadata(segment, kept.segment)
        order_segments(stage, list(self._kept))
        self._saved += 1
        stage.GetSegment(_MARKER).SetName(str(self._saved))
        if not self._history.SaveState():
            raise RuntimeError("Slicer did not save the state of the nodules.")


def _said(segment) -> tuple:
    return (segment.GetName(), segment.GetColor(), *(segment_tag(segment, key) for key in TAGS))
