"""The voxels of segments, read again only where they may have changed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import vtk

from .geometry import labelmap, numpy_matrix, voxels

LABELMAP = "Binary labelmap"
# Up to this size voxels are looked at on every reading, whatever the image says about its changes. Layers that several
# segments share may be as large as the CT; there the image's own times are believed.
_ALWAYS_LOOKED_AT = 2_000_000
# Indices that are this near to whole numbers are the CT's own grid; then voxels are copied, not resampled.
_SAME_VOXEL = 1e-3
# Saving, loading and Slicer's own tools move images by less, and no edit moves a voxel by so little.
_SAME_PLACE_MM = 1e-4


@dataclass(frozen=True, eq=False)
class SegmentVoxels:
    """The voxels of one segment that has any.

    Attributes
    ----------
    mask
        bool [k, j, i], read-only; every face of the box touches the segment.
    offset_kji
        Index of its first voxel in the image that it was read from.
    image_to_local
        float64 (4, 4): (i, j, k, 1) to the segmentation node's own RAS mm, its parent transforms left out.
    """

    mask: np.ndarray
    offset_kji: tuple[int, int, int]
    image_to_local: np.ndarray

    def same_as(self, other: SegmentVoxels | None) -> bool:
        """Whether both are the same voxels at the same place, however their images count them."""
        if other is self:
            return True
        if other is None or self.mask.shape != other.mask.shape or not (self.mask == other.mask).all():
            return False
        if self.offset_kji == other.offset_kji and (self.image_to_local == other.image_to_local).all():
            return True
        return bool(np.abs(self._place() - other._place()).max() < _SAME_PLACE_MM)

    def _place(self) -> np.ndarray:
        """Edges of the box and its first voxel in mm, as columns."""
        matrix = self.image_to_local
        first = np.array(self.offset_kji[::-1], dtype=np.float64)
        return np.column_stack([matrix[:3, :3] * self.mask.shape[::-1], matrix[:3, :3] @ first + matrix[:3, 3]])

    def image(self):
        """The voxels as an image of their own, of the value 1, as a segment keeps them."""
        return labelmap(self.mask, self.offset_kji, self.image_to_local)

    def on_grid(
        self, to_ijk: np.ndarray, shape: tuple[int, int, int]
    ) -> tuple[np.ndarray, tuple[int, int, int]] | None:
        """The mask on a box of a grid, and the box's first voxel (k, j, i); None where no voxel lies on the grid.

        Parameters
        ----------
        to_ijk
            (4, 4): the segmentation node's own RAS mm to (i, j, k, 1) of the grid.
        shape
            Voxels of the grid along (k, j, i).
        """
        to_grid = to_ijk @ self.image_to_local
        first = np.array(self.offset_kji[::-1], dtype=np.float64)
        farthest = np.abs([first, first + self.mask.shape[::-1]]).max()
        shift = np.rint(to_grid[:3, 3])
        moved = np.abs(to_grid[:3, :3] - np.eye(3)).max() * farthest + np.abs(to_grid[:3, 3] - shift).max()
        if moved < _SAME_VOXEL:
            return _clipped(self.mask, (first + shift).astype(int)[::-1], shape)
        return _resampled(self.mask, first, to_grid, shape)


@dataclass(frozen=True, eq=False)
class _Read:
    """What a segment's image was like when its voxels were read."""

    image: Any  # kept, so that no other image can take its place in memory
    state: tuple
    value: SegmentVoxels | None


