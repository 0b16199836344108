"""Connected regions of masks and of sparse voxel sets, filled and measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

TOUCHING = np.ones((3, 3, 3), bool)
"""26-connectivity."""

# One half of the 26 neighbours; the other half is the same pairs seen from the other end.
_FORWARD = [
    (dk, dj, di) for dk in (-1, 0, 1) for dj in (-1, 0, 1) for di in (-1, 0, 1) if (dk, dj, di) > (0, 0, 0)
]


def sparse_components(voxels: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Component number (n,), from 0, of each of n distinct voxels (n, 3) [k, j, i], 26-connected.

    Memory goes with the number of voxels, not with the volume: a hit is a few voxels in a hundred million.
    """
    count = len(voxels)
    if count == 0:
        return np.zeros(0, np.int64)
    # A border of one keeps neighbours from wrapping around the end of a row.
    strides = np.array([(shape[1] + 2) * (shape[2] + 2), shape[2] + 2, 1], np.int64)
    keys = (voxels.astype(np.int64) + 1) @ strides
    order = np.argsort(keys)
    ordered = keys[order]
    rows, columns = [], []
    for step in _FORWARD:
        wanted = ordered + np.array(step, np.int64) @ strides
        at = np.minimum(np.searchsorted(ordered, wanted), count - 1)
        hit = ordered[at] == wanted
        rows.append(np.flatnonzero(hit))
        columns.append(at[hit])
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = sparse.coo_matrix((np.ones(len(row), bool), (row, column)), shape=(count, count))
    _, labels = csgraph.connected_components(graph, directed=False)
    out = np.empty(count, np.int64)
    out[order] = labels
    return out


def filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its holes filled, slice by slice along k and then in 3D: a cavity belongs to its nodule.

    Background is followed across faces.
    """
    out = np.array(mask, dtype=bool)
    for plane in out:
        _fill(plane)
    _fill(out)
    return out


def _fill(mask: NDArray[np.bool_]) -> None:
    """Fill the holes of a 2-D or 3-D mask in place: background that does not reach the border of its box."""
    box = tight(mask)
    if box is None:
        return
    inner = mask[box]
    labels, count = ndimage.label(~inner)
    if count == 0:
        return
    faces = [np.take(labels, end, axis=axis).ravel() for axis in range(mask.ndim) for end in (0, -1)]
    hole = np.ones(count + 1, bool)
    hole[np.concatenate(faces)] = False
    hole[0] = False
    inner |= hole[labels]


def tight(mask: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """Bounding box of a mask, one slice an axis, or None."""
    box = []
    for axis in range(mask.ndim):
        at = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if at.size == 0:
            return None
        box.append(slice(int(at[0]), int(at[-1]) + 1))
    return tuple(box)


def nearest(
    mask: NDArray[np.bool_], voxel: tuple[int, int, int], spacing_mm: tuple[float, float, float], reach_mm: float
) -> tuple[int, int, int] | None:
    """The voxel of the mask that lies nearest to ``voxel``, if not farther than ``reach_mm``; ties go to the first.

    ``voxel`` may lie outside of the mask's array.
    """
    r = [int(np.ceil(reach_mm / s)) for s in spacing_mm]
    lows = [max(v - n, 0) for v, n in zip(voxel, r)]
    box = tuple(slice(low, max(v + n + 1, 0)) for low, v, n in zip(lows, voxel, r))
    found = np.argwhere(mask[box]) + lows
    if len(found) == 0:
        return None
    far = np.linalg.norm((found - voxel) * spacing_mm, axis=1)
    best = int(np.argmin(far))
    return tuple(int(v) for v in found[best]) if far[best] <= reach_mm else None  # type: ignore[return-value]


def equivalent_diameter(volume_mm3: float) -> float:
    """Diameter in mm of a ball of that volume."""
    return float((6.0 * volume_mm3 / np.pi) ** (1 / 3))


def elongation(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """Root of the ratio of the largest to the smallest principal variance in mm; 1 for a ball, large for a vessel.

    Each voxel counts as a small box, so that a region of one slice has an extent across slices too.
    """
    where = np.argwhere(mask) * np.asarray(spacing_mm)
    covariance = np.cov(where.T, bias=True) if len(where) > 1 else np.zeros((3, 3))
    covariance = covariance + np.diag(np.square(spacing_mm) / 12)
    variances = np.linalg.eigvalsh(covariance)
    return float(np.sqrt(variances[-1] / max(variances[0], 1e-6)))


def centroid(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean index (k, j, i) of the true voxels."""
    return np.argwhere(mask).mean(axis=0)
