"""Annotated nodules that a public crop shows but its own masks lack: neither nodule nor background for the loss."""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy import ndimage

from training.lidc.database import Annotation, Scan
from training.lidc.rasterise import rasterise

MARGIN_PX = 3
"""What lies this near another nodule is left out with it."""

_MIN_MATCH_PX = 3


def other_nodules(scan: Scan, groups: list[list[Annotation]], annotation_id: int, masks: np.ndarray) -> np.ndarray:
    """Where the crops of one nodule show annotations of other nodules, a margin included.

    Parameters
    ----------
    groups
        The scan's annotations by nodule; the crops' own nodule is the one with ``annotation_id``.
    masks
        bool (slices, readers, h, w): the readers' masks of the crops, slices ascending in z without a gap.

    Returns
    -------
    bool (slices, h, w); nothing where the crops' place in the scan cannot be told.
    """
    count, _, height, width = masks.shape
    other = np.zeros((count, height, width), dtype=bool)
    own = next((g for g in groups if any(a.id == annotation_id for a in g)), [])
    strangers = [a for g in groups if g is not own for a in g]
    place = find_place(scan, own, masks) if own and strangers else None
    if place is None:
        return other
    k_first, row_first, column_first = place
    wide = np.zeros((count, height + 2 * MARGIN_PX, width + 2 * MARGIN_PX), dtype=bool)
    for annotation in strangers:
        for z, (first, mask) in rasterise(annotation).items():
            k = _slice_index(scan, z) - k_first
            if not 0 <= k < count:
                continue
            rows, columns = np.nonzero(mask)
            rows = rows + first[0] - row_first + MARGIN_PX
            columns = columns + first[1] - column_first + MARGIN_PX
            inside = (rows >= 0) & (rows < wide.shape[1]) & (columns >= 0) & (columns < wide.shape[2])
            wide[k, rows[inside], columns[inside]] = True
    near = ndimage.maximum_filter(wide, size=(1, 2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1))
    return near[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def find_place(scan: Scan, own: list[Annotation], masks: np.ndarray) -> tuple[int, int, int] | None:
    """Slice, row and column of the scan that the first voxel of the crops is, or None.

    The masks are rasterised annotations, moved: every mask that has the shape of an annotation on some slice votes for
    a place. The crops need not begin and end where the annotations do (crops of fewer readers, slices without contour).
    """
    known: dict[tuple, set[tuple[int, int, int]]] = {}
    for annotation in own:
        for z, (first, mask) in rasterise(annotation).items():
            if mask.sum() >= _MIN_MATCH_PX:
                row, column, shape = _trimmed(mask)
                known.setdefault(shape, set()).add((_slice_index(scan, z), first[0] + row, first[1] + column))
    votes: Counter[tuple[int, int, int]] = Counter()
    for number, readers in enumerate(masks):
        for mask in readers:
            if mask.sum() >= _MIN_MATCH_PX:
                row, column, shape = _trimmed(mask)
                votes.update((k - number, r - row, c - column) for k, r, c in known.get(shape, ()))
    return votes.most_common(1)[0][0] if votes else None


def _slice_index(scan: Scan, z_mm: float) -> int:
    return int(np.abs(scan.z_mm - z_mm).argmin())


def _trimmed(mask: np.ndarray) -> tuple[int, int, tuple]:
    """First row and column of a mask's bounding box, and what is in the box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return int(rows[0]), int(columns[0]), (part.shape, part.tobytes())
