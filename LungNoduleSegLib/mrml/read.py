"""Nodules back from a segmentation node, onto the CT's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import slicer
import vtk

from LungNoduleSegLib.nodules import Nodule, measure_nodule

from .geometry import numpy_matrix, to_world, voxels
from .segments import LABEL_TAG, PROBABILITY_TAG, TAGS, TERMINOLOGY_TAG, UID_TAG, SegmentRecord, side_of_terminology
from .volume import ct_from_volume

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT

# Indices that are this near to whole numbers are the CT's own grid; then voxels are copied, not resampled.
_SAME_VOXEL = 1e-3


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
        Of the segments. All three lists have the same order.
    """

    labels: np.ndarray
    nodules: tuple[Nodule, ...]
    names: tuple[str, ...]
    segment_ids: tuple[str, ...]


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
    ct = ct_from_volume(volume_node) if ct is None else ct
    segmentation = segmentation_node.GetSegmentation()
    to_ijk = np.linalg.inv(np.asarray(ct.ijk_to_ras)) @ to_world(segmentation_node)
    labels = np.zeros(ct.shape, np.uint16)
    nodules, names, kept, seen = [], [], [], set()
    for segment_id, label in nodule_labels(segmentation_node).items():
        segment = segmentation.GetSegment(segment_id)
        mask, offset = _on_grid(segmentation_node, segment_id, to_ijk, ct.shape)
        if not mask.any():
            continue  # the user has erased it all; nothing is left to measure
        uid = segment_tag(segment, UID_TAG)
        if uid in seen:
            # A segment that the user has copied brings the tag along, but it is another nodule.
            uid = f"2.25.{uuid5(NAMESPACE_OID, f'{uid} {segment_id}').int}"
        seen.add(uid)
        side = side_of_terminology(segment_tag(segment, TERMINOLOGY_TAG))
        box = tuple(slice(start, start + size) for start, size in zip(offset, mask.shape, strict=True))
        labels[box][mask] = label
        nodules.append(
            measure_nodule(mask, offset, ct, label=label, probability=_probability(segment), uid=uid, side=side)
        )
        names.append(segment.GetName())
        kept.append(segment_id)
    return SceneNodules(labels, tuple(nodules), tuple(names), tuple(kept))


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


def segment_tag(segment, key: str) -> str:
    """A segment's tag, empty where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(key, value) else ""


def _probability(segment) -> float:
    text = segment_tag(segment, PROBABILITY_TAG)
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0  # drawn by hand: a reader is certain


def _on_grid(
    segmentation_node, segment_id: str, to_ijk: np.ndarray, shape: tuple[int, int, int]
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The segment's mask on a box of the CT's grid, and the box's first voxel (k, j, i)."""
    image = slicer.vtkOrientedImageData()
    empty = np.zeros((0, 0, 0), bool), (0, 0, 0)
    if not segmentation_node.GetBinaryLabelmapRepresentation(segment_id, image) or image.IsEmpty():
        return empty
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_ct = to_ijk @ numpy_matrix(matrix)
    mask = voxels(image) != 0
    extent = image.GetExtent()
    first = np.array([extent[0], extent[2], extent[4]], dtype=np.float64)
    shift = np.rint(to_ct[:3, 3])
    moved = np.abs(to_ct[:3, :3] - np.eye(3)).max() * max(np.abs(extent).max(), 1) + np.abs(to_ct[:3, 3] - shift).max()
    if moved < _SAME_VOXEL:
        low = (first + shift).astype(int)[::-1]
        return _clipped(mask, low, shape) or empty
    return _resampled(mask, first, to_ct, shape) or empty


def _clipped(mask: np.ndarray, low: np.ndarray, shape) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    start = np.maximum(low, 0)
    stop = np.minimum(low + mask.shape, shape)
    if (stop <= start).any():
        return None
    inside = tuple(slice(a - o, b - o) for a, b, o in zip(start, stop, low, strict=True))
    return mask[inside], (int(start[0]), int(start[1]), int(start[2]))


def _resampled(mask: np.ndarray, first: np.ndarray, to_ct: np.ndarray, shape) -> tuple | None:
    """Nearest neighbour onto the CT's grid, for segments that were drawn on another one."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * np.array(mask.shape[::-1])
    corners = (corners + first - 0.5) @ to_ct[:3, :3].T + to_ct[:3, 3]
    start = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    stop = np.minimum(np.ceil(corners.max(axis=0)) + 1, shape[::-1]).astype(int)
    if (stop <= start).any():
        return None
    back = np.linalg.inv(to_ct)
    i, j, k = np.meshgrid(*(np.arange(a, b) for a, b in zip(start, stop, strict=True)), indexing="ij")
    source = np.stack([i, j, k], axis=-1) @ back[:3, :3].T + back[:3, 3] - first
    index = np.floor(source + 0.5).astype(int)
    inside = ((index >= 0) & (index < mask.shape[::-1])).all(axis=-1)
    index[~inside] = 0
    taken = mask[index[..., 2], index[..., 1], index[..., 0]] & inside
    return taken.transpose(2, 1, 0), tuple(int(value) for value in start[::-1])
