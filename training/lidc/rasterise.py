"""Contours to pixels, exactly as pylidc's ``Annotation.boolean_mask`` does."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path as Polygon

from training.lidc.database import Annotation, Contour


def rasterise(annotation: Annotation) -> dict[float, tuple[tuple[int, int], np.ndarray]]:
    """Pixels that one reader's annotation holds, slice by slice.

    Returns
    -------
    z in mm -> ((row, column) of the first pixel, bool mask [row, column]). Contour pixels are excluded; where one
    slice has several contours the inclusions are joined in order and exclusions cut out.
    """
    by_z: dict[float, list[Contour]] = {}
    for contour in annotation.contours:
        by_z.setdefault(contour.z_mm, []).append(contour)
    return {z: _slice_mask(contours) for z, contours in sorted(by_z.items())}


def _slice_mask(contours: list[Contour]) -> tuple[tuple[int, int], np.ndarray]:
    points = np.concatenate([c.rows_columns for c in contours])
    first, last = points.min(axis=0), points.max(axis=0)
    mask = np.zeros(tuple(last - first + 1), dtype=bool)
    grid = first + np.stack(np.indices(mask.shape), axis=-1).reshape(-1, 2)
    for contour in sorted(contours, key=lambda c: not c.inclusion):  # stable: inclusions first
        outline = contour.rows_columns
        if (outline[0] != outline[-1]).any():
            outline = np.concatenate([outline, outline[:1]])
        inside = Polygon(outline, closed=True).contains_points(grid).reshape(mask.shape)
        rows, columns = (outline - first).T
        if contour.inclusion:
            mask |= inside
        else:
            mask &= ~inside
        mask[rows, columns] = False
    return (int(first[0]), int(first[1])), mask
