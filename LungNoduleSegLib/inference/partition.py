"""Further clicks: what belongs to the positive points and what to the negative ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from LungNoduleSegLib.inference.regions import TOUCHING

HU_SCALE = 200.0
"""A step between voxels that changes this many HU costs twice its length."""

PROBABILITY_WEIGHT = 2.0
"""A step over which the probability changes by 1 costs three times its length."""

Voxel = tuple[int, int, int]

_STEPS = [
    (dk, dj, di) for dk in (-1, 0, 1) for dj in (-1, 0, 1) for di in (-1, 0, 1) if (dk, dj, di) > (0, 0, 0)
]


def partition(
    mask: NDArray[np.bool_],
    hu: NDArray,
    probability: NDArray,
    spacing_mm: tuple[float, float, float],
    positive: Sequence[Voxel],
    negative: Sequence[Voxel],
) -> NDArray[np.bool_]:
    """Take from a mask what lies nearer to a negative point than to any positive one.

    A watershed by path cost (image foresting transform: Falcao et al., IEEE TPAMI 26:19, 2004) inside the mask: steps
    cost their length in mm, more where HU or probability change. Each point carries the ball that fits into the mask
    around it, so that a point in the middle of a nodule holds on to it against one in a vessel.

    Parameters
    ----------
    mask
        bool [k, j, i]; every positive point lies in it.
    hu, probability
        On the same grid.
    positive, negative
        Voxels (k, j, i); their order does not matter. Negative points outside of the mask have no effect.

    Returns
    -------
    bool [k, j, i], part of ``mask``: every positive point inside, every negative one outside. Connected components
    without a negative point are unchanged.
    """
    positive, negative = sorted(set(positive)), sorted(set(negative))
    labels, _ = ndimage.label(mask, TOUCHING)
    out = mask.copy()
    for label in sorted({int(labels[p]) for p in negative if labels[p]}):
        box = ndimage.find_objects((labels == label).astype(np.uint8))[0]
        low = tuple(s.start for s in box)
        part = labels[box] == label
        own = [[_minus(p, low) for p in points if labels[p] == label] for points in (positive, negative)]
        out[box] &= ~part | _kept(part, hu[box], probability[box], spacing_mm, *own)
    return out


def _minus(point: Voxel, low: tuple[int, ...]) -> Voxel:
    return point[0] - low[0], point[1] - low[1], point[2] - low[2]


def _kept(part, hu, probability, spacing_mm, positive: list[Voxel], negative: list[Voxel]) -> NDArray[np.bool_]:
    if not positive:
        return np.zeros_like(part)
    number = np.full(part.shape, -1, np.int64)
    number[part] = np.arange(part.sum())
    graph = _graph(part, number, hu, probability, spacing_mm)
    nodes = [int(number[p]) for p in (*positive, *negative)]
    distance = csgraph.dijkstra(graph, directed=False, indices=nodes)
    count = len(positive)
    # Depth: distance to the mask's surface, in mm; a border of background makes the box's edge a surface.
    depth = ndimage.distance_transform_edt(np.pad(part, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    ball = np.array([depth[p] for p in (*positive, *negative)])
    between = distance[:count, nodes[count:]]
    reach = np.empty(len(nodes))
    for n in range(len(negative)):
        reach[count + n] = min(ball[count + n], 0.45 * between[:, n].min())
    for n in range(count):
        room = np.maximum(between[n] - reach[count:], between[n] / 2)
        reach[n] = min(ball[n], 0.9 * room.min())
    cost = distance - reach[:, None]
    keep = cost[:count].min(axis=0) <= cost[count:].min(axis=0)
    keep[nodes[:count]], keep[nodes[count:]] = True, False
    kept = np.zeros_like(part)
    kept[part] = keep
    # What was cut off from every positive point goes too.
    labels, _ = ndimage.label(kept, TOUCHING)
    return np.isin(labels, [labels[p] for p in positive])


def _graph(part, number, hu, probability, spacing_mm) -> sparse.csr_matrix:
    hu, probability = hu.astype(np.float32), probability.astype(np.float32)
    rows, columns, costs = [], [], []
    for step in _STEPS:
        here = tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in zip(step, part.shape))
        there = tuple(slice(max(s, 0), n - max(-s, 0)) for s, n in zip(step, part.shape))
        both = part[here] & part[there]
        length = float(np.linalg.norm(np.multiply(step, spacing_mm)))
        change = np.abs(hu[here][both] - hu[there][both]) / HU_SCALE
        change += PROBABILITY_WEIGHT * np.abs(probability[here][both] - probability[there][both])
        rows.append(number[here][both])
        columns.append(number[there][both])
        costs.append(length * (1 + change.astype(np.float64)))
    size = int(part.sum())
    return sparse.coo_matrix(
        (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size)
    ).tocsr()
