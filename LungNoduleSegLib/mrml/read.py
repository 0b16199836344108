"""Nodules back from a segmentation node, onto the CT's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from LungNoduleSegLib.nodules import Nodule, measure_nodule
from LungNoduleSegLib.nodules.bands import SizeBand, fleischner_2017

from .geometry import to_world, volume_to_world
from .rows import ReviewRow, row_of, user_type
from .segment_voxels import SegmentVoxels, VoxelReader
from .segments import LABEL_TAG, PROBABILITY_TAG, TAGS, TERMINOLOGY_TAG, UID_TAG, SegmentRecord, side_of_terminology
from .tags import segment_tag
from .volume import ct_from_volume

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT


# Saving and loading a scene moves a CT by less, a user by more; over 1000 voxels it makes a thousandth of a mm.
_SAME_MATRIX = 1e-6


@dataclass(frozen=True, eq=False)
class MeasuredSegment:
    """A nodule segment with voxels on the CT's grid.

    Attributes
    ----------
    segment_id
        Its ID.
    voxels
        As the segment holds them.
    mask, offset_kji
        bool [k, j, i] on a box of the CT's grid, and the box's first voxel.
    nodule
        Measured from the mask; UID, label, probability, side, and a type that the user has chosen, are the tags'.
    chosen
        That type, empty where the user has chosen none.
    """

    segment_id: str
    voxels: SegmentVoxels
    mask: np.ndarray
    offset_kji: tuple[int, int, int]
    nodule: Nodule
    chosen: str


@dataclass(frozen=True, eq=False)
class SceneNodules:
    """The nodules of a segmentation node.

    Attributes
    ----------
    labels
        uint16 [k, j, i] on the CT's grid; where segments overlap, the later one.
    nodules
        Measured again from the voxels; UID, label and probability are the segments' tags.
    names
        Of the segments; the user may have changed them.
    segment_ids
        Of the segments. All lists have the same order.
    rows
        The nodules with what else the segments say: status, type, how they came about.
    """

    labels: np.ndarray
    nodules: tuple[Nodule, ...]
    names: tuple[str, ...]
    segment_ids: tuple[str, ...]
    rows: tuple[ReviewRow, ...]


def nodule_segment_ids(segmentation_node) -> list[str]:
    """IDs of the segments that carry this product's UID tag, in the segmentation's order."""
    segmentation = segmentation_node.GetSegmentation()
    ids = (segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments()))
    return [segment_id for segment_id in ids if segment_tag(segmentation.GetSegment(segment_id), UID_TAG)]


def nodule_labels(segmentation_node) -> dict[str, int]:
    """Label of each nodule segment: its tag, or the next free number where two have the same (a copied segment)."""
    segmentation = segmentation_node.GetSegmentation()
    wished = {}
    for segment_id in nodule_segment_ids(segmentation_node):
        tag = segment_tag(segmentation.GetSegment(segment_id), LABEL_TAG)
        wished[segment_id] = int(tag) if tag.isdecimal() and 0 < int(tag) <= np.iinfo(np.uint16).max else 0
    labels: dict[str, int] = {}
    following = max(wished.values(), default=0) + 1
    for segment_id, label in wished.items():
        if not label or label in labels.values():
            label, following = following, following + 1
        labels[segment_id] = label
    return labels


def nodule_uids(segmentation_node) -> dict[str, str]:
    """UID of each nodule segment: its tag; a segment that the user has copied brings the tag along, but it is another
    nodule, and gets a UID of its own that is the same at every reading."""
    segmentation = segmentation_node.GetSegmentation()
    uids: dict[str, str] = {}
    for segment_id in nodule_segment_ids(segmentation_node):
        uid = segment_tag(segmentation.GetSegment(segment_id), UID_TAG)
        if uid in uids.values():
            uid = f"2.25.{uuid5(NAMESPACE_OID, f'{uid} {segment_id}').int}"
        uids[segment_id] = uid
    return uids


class NoduleReader:
    """Reads the nodule segments of a node again and again, and measures only what has changed.

    Parameters
    ----------
    ct
        The CT of `volume_node`, where the caller has read it already. Else it is read when it is first needed; again
        only when the volume's image was modified.
    """

    def __init__(self, segmentation_node, volume_node, *, ct: CT | None = None) -> None:
        self._segmentation_node = segmentation_node
        self._volume_node = volume_node
        self.voxels = VoxelReader()
        self._measured: dict[str, MeasuredSegment] = {}
        self._measured_on: tuple = ()
        self._ct = ct
        self._ct_image = None if ct is None else self._image()

    def ct(self) -> CT:
        """The CT as it lies in the scene now.

        Raises
        ------
        InputError
            If the volume is no CT, or it is under a transform that is not linear.
        """
        matrix = volume_to_world(self._volume_node)
        if self._ct is None or self._ct_image != self._image():
            self._ct, self._ct_image = ct_from_volume(self._volume_node), self._image()
        elif not np.allclose(matrix, self._ct.ijk_to_ras, rtol=0.0, atol=_SAME_MATRIX):
            self._ct = replace(self._ct, ijk_to_ras=matrix)  # moved, but not changed: the voxels are not copied
        return self._ct

    def read(self) -> tuple[MeasuredSegment, ...]:
        """The nodule segments that have voxels, in the segmentation's order; the scene is not changed.

        Raises
        ------
        InputError
            As :meth:`ct`, and if the segmentation is under a transform that is not linear.
        """
        ct = self.ct()
        segmentation = self._segmentation_node.GetSegmentation()
        to_ijk = np.linalg.inv(np.asarray(ct.ijk_to_ras)) @ to_world(self._segmentation_node)
        labels, uids = nodule_labels(self._segmentation_node), nodule_uids(self._segmentation_node)
        voxels = self.voxels.read(segmentation, labels)
        place = (id(ct), to_ijk.tobytes())
        known = self._measured if place == self._measured_on else {}
        measured = {}
        for segment_id, label in labels.items():
            segment = segmentation.GetSegment(segment_id)
            tags = {
                "label": label,
                "uid": uids[segment_id],
                "probability": _probability(segment),
                "side": side_of_terminology(segment_tag(segment, TERMINOLOGY_TAG)),
            }
            found = self._measure(segment_id, voxels[segment_id], known.get(segment_id), ct, to_ijk, tags)
            if found is not None:
                measured[segment_id] = found
        self._measured, self._measured_on = measured, place
        return tuple(measured.values())

    def know(self, segment_id: str, voxels: SegmentVoxels, nodule: Nodule) -> None:
        """Spare the measurement of a segment that was just made from a nodule of the same voxels on the CT's grid."""
        self._measured[segment_id] = MeasuredSegment(segment_id, voxels, voxels.mask, voxels.offset_kji, nodule, "")

    def _measure(
        self,
        segment_id: str,
        voxels: SegmentVoxels | None,
        known: MeasuredSegment | None,
        ct: CT,
        to_ijk: np.ndarray,
        tags: dict[str, Any],
    ) -> MeasuredSegment | None:
        if voxels is None:
            return None  # the user has erased it all; nothing is left to measure
        chosen = user_type(self._segmentation_node.GetSegmentation().GetSegment(segment_id))
        if known is not None and (known.voxels is voxels or known.voxels.same_as(voxels)):
            mask, offset = known.mask, known.offset_kji
        else:
            on_grid = voxels.on_grid(to_ijk, ct.shape)
            if on_grid is None:
                return None
            mask, offset = on_grid
            known = None
        if known is None or known.chosen != chosen:
            nodule = measure_nodule(mask, offset, ct, attenuation=chosen or None, **tags)
        elif any(getattr(known.nodule, name) != value for name, value in tags.items()):
            nodule = replace(known.nodule, **tags)
        else:
            nodule = known.nodule
        return MeasuredSegment(segment_id, voxels, mask, offset, nodule, chosen)

    def _image(self) -> tuple:
        """What stands for the state of the CT's voxels; the image is kept, so that no other takes its place."""
        image = self._volume_node.GetImageData()
        return image, 0 if image is None else image.GetMTime()


