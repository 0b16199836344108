"""Long and short axis of a nodule on its axial slices, between the outer edges of its pixels.

The long axis is the largest distance between two points of the nodule on one axial slice; the short axis is the longest
line perpendicular to it on the same slice, both ends on the nodule's outer edge. This is how a reader sets the two
calipers (RECIST 1.1: Eisenhauer et al., Eur J Cancer 45:228, 2009, longest diameter and longest perpendicular;
Fleischner Society: Bankier et al., Radiology 285:584, 2017, both on the same image). Like a caliper both may cross a
concavity or a cavity. A pixel is its whole area: one square pixel of side a has two axes of a * sqrt(2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from LungNoduleSegLib.nodules.nodule import Point

TIE_MM = 1e-6
"""Lengths that differ by less are equal; of equal long axes the one with the longest short axis is taken."""

PARALLEL = 1e-9
"""Pixels a mm below which a line runs along the grid."""

MAX_MATRIX = 1_000_000
"""Lines times pixels that are held at once, which bounds the memory for a huge mass."""

MAX_TIES = 32
"""Equal long axes of one slice that are compared; a disc of pixels has eight at most by symmetry."""


@dataclass(frozen=True)
class Axes:
    """Long and short axis in mm with their end points in RAS (mm), and the slice (array index) they lie on."""

    long_mm: float
    short_mm: float
    long_ras: tuple[Point, Point]
    short_ras: tuple[Point, Point]
    slice_index: int

    @property
    def mean_mm(self) -> float:
        """Mean of both, the Fleischner Society's size of a nodule, in mm."""
        return (self.long_mm + self.short_mm) / 2


def axial_axis(ijk_to_ras: NDArray[np.float64]) -> int:
    """Axis of a [k, j, i] array whose slices are nearest to axial: the one that runs most along S."""
    columns = np.asarray(ijk_to_ras, dtype=np.float64)[:3, :3]
    along_s = np.abs(columns[2]) / np.linalg.norm(columns, axis=0)
    return 2 - int(np.argmax(along_s))


def nodule_axes(mask: NDArray[np.bool_], offset_kji: ArrayLike, ijk_to_ras: ArrayLike) -> Axes:
    """Axes of a nodule.

    Parameters
    ----------
    mask
        bool [k, j, i] crop with at least one voxel.
    offset_kji
        First voxel of the crop in the CT.
    ijk_to_ras
        (4, 4), maps (i, j, k, 1) of the CT to RAS mm. Oblique and sheared grids are measured in mm in the plane of the
        slices nearest to axial.

    Raises
    ------
    ValueError
        If the mask is empty or not three-dimensional.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 3 or not mask.any():
        raise ValueError(f"Expected argument `mask` to be three-dimensional with a voxel in it, got shape {mask.shape}")
    ijk_to_ras = np.asarray(ijk_to_ras, dtype=np.float64)
    across = axial_axis(ijk_to_ras)
    planes = np.moveaxis(mask, across, 0)
    row_axis, column_axis = (axis for axis in range(3) if axis != across)
    kji_columns = ijk_to_ras[:3, 2::-1]  # columns k, j, i
    vectors = kji_columns[:, (row_axis, column_axis)]
    to_mm = _metric(vectors)

    best_index, best_plane, best_pairs = _longest(planes, to_mm)
    short = [_longest_perpendicular(best_plane, a, b, to_mm) for a, b in best_pairs]
    chosen = int(np.argmax([np.round(length / TIE_MM) for length, _ in short]))
    long_points = np.stack(best_pairs[chosen])
    short_mm, short_points = short[chosen]

    offset = np.asarray(offset_kji, dtype=np.float64)

    def to_ras(points: NDArray[np.float64]) -> tuple[Point, Point]:
        kji = np.empty((2, 3))
        kji[:, across] = best_index
        kji[:, (row_axis, column_axis)] = points
        ras = (kji + offset) @ kji_columns.T + ijk_to_ras[:3, 3]
        (x0, y0, z0), (x1, y1, z1) = ras.tolist()
        return (x0, y0, z0), (x1, y1, z1)

    long_mm = float(np.linalg.norm((long_points[1] - long_points[0]) @ to_mm))
    return Axes(long_mm, short_mm, to_ras(long_points), to_ras(short_points), int(best_index + offset[across]))


def plane_axes(plane: NDArray[np.bool_], spacing_mm: ArrayLike) -> tuple[float, float]:
    """Long and short axis in mm of one slice, bool [row, column], spacing (row, column) in mm."""
    row_mm, column_mm = np.asarray(spacing_mm, dtype=np.float64).tolist()
    axes = nodule_axes(np.asarray(plane, dtype=bool)[np.newaxis], (0, 0, 0), np.diag([column_mm, row_mm, 1.0, 1.0]))
    return axes.long_mm, axes.short_mm


def _metric(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    # (2, 2) such that (row, column) differences @ metric are millimetres in an orthonormal basis of the plane.
    return np.linalg.cholesky(vectors.T @ vectors)


def _longest(
    planes: NDArray[np.bool_], to_mm: NDArray[np.float64]
) -> tuple[int, NDArray[np.bool_], list[tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    # The slice with the longest extent (of equal ones the largest area, then the first) and its equally long pairs.
    corners = {int(k): _outline_corners(planes[k]) for k in np.flatnonzero(planes.any(axis=(1, 2)))}
    bound = {}
    for k, points in corners.items():
        mm = points @ to_mm
        bound[k] = float(np.linalg.norm(mm.max(axis=0) - mm.min(axis=0)))
    area = {k: int(np.count_nonzero(planes[k])) for k in corners}
    best, best_key, best_pairs = -1, (-np.inf, 0), []
    for k in sorted(corners, key=lambda k: -bound[k]):
        if bound[k] < best_key[0] - TIE_MM:
            break  # the diagonal of its box is shorter than what was found: so are all that follow
        length, pairs = _diameter(corners[k], to_mm)
        if length > best_key[0] + TIE_MM or (length > best_key[0] - TIE_MM and (area[k], -k) > (best_key[1], -best)):
            best, best_key, best_pairs = k, (length, area[k]), pairs
    return best, planes[best], best_pairs


def _outline_corners(plane: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Outermost pixel corners (row, column) on every grid line between rows: they hold all corners of the hull."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1) - 0.5
    last = plane.shape[1] - plane[rows][:, ::-1].argmax(axis=1) - 0.5
    lines = np.concatenate([rows - 0.5, rows + 0.5, rows - 0.5, rows + 0.5])
    return np.stack([lines, np.concatenate([first, first, last, last])], axis=1)


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convex hull of (row, column) points, monotone chain (Andrew, Inf Process Lett 9:216, 1979); exact on corners."""
    ordered = np.unique(points, axis=0).tolist()
    chains = []
    for sequence in (ordered, ordered[::-1]):
        chain: list[list[float]] = []
        for r, c in sequence:
            while len(chain) >= 2 and (chain[-1][0] - chain[-2][0]) * (c - chain[-2][1]) <= (
                chain[-1][1] - chain[-2][1]
            ) * (r - chain[-2][0]):
                chain.pop()
            chain.append([r, c])
        chains.append(chain[:-1])
    return np.array(chains[0] + chains[1])