class VoxelReader:
    """Reads the voxels of segments and remembers them.

    A segment whose image, times of change, extent, matrix, label value and (in images of usual size) voxels are those
    of the last reading gives the same :class:`SegmentVoxels` object again; so does one whose image has changed, but
    not the segment's own voxels, as when segments are collapsed into a shared layer.
    """

    def __init__(self) -> None:
        self._read: dict[str, _Read] = {}

    def read(self, segmentation, segment_ids: Iterable[str]) -> dict[str, SegmentVoxels | None]:
        """The voxels of the named segments, None for those that have none; nothing is remembered of others."""
        states: dict[int, tuple] = {}
        sharing: dict[int, list[tuple[str, Any, int]]] = {}
        images = {}
        fresh: dict[str, _Read] = {}
        for segment_id in segment_ids:
            segment = segmentation.GetSegment(segment_id)
            image, label = segment.GetRepresentation(LABELMAP), segment.GetLabelValue()
            if not _has_voxels(image):
                fresh[segment_id] = _Read(image, (), None)
                continue
            if id(image) not in states:
                states[id(image)], images[id(image)] = _state(image), image
            before = self._read.get(segment_id)
            state = (*states[id(image)], label)
            if before is not None and before.image is image and before.state == state:
                fresh[segment_id] = before
            else:
                fresh[segment_id] = _Read(image, state, None)
                sharing.setdefault(id(image), []).append((segment_id, image, label))
        for segments in sharing.values():
            self._cut(segments, fresh)
        self._read = fresh
        return {segment_id: read.value for segment_id, read in fresh.items()}

    def _cut(self, segments: list[tuple[str, Any, int]], fresh: dict[str, _Read]) -> None:
        """Read the segments of one image in one pass over it."""
        image = segments[0][1]
        array = voxels(image)
        if array.dtype.kind not in "iu":
            array = array.astype(np.int32)
        boxes = scipy.ndimage.find_objects(array, max_label=max(max(label for _, _, label in segments), 1))
        extent = image.GetExtent()
        matrix = image_matrix(image)
        for segment_id, _, label in segments:
            box = boxes[label - 1] if label > 0 else None
            if box is None:
                continue
            mask = array[box] == label
            mask.flags.writeable = False
            k, j, i = (side.start + extent[2 * axis] for side, axis in zip(box, (2, 1, 0), strict=True))
            value = SegmentVoxels(mask, (k, j, i), matrix)
            before = self._read.get(segment_id)
            known = None if before is None else before.value
            same = known if value.same_as(known) else value
            fresh[segment_id] = _Read(image, fresh[segment_id].state, same)


def image_matrix(image) -> np.ndarray:
    """Index to RAS mm of an oriented image, float64 (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return numpy_matrix(matrix)


def _has_voxels(image) -> bool:
    return image is not None and not image.IsEmpty() and image.GetPointData().GetScalars() is not None


def _state(image) -> tuple:
    digest = None
    if image.GetNumberOfPoints() <= _ALWAYS_LOOKED_AT:
        digest = zlib.crc32(np.ascontiguousarray(voxels(image)))
    return image.GetMTime(), image.GetExtent(), image_matrix(image).tobytes(), digest


def _clipped(mask: np.ndarray, low: np.ndarray, shape) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    start = np.maximum(low, 0)
    stop = np.minimum(low + mask.shape, shape)
    if (stop <= start).any():
        return None
    inside = tuple(slice(a - o, b - o) for a, b, o in zip(start, stop, low, strict=True))
    return (mask[inside], _index(start)) if mask[inside].any() else None


def _resampled(mask: np.ndarray, first: np.ndarray, to_grid: np.ndarray, shape) -> tuple | None:
    """Nearest neighbour onto the grid, for segments that were drawn on another one."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * np.array(mask.shape[::-1])
    corners = (corners + first - 0.5) @ to_grid[:3, :3].T + to_grid[:3, 3]
    start = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    stop = np.minimum(np.ceil(corners.max(axis=0)) + 1, shape[::-1]).astype(int)
    if (stop <= start).any():
        return None
    back = np.linalg.inv(to_grid)
    i, j, k = np.meshgrid(*(np.arange(a, b) for a, b in zip(start, stop, strict=True)), indexing="ij")
    source = np.stack([i, j, k], axis=-1) @ back[:3, :3].T + back[:3, 3] - first
    index = np.floor(source + 0.5).astype(int)
    inside = ((index >= 0) & (index < mask.shape[::-1])).all(axis=-1)
    index[~inside] = 0
    taken = (mask[index[..., 2], index[..., 1], index[..., 0]] & inside).transpose(2, 1, 0)
    return (taken, _index(start[::-1])) if taken.any() else None


def _index(values: np.ndarray) -> tuple[int, int, int]:
    k, j, i = (int(value) for value in values)
    return k, j, i