def read_nodules(segmentation_node, volume_node, *, ct: CT | None = None) -> SceneNodules:
    """Read the nodule segments of `segmentation_node` onto the grid of `volume_node`; the scene is not changed.

    Parameters
    ----------
    ct
        The CT of `volume_node`, where the caller has read it already.

    Raises
    ------
    InputError
        If the volume is no CT, or one of the nodes is under a transform that is not linear.
    """
    reader = NoduleReader(segmentation_node, volume_node, ct=ct)
    measured = reader.read()
    return SceneNodules(
        label_array(measured, reader.ct().shape),
        tuple(one.nodule for one in measured),
        tuple(segmentation_node.GetSegmentation().GetSegment(one.segment_id).GetName() for one in measured),
        tuple(one.segment_id for one in measured),
        rows_of(segmentation_node, measured),
    )


def label_array(measured: Iterable[MeasuredSegment], shape: tuple[int, int, int]) -> np.ndarray:
    """uint16 [k, j, i] with the nodules' labels; where segments overlap, the later one."""
    labels = np.zeros(shape, np.uint16)
    for one in measured:
        box = tuple(slice(start, start + size) for start, size in zip(one.offset_kji, one.mask.shape, strict=True))
        labels[box][one.mask] = one.nodule.label
    return labels


def rows_of(
    segmentation_node,
    measured: Iterable[MeasuredSegment],
    guideline: Callable[[Nodule, str], SizeBand | None] = fleischner_2017,
) -> tuple[ReviewRow, ...]:
    """The rows of measured segments, from what the segments say now."""
    segmentation = segmentation_node.GetSegmentation()
    return tuple(
        row_of(one.segment_id, segmentation.GetSegment(one.segment_id), one.nodule, guideline) for one in measured
    )


def scene_records(segmentation_node, nodules: SceneNodules) -> list[SegmentRecord]:
    """What the segments of `nodules` say about themselves now, for writing them to another format."""
    segmentation = segmentation_node.GetSegmentation()
    records = []
    for nodule, segment_id in zip(nodules.nodules, nodules.segment_ids, strict=True):
        segment = segmentation.GetSegment(segment_id)
        tags = {key: value for key in TAGS if (value := segment_tag(segment, key))}
        tags |= {UID_TAG: nodule.uid, LABEL_TAG: str(nodule.label)}
        records.append(SegmentRecord(segment_id, segment.GetName(), segment.GetColor(), nodule.label, tags))
    return records


def _probability(segment) -> float:
    text = segment_tag(segment, PROBABILITY_TAG)
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0  # drawn by hand: a reader is certain
