"""How the public crops of LIDC-IDRI were cut and brought to 8 bits, so that crops of a scan are the same images.

Found from the crops themselves: see ``Testing/training/data/test_convention.py``, which rebuilds them pixel for pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from LungNoduleSegLib.inference.normalise import CLIP_HU
from training.lidc.database import Annotation, Scan
from training.lidc.rasterise import rasterise

CROP_PX = 128
READERS = 4
"""Mask files that the layout has for each slice; a reader in the cluster beyond the fourth has none."""


def to_eight_bits(hu: np.ndarray) -> np.ndarray:
    """Per-crop min-max of HU as uint8, of the same shape (..., h, w); a crop of one value is 0.

    ``scipy.misc.bytescale``, which scipy no longer has: multiply by 255 / (max - min), add a half, cut off. Dividing
    first, or rounding to even, moves the pixels that lie on a half by one grey level.
    """
    values = np.asarray(hu, dtype=np.float64)
    low = values.min(axis=(-2, -1), keepdims=True)
    reach = values.max(axis=(-2, -1), keepdims=True) - low
    return ((values - low) * (255.0 / np.where(reach > 0, reach, 1.0)) + 0.5).astype(np.uint8)


def crop_origin(points: np.ndarray, shape: tuple[int, int], size: int = CROP_PX) -> tuple[int, int]:
    """Row and column of a crop's first pixel.

    The mean of ``points`` (n, 2), rounded down, becomes pixel (size/2, size/2) of the crop, which is moved into a slice
    of ``shape`` where it would leave it. The public crops never touch the last row and column; neither do these. Along
    an axis where the slice is no larger than the crop, the crop is around the slice and the origin may be negative.
    """
    half = size // 2
    centre = np.floor(np.mean(points, axis=0)).astype(int)
    origin = []
    for middle, extent in zip(centre, shape):
        last = extent - half - 1
        origin.append(int(min(max(middle, half), last)) - half if last >= half else (extent - size) // 2)
    return origin[0], origin[1]


def leading(group: Sequence[Annotation]) -> Annotation:
    """The annotation that places the crops of a nodule: the first of those with the most contours."""
    return max(group, key=lambda annotation: len(annotation.contours))


def nodule_origin(group: Sequence[Annotation], shape: tuple[int, int]) -> tuple[int, int]:
    """Row and column, in the whole slice, of the first pixel of every crop of a nodule."""
    return crop_origin(np.concatenate([c.rows_columns for c in leading(group).contours]), shape)


def published_slices(scan: Scan, group: Sequence[Annotation]) -> range:
    """Slices of the scan that the public crops of a nodule show: those of its leading annotation."""
    return _span(scan.z_mm, (c.z_mm for c in leading(group).contours))


def nodule_slices(scan: Scan, group: Sequence[Annotation]) -> range:
    """Slices of the scan that any reader outlined the nodule on; the public crops are among them."""
    return _span(scan.z_mm, (c.z_mm for a in group for c in a.contours))


def reader_masks(
    scan: Scan, group: Sequence[Annotation], slices: range, origin: tuple[int, int], size: int = CROP_PX
) -> np.ndarray:
    """bool (slices, readers, size, size): what each reader of the cluster marked, in crops at ``origin``."""
    masks = np.zeros((len(slices), len(group), size, size), dtype=bool)
    for number, annotation in enumerate(group):
        for z, (first, mask) in rasterise(annotation).items():
            level = int(np.abs(scan.z_mm - z).argmin()) - slices.start
            if not 0 <= level < len(slices):
                continue
            rows, columns = np.nonzero(mask)
            rows, columns = rows + first[0] - origin[0], columns + first[1] - origin[1]
            inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
            masks[level, number, rows[inside], columns[inside]] = True
    return masks


def cut(hu: np.ndarray, k: int, origin: tuple[int, int], size: int = CROP_PX) -> np.ndarray:
    """(size, size) of one slice of ``hu`` [k, j, i]; what lies outside is air."""
    out = np.full((size, size), CLIP_HU[0], dtype=hu.dtype)
    rows, columns = (slice(max(o, 0), min(o + size, n)) for o, n in zip(origin, hu.shape[1:]))
    if rows.start < rows.stop and columns.start < columns.stop:
        inner = tuple(slice(s.start - o, s.stop - o) for s, o in zip((rows, columns), origin))
        out[inner] = hu[k, rows, columns]
    return out


def _span(z_mm: np.ndarray, heights) -> range:
    found = [int(np.abs(z_mm - z).argmin()) for z in heights]
    return range(min(found), max(found) + 1)
