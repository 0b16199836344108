"""The review of a CT's nodules: one list of rows, and everything that a user can do to it, with undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.nodules.bands import GUIDELINES
from LungNoduleSegLib.nodules.nodule import ATTENUATIONS

from .history import NoduleHistory
from .nodule_segments import (
    is_untouched,
    mark_edited,
    own_tags,
    placed_voxels,
    set_origin,
    set_status,
    take_slicer_status,
)
from .overlap import Placed, united
from .publishing import POINTS_ROLE, TABLE_ROLE, check_same_grid, ijk_to_local, show_rows
from .read import MeasuredSegment, NoduleReader, nodule_segment_ids, rows_of
from .rows import STATUSES, ReviewRow, rejected_ids
from .segment_edits import make_surfaces, set_visible, write_voxels
from .segments import TYPE_TAG, nodule_mask
from .shown_run import ShownRun, same_run
from .tags import set_segment_tag
from .transaction import SceneTransaction
from .watch import SceneWatch

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT
    from LungNoduleSegLib.segmenter import Result

__all__ = ["STATUSES", "NoduleReview", "ReviewRow"]


class NoduleReview:
    """The nodules of one segmentation node on one CT.

    Every change is all or nothing, is one undo step unless said otherwise, ends with points and table that say the
    same, and calls everything in ``on_change``. Segments without this product's UID tag are neither listed nor touched.

    Parameters
    ----------
    segmentation_node, volume_node
        May be under any linear parent transforms.
    ct
        The CT of `volume_node`, where the caller has read it already. Else it is read here; again only when the
        volume's image is modified.

    Attributes
    ----------
    on_change
        Callables without argument.

    Raises
    ------
    InputError
        If the volume is no CT, or one of the nodes is under a transform that is not linear.
    """

    def __init__(self, segmentation_node, volume_node, *, ct: CT | None = None) -> None:
        self.segmentation_node = segmentation_node
        self.volume_node = volume_node
        self.on_change: list[Callable[[], object]] = []
        self._guideline = "fleischner-2017"
        self._reader = NoduleReader(segmentation_node, volume_node, ct=ct)
        self._measured: dict[str, MeasuredSegment] = {}
        self._rows: tuple[ReviewRow, ...] = ()
        self._shown = ShownRun(segmentation_node, volume_node, self._reader)
        self._changing = 0
        self._watch = SceneWatch(segmentation_node, volume_node, lambda: self._changing > 0)
        self._hidden: set[str] = set()
        with self._quiet():
            own_tags(segmentation_node)
            self._take_statuses()
            self._measure()
            self._show_verdicts()
            self._show()
        self._history = NoduleHistory(
            segmentation_node,
            volume_node,
            restored=self._after_restore,
            reader=self._reader.voxels,
            note=self._shown.state,
        )

    # What is there

    @property
    def rows(self) -> tuple[ReviewRow, ...]:
        """The nodules that have voxels on the CT, in the segmentation's order."""
        return self._rows

    def row(self, segment_id: str) -> ReviewRow | None:
        return next((row for row in self._rows if row.segment_id == segment_id), None)

    @property
    def ct(self) -> CT:
        """The CT as it lies in the scene now."""
        return self._reader.ct()

    @property
    def result(self) -> Result | None:
        """The run that :meth:`follow` can follow, at the threshold that is shown; None where there is none, as after
        loading a scene."""
        return self._shown.state.result

    @property
    def guideline(self) -> str:
        """Name of the guideline that the rows' size bands follow, one of :data:`LungNoduleSegLib.nodules.GUIDELINES`.

        Setting it changes the bands, nothing else, and is no undo step.
        """
        return self._guideline

    @guideline.setter
    def guideline(self, name: str) -> None:
        if name not in GUIDELINES:
            raise ValueError(f"Expected argument `name` to be one of {tuple(GUIDELINES)}, got {name!r}")
        if name != self._guideline:
            self._guideline = name
            with self._quiet():
                self._measure()
                self._show()
            self._tell()

    def mask(self, segment_id: str) -> Placed:
        """The voxels of a nodule on the CT's grid.

        Raises
        ------
        InputError
            If there is no such nodule.
        """
        self._check(segment_id)
        one = self._measured[segment_id]
        return Placed(one.mask, one.offset_kji)

    # Results

    def add(self, result: Result, *, text: str = "Find nodules", replace_untouched: bool = True) -> tuple[str, ...]:
        """Put the nodules of a result into the segmentation.

        What shows a nodule that is kept already is left out: it shares more than .3 of the voxels (Dice) with it, or
        its centre lies in it. So a rejected nodule stays rejected, and an accepted one stays as it is.

        Parameters
        ----------
        result
            On the grid of the CT.
        text
            Names the undo step.
        replace_untouched
            Nodules that were found automatically, and that the user has neither judged nor changed, give way first.

        Returns
        -------
        The IDs of the segments that were added, in the order of the result.

        Raises
        ------
        InputError
            If the result is not on the grid of the CT.
        """
        check_same_grid(result, self.volume_node)
        automatic = result.kind == "AUTOMATIC"
        with self._step(text):
            if automatic and replace_untouched:
                for segment_id in list(self._measured):
                    if is_untouched(self._segment(segment_id)):
                        self._remove(segment_id)
            if automatic:
                self._shown.begin(result)
            return self._shown.bring(result, result.nodules, self._measured)

    def follow(self, result: Result) -> None:
        """Show the same run at another threshold; no undo step.

        Nodules of the run that the user has neither judged nor changed come and go with it. What the user has accepted,
        rejected, renamed, edited, given a type, merged or deleted stays as the user has left it.

        Raises
        ------
        InputError
            If `result` is not the run that was added last (:attr:`result`) at some threshold: it may have been undone,
            or have gone into another segmentation.
        """
        if not same_run(self.result, result):
            raise InputError(
                f"the nodules in {self.segmentation_node.GetName()!r} are not of this run", remedy="Find nodules again."
            )
        self.refresh()
        with self._all_or_nothing():
            changed = self._shown.follow(result, self._measured)
            if changed:
                self._measure()
                self._show()
        self._history.absorb(self._shown.state)
        if changed:
            self._tell()

    def replace(self, segment_id: str, result: Result, *, text: str = "Click") -> None:
        """Give a nodule the voxels of a result (of all its nodules); UID, name, colour, type and verdict stay.

        It is SEMIAUTOMATIC from then on, with the result's model and probability.

        Raises
        ------
        InputError
            If there is no such nodule, the result is empty, or it is not on the grid of the CT.
        """
        self._check(segment_id)
        check_same_grid(result, self.volume_node)
        if not result.nodules:
            raise InputError("nothing is left of the nodule", remedy="Delete it, or place another point.")
        parts = [Placed(nodule_mask(result, nodule), nodule.bounds_kji[0]) for nodule in result.nodules]
        with self._step(text):
            self._write(segment_id, united(parts))
            probability = max(nodule.probability for nodule in result.nodules)
            set_origin(self._segment(segment_id), probability, result.model)

    # What the user thinks of them

    def accept(self, ids: Iterable[str]) -> None:
        """These are nodules."""
        self._judge(ids, "accepted", "Accept")

    def reject(self, ids: Iterable[str]) -> None:
        """These are none: they stay in the list, hidden in the views."""
        self._judge(ids, "rejected", "Reject")

    def reset(self, ids: Iterable[str]) -> None:
        """Nothing is known of these yet."""
        self._judge(ids, "pending", "Reset")

    def rename(self, segment_id: str, name: str) -> None:
        """Give a nodule a name of the user's.

        Raises
        ------
        InputError
            If there is no such nodule, or the name is empty.
        """
        self._check(segment_id)
        name = " ".join(name.split())
        if not name:
            raise InputError("a nodule needs a name")
        with self._step("Rename"):
            segment = self._segment(segment_id)
            segment.SetName(name)
            segment.SetNameAutoGenerated(False)

    def set_type(self, segment_id: str, attenuation: str) -> None:
        """Set the type of attenuation by hand; an empty one goes back to what was measured.

        Raises
        ------
        InputError
            If there is no such nodule.
        ValueError
            If it is no type.
        """
        self._check(segment_id)
        if attenuation and attenuation not in ATTENUATIONS:
            raise ValueError(f"Expected argument `attenuation` to be one of {ATTENUATIONS} or '', got {attenuation!r}")
        with self._step("Set type"):
            set_segment_tag(self._segment(segment_id), TYPE_TAG, attenuation)

    def delete(self, ids: Iterable[str]) -> None:
        """Take nodules out of the segmentation; undo brings them back with their UIDs.

        Raises
        ------
        InputError
            If one of them is not there.
        """
        ids = self._check(*ids)
        with self._step("Delete"):
            for segment_id in ids:
                self._remove(segment_id, for_good=True)

    def merge(self, ids: Iterable[str]) -> str:
        """Make one nodule of several: the first keeps UID, name, colour, type and verdict, and gets the voxels of all.

        Its probability is the highest of theirs, and it is SEMIAUTOMATIC from then on.

        Returns
        -------
        The ID of the first.

        Raises
        ------
        InputError
            If fewer than two are named, or one of them is not there.
        """
        ids = self._check(*ids)
        if len(ids) < 2:
            raise InputError("one nodule cannot be merged", remedy="Select two or more.")
        first = ids[0]
        with self._step("Merge"):
            whole = united([self.mask(segment_id) for segment_id in ids])
            probability = max(self._measured[segment_id].nodule.probability for segment_id in ids)
            for segment_id in ids[1:]:
                self._remove(segment_id, for_good=True)
            self._write(first, whole)
            set_origin(self._segment(first), probability)
        return first

    # Changes that others make, and going back

    def refresh(self) -> bool:
        """Take over what was done elsewhere: in the Segment Editor, the Segmentations module, to the CT.

        Only segments whose voxels have changed are measured again, and count as edited. Changes of the segments make
        one undo step, "Edit".

        Returns
        -------
        bool
            Whether anything has changed.

        Raises
        ------
        InputError
            If the volume is no CT any more, or a node is under a transform that is not linear.
        """
        with self._quiet():
            by_voxels, at_all = self._history.differing()
            before = self._rows
            for segment_id in by_voxels & self._measured.keys():
                if self._segment(segment_id) is not None:
                    mark_edited(self._segment(segment_id))
                else:
                    self._shown.leave(self._measured[segment_id].nodule.uid)
            if at_all:
                own_tags(self.segmentation_node)
                self._take_statuses()
            self._measure()
            stepped = self._history.commit("Edit", self._shown.state)
            changed = stepped or self._rows != before
            if changed:
                self._show_verdicts()
                self._show()
        if changed:
            self._tell()
        return changed

    @property
    def can_undo(self) -> bool:
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        return self._history.can_redo

    @property
    def undo_text(self) -> str:
        """What would be undone, empty where there is nothing."""
        return self._history.undo_text

    @property
    def redo_text(self) -> str:
        """What would be done again, empty where there is nothing."""
        return self._history.redo_text

    def undo(self) -> bool:
        """Take the last step back; False where there is none. What was done elsewhere meanwhile is a step too."""
        self.refresh()
        return self._restore(self._history.undo)

    def redo(self) -> bool:
        """Do again what was undone last; False where there is nothing."""
        self.refresh()
        return self._restore(self._history.redo)

    def observe(self, callback: Callable[[], object]) -> None:
        """Call `callback` whenever somebody else changes the segments or the CT; it should see to a :meth:`refresh`
        soon, for example by a timer. One stroke of a brush may call it more than once."""
        self._watch.observe(callback)

    def close(self) -> None:
        """End what :meth:`observe` began; the nodes stay."""
        self._watch.close()
        self.on_change.clear()

    # Inside

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Changes in the block are our own."""
        self._changing += 1
        try:
            yield
        finally:
            self._changing -= 1

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        run = self._shown.state
        with self._quiet():
            try:
                yield
            except BaseException:
                self._shown.state = run
                self._history.revert()
                self._measure()
                self._show_verdicts()
                raise

    @contextmanager
    def _step(self, text: str) -> Iterator[None]:
        self.refresh()
        with self._all_or_nothing():
            empty = self.segmentation_node.GetSegmentation().GetNumberOfSegments() == 0
            yield
            self._measure()
            if empty:
                make_surfaces(self.segmentation_node)
            self._show_verdicts()
            self._show()
        if self._history.commit(text, self._shown.state):
            self._tell()

    def _restore(self, go: Callable[[], bool]) -> bool:
        with self._quiet():
            done = go()
        if done:
            self._tell()
        return done

    def _after_restore(self) -> None:
        """The history has put segments back: follow the threshold that is shown now, if it is the same run."""
        latest, self._shown.state = self._shown.state, self._history.note
        self._measure()
        if self._shown.go_on(latest, self._measured):
            self._measure()
        self._history.absorb(self._shown.state)
        self._show_verdicts()
        self._show()

    def _measure(self) -> None:
        measured = self._reader.read()
        self._measured = {one.segment_id: one for one in measured}
        self._rows = rows_of(self.segmentation_node, measured, GUIDELINES[self._guideline])

    def _show(self) -> None:
        node = self.segmentation_node
        if not self._rows and not any(node.GetNodeReferenceID(role) for role in (POINTS_ROLE, TABLE_ROLE)):
            return  # a segmentation without nodules gets no nodes from being looked at
        with SceneTransaction(self.segmentation_node.GetScene()) as transaction:
            show_rows(transaction, self.segmentation_node, self.volume_node, self._rows)

    def _show_verdicts(self) -> None:
        """Hide what is rejected; show what is not, but only where that is news, as the user may have hidden it."""
        rejected = rejected_ids(self._rows)
        set_visible(self.segmentation_node, rejected, False)
        set_visible(self.segmentation_node, (self._hidden - rejected) & self._measured.keys(), True)
        self._hidden = rejected

    def _take_statuses(self) -> None:
        """Verdicts that the user has given by Slicer's own status of segments."""
        for segment_id in nodule_segment_ids(self.segmentation_node):
            take_slicer_status(self._segment(segment_id))

    def _judge(self, ids: Iterable[str], status: str, text: str) -> None:
        ids = self._check(*ids)
        with self._step(text):
            for segment_id in ids:
                set_status(self._segment(segment_id), status)

    def _remove(self, segment_id: str, *, for_good: bool = False) -> None:
        if for_good:
            self._shown.leave(self._measured[segment_id].nodule.uid)
        self.segmentation_node.GetSegmentation().RemoveSegment(segment_id)

    def _write(self, segment_id: str, placed: Placed) -> None:
        node = self.segmentation_node
        write_voxels(node, segment_id, placed_voxels(placed, ijk_to_local(node, self.volume_node)))

    def _tell(self) -> None:
        for call in list(self.on_change):
            call()

    def _segment(self, segment_id: str):
        return self.segmentation_node.GetSegmentation().GetSegment(segment_id)

    def _check(self, *ids: str) -> list[str]:
        """The IDs, each once.

        Raises
        ------
        InputError
            If one is no nodule of the list.
        """
        unique = list(dict.fromkeys(ids))
        for segment_id in unique:
            if segment_id not in self._measured:
                raise InputError(f"there is no nodule {segment_id!r} in {self.segmentation_node.GetName()!r}")
        return unique
