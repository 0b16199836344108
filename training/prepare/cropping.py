"""Crops around the annotated nodules of a scan, as the public crops are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from training.data.convention import CROP_PX, cut, nodule_origin, nodule_slices, reader_masks, to_eight_bits
from training.data.crops import IGNORE
from training.data.other_nodules import MARGIN_PX
from training.lidc.clusters import cluster
from training.lidc.consensus import AGREEMENT
from training.lidc.database import Scan

SLICE_PX = 512
"""Every slice of LIDC-IDRI, whose contours count in it."""

SAME_SLICE_MM = 0.5

ROW = np.dtype([
    ("nodule", "<i4"), ("k", "<i4"), ("row", "<i4"), ("column", "<i4"), ("readers", "u1"), ("spacing_mm", "<f4"),
    ("consensus_px", "<i4"),
])  # fmt: skip
"""One crop: number of its nodule in the scan's clusters, slice and first pixel in the whole scan (-1 where that is not
known), readers in the cluster, in-plane spacing, pixels of the consensus."""


@dataclass(frozen=True, eq=False)
class CropSet:
    """n crops of one series: ``images``, ``votes``, ``labels`` as `training.data.crops.Crops`; ``marks`` uint8 (n, 128,
    128) with bit r set where reader r marked; ``rows`` (n,) of ``ROW``; ``cut_off`` crops that the scan does not hold.
    """

    images: np.ndarray
    votes: np.ndarray
    labels: np.ndarray
    marks: np.ndarray
    rows: np.ndarray
    cut_off: int = 0


def lidc_crops(
    hu: np.ndarray, scan: Scan, z_mm: np.ndarray, origin: tuple[int, int] = (0, 0), whole: tuple[int, int] | None = None
) -> CropSet:
    """Every slice of every nodule of an annotated scan.

    Parameters
    ----------
    hu
        int16 [k, j, i].
    z_mm, origin
        Of the slices that k counts, and (row, column) of the first pixel: they place a scan cropped to the lungs, whose
        crops must lie whole in it, or are counted as ``cut_off``.
    whole
        Rows and columns of the uncropped slice.
    """
    groups = cluster(scan)
    parts: list[CropSet] = []
    cut_off = 0
    whole = whole or (SLICE_PX, SLICE_PX)
    for number, group in enumerate(groups):
        first = nodule_origin(group, whole)
        span = nodule_slices(scan, group)
        levels = [int(np.abs(z_mm - scan.z_mm[k]).argmin()) for k in span]
        there = [abs(z_mm[level] - scan.z_mm[k]) <= SAME_SLICE_MM for level, k in zip(levels, span)]
        place = (first[0] - origin[0], first[1] - origin[1])
        if hu.shape[1:] != whole and not _inside(place, hu.shape[1:]):
            cut_off += len(span)
            continue
        cut_off += there.count(False)
        masks = reader_masks(scan, group, span, first)[there]
        images = [to_eight_bits(cut(hu, level, place)) for level, here in zip(levels, there) if here]
        if not images:
            continue
        others = [a for g in groups if g is not group for a in g]
        near = stranger_zone(scan, others, span, first)[there]
        rows = np.zeros(len(images), ROW)
        rows["nodule"], rows["k"] = number, np.array(span)[there]
        rows["row"], rows["column"] = first
        rows["spacing_mm"] = scan.pixel_spacing_mm
        parts.append(crop_set(np.stack(images), masks, near, rows))
    return joined(parts, cut_off)


def crop_set(images: np.ndarray, masks: np.ndarray, near: np.ndarray, rows: np.ndarray) -> CropSet:
    """Crops of one nodule from ``masks`` bool (n, readers, h, w) and what lies ``near`` other nodules, bool (n, h, w).

    A reader counts whose mask is not empty on every slice; the consensus is half of those.
    """
    readers = int(masks.any(axis=(0, 2, 3)).sum())
    votes = masks.sum(axis=1, dtype=np.uint8)
    labels = (votes >= AGREEMENT * max(readers, 1)).astype(np.uint8)
    labels[near & (labels == 0)] = IGNORE
    marks = np.zeros(votes.shape, np.uint8)
    for reader in range(min(masks.shape[1], 8)):
        marks |= masks[:, reader].astype(np.uint8) << reader
    rows["readers"] = readers
    rows["consensus_px"] = (labels == 1).sum(axis=(1, 2))
    return CropSet(images, votes, labels, marks, rows)


def stranger_zone(scan: Scan, others: list, span: range, first: tuple[int, int]) -> np.ndarray:
    """bool (slices, 128, 128): where crops show other annotated nodules, with a margin."""
    wide = reader_masks(scan, others, span, (first[0] - MARGIN_PX, first[1] - MARGIN_PX), CROP_PX + 2 * MARGIN_PX)
    near = wide.any(axis=1)
    near = ndimage.maximum_filter(near, size=(1, 2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1))
    return near[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def joined(parts: list[CropSet], cut_off: int = 0) -> CropSet:
    """Several sets as one."""
    empty = np.zeros((0, CROP_PX, CROP_PX), np.uint8)
    stacks = [np.concatenate([empty, *(getattr(p, n) for p in parts)]) for n in ("images", "votes", "labels", "marks")]
    rows = np.concatenate([np.zeros(0, ROW), *(p.rows for p in parts)])
    return CropSet(*stacks, rows, cut_off + sum(p.cut_off for p in parts))


def _inside(place: tuple[int, int], shape: tuple[int, ...]) -> bool:
    return all(first >= 0 and first + CROP_PX <= extent for first, extent in zip(place, shape))