def _diameter(
    points: NDArray[np.float64], to_mm: NDArray[np.float64]
) -> tuple[float, list[tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    hull = _hull(points)
    mm = hull @ to_mm
    squared = ((mm[:, np.newaxis] - mm[np.newaxis]) ** 2).sum(axis=2)
    longest = float(np.sqrt(squared.max()))
    first, second = np.nonzero(np.triu(np.sqrt(squared) >= longest - TIE_MM))
    return longest, [(hull[a], hull[b]) for a, b in zip(first[:MAX_TIES], second[:MAX_TIES], strict=True)]


def _longest_perpendicular(
    plane: NDArray[np.bool_], start: NDArray[np.float64], end: NDArray[np.float64], to_mm: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Longest line perpendicular to start -> end with both ends on the nodule's edge: (mm, its ends (row, column)).

    Along a line at a fixed place on the long axis every pixel covers an interval whose ends change linearly between the
    places of its corners; the extent over all pixels is convex in between, so its maximum lies at some corner's place.
    """
    along = (end - start) @ to_mm
    along /= np.linalg.norm(along)
    across = np.array([-along[1], along[0]])
    basis = np.stack([along, across], axis=1)
    middles, halves = _runs(plane)
    centres = middles @ to_mm @ basis  # (n, 2): place along and across, mm
    signs = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    corners = centres[:, np.newaxis, 0] + (halves[:, np.newaxis] * signs) @ to_mm @ along
    places = np.ravel(corners)
    places = places[np.unique(np.round(places / TIE_MM), return_index=True)[1]]
    bottom, top = np.empty_like(places), np.empty_like(places)
    block = max(1, MAX_MATRIX // len(centres))
    for first in range(0, len(places), block):
        part = slice(first, first + block)
        bottom[part], top[part] = _envelope(places[part], centres, halves, along, across, to_mm)
    extent = top - bottom
    # Of equally long lines the one nearest to the middle of the long axis is drawn.
    longest = float(extent.max())
    equal = np.flatnonzero(extent >= longest - TIE_MM)
    middle = float(((start + end) / 2) @ to_mm @ along)
    chosen = equal[np.argmin(np.round(np.abs(places[equal] - middle) / TIE_MM))]  # rounded: ties go to the first
    ends = np.array([[places[chosen], bottom[chosen]], [places[chosen], top[chosen]]])
    return longest, np.linalg.solve((to_mm @ basis).T, ends.T).T


def _envelope(
    places: NDArray[np.float64],
    centres: NDArray[np.float64],
    halves: NDArray[np.float64],
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    to_mm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest point (mm across) of all pixels on the lines at ``places`` (mm along), each (n,).

    A point of the line lies at t along and s across of a pixel's centre; it is inside while both its grid coordinates
    stay within half a pixel (the slab method of ray tracing). Edges belong to the pixel.
    """
    per_along, per_across = np.linalg.solve(to_mm.T, np.stack([along, across], axis=1)).T  # pixels a mm
    t = places[:, np.newaxis] - centres[np.newaxis, :, 0]
    low = np.full(t.shape, -np.inf)
    high = np.full(t.shape, np.inf)
    for moves, turns, half in zip(per_along, per_across, halves.T, strict=True):
        moved = t * moves
        if abs(turns) < PARALLEL:
            missed = np.abs(moved) > half + TIE_MM
            low[missed], high[missed] = np.inf, -np.inf
        else:
            a, b = (-half - moved) / turns, (half - moved) / turns
            np.maximum(low, np.minimum(a, b), out=low)
            np.minimum(high, np.maximum(a, b), out=high)
    met = high >= low - TIE_MM  # a line through a corner meets it in one point, which rounding may miss
    low = np.where(met, low + centres[:, 1], np.inf)
    high = np.where(met, high + centres[:, 1], -np.inf)
    return low.min(axis=1), high.max(axis=1)


def _runs(plane: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows of touching pixels as rectangles: middles (n, 2) and half sides (n, 2), (row, column) in pixels."""
    edges = np.diff(np.pad(plane, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(edges == 1)
    beyond = np.nonzero(edges == -1)[1]
    return np.stack([row, (first + beyond - 1) / 2], axis=1), np.stack(
        [np.full(len(row), 0.5), (beyond - first) / 2], 1
    )
