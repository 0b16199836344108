"""The run whose nodules are shown: at another threshold they come and go, as long as the user leaves them alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .nodule_segments import is_measured_on, is_untouched, placed_voxels, uids_of
from .overlap import Placed, same_nodule
from .publishing import ijk_to_local, make_segment
from .read import MeasuredSegment, NoduleReader, nodule_labels
from .segment_edits import SURFACE, has_surfaces, insert_segment, take_out
from .segments import SegmentRecord, nodule_mask, segment_record

if TYPE_CHECKING:
    from LungNoduleSegLib.nodules import Nodule
    from LungNoduleSegLib.segmenter import Result

    from .segment_voxels import SegmentVoxels


@dataclass(frozen=True, eq=False)
class RunState:
    """What belongs to a state of the segmentation beside its segments.

    Attributes
    ----------
    result
        The run, at the threshold that is shown; None where there is none.
    labels
        By UID, of the run's nodules that are shown or were: one that comes back has its old number and name.
    gone
        UIDs of what the user has deleted or merged: it does not come back.
    """

    result: Result | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


def same_run(one: Result | None, other: Result | None) -> bool:
    """Whether two results are one run, at whatever thresholds."""
    return one is not None and other is not None and one.candidates is other.candidates


class ShownRun:
    """Puts a run's nodules into a segmentation and takes them out again; knows nothing of undo, points and table.

    Attributes
    ----------
    state
        Immutable; it may be set back to an earlier one when the segments are.
    """

    def __init__(self, segmentation_node, volume_node, reader: NoduleReader) -> None:
        self._node = segmentation_node
        self._volume_node = volume_node
        self._reader = reader
        self.state = RunState()
        # Untouched segments of the run that are below the threshold now.
        self._aside: dict[str, tuple[SegmentVoxels, Any]] = {}

    def begin(self, result: Result) -> None:
        """This run is the one to follow from now on."""
        self.state = RunState(result)
        self._aside = {}

    def leave(self, uid: str) -> None:
        """The user has taken this nodule out: no threshold brings it back."""
        self.state = replace(self.state, gone=self.state.gone | {uid})

    def bring(
        self, result: Result, nodules: Iterable[Nodule], measured: Mapping[str, MeasuredSegment]
    ) -> tuple[str, ...]:
        """Add nodules that are not there yet and that none of `measured`, as far as they still are there, shows.

        Those of the run have the labels that they had before. Returns the IDs of what was added.
        """
        node = self._node
        of_run = result is self.state.result
        present = uids_of(node)
        kept = [
            Placed(one.mask, one.offset_kji)
            for one in measured.values()
            # A run keeps its own nodules apart.
            if one.segment_id in present.values() and not (of_run and self._comes_and_goes(one))
        ]
        labels = dict(self.state.labels)
        places = {label: uid for uid, label in labels.items() if uid in present}
        used = {*nodule_labels(node).values(), *labels.values()}
        local, ct = ijk_to_local(node, self._volume_node), self._reader.ct()
        added = []
        for nodule in nodules:
            placed = Placed(nodule_mask(result, nodule), nodule.bounds_kji[0])
            # Where candidates overlap, a more probable nodule may cover another one wholly.
            if nodule.uid in present or not placed.mask.any() or any(same_nodule(placed, one) for one in kept):
                continue
            label = labels.get(nodule.uid) or max(used, default=0) + 1
            used.add(label)
            labels[nodule.uid] = label
            record = segment_record(result, nodule, label)
            voxels = placed_voxels(placed, local)
            later = min((one for one in places if one > label), default=0)  # the run's nodules stay in their order
            before = present[places[later]] if later else ""
            insert_segment(node, self._segment(record, voxels), record.segment_id, before)
            places[label], present[nodule.uid] = nodule.uid, record.segment_id
            if is_measured_on(nodule, voxels, ct):
                self._reader.know(record.segment_id, voxels, nodule)
            added.append(record.segment_id)
        if of_run:
            self.state = replace(self.state, labels=labels)
        return tuple(added)

    def follow(self, result: Result, measured: Mapping[str, MeasuredSegment]) -> bool:
        """Show the run at another threshold; whether any nodule came or went."""
        chosen = {nodule.uid: nodule for nodule in result.nodules}
        self.state = replace(self.state, result=result)
        going = [
            segment_id
            for segment_id, one in measured.items()
            if self._comes_and_goes(one) and one.nodule.uid not in chosen
        ]
        for segment_id in going:
            self._aside[segment_id] = measured[segment_id].voxels, take_out(self._node, segment_id)
        present = uids_of(self._node)
        coming = [nodule for uid, nodule in chosen.items() if uid not in present and uid not in self.state.gone]
        return bool(self.bring(result, coming, measured)) or bool(going)

    def go_on(self, latest: RunState, measured: Mapping[str, MeasuredSegment]) -> bool:
        """After an earlier state came back: show the threshold that was shown until now, where it is the same run.

        Returns whether any nodule came or went.
        """
        if latest.result is None or not same_run(self.state.result, latest.result):
            return False
        self.state = replace(self.state, labels={**latest.labels, **self.state.labels})
        return self.follow(latest.result, measured)

    def _comes_and_goes(self, one: MeasuredSegment) -> bool:
        """Whether a nodule belongs to the run, and the user has not touched it."""
        segment = self._node.GetSegmentation().GetSegment(one.segment_id)
        return one.nodule.uid in self.state.labels and segment is not None and is_untouched(segment)

    def _segment(self, record: SegmentRecord, voxels: SegmentVoxels):
        """A segment of a nodule; one that was taken out before comes back with its surface, which is slow to make."""
        before, segment = self._aside.pop(record.segment_id, (None, None))
        if segment is None or not voxels.same_as(before):
            return make_segment(record, voxels.image())
        if not has_surfaces(self._node):
            segment.RemoveRepresentation(SURFACE)
        return segment
