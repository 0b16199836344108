"""Which annotations mean the same nodule: pylidc's ``Scan.cluster_annotations``."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from training.lidc.database import Annotation, Scan

FACTOR = 0.9
MIN_TOLERANCE = 0.1
MAX_READERS = 4


def cluster(scan: Scan) -> list[list[Annotation]]:
    """Annotations grouped by nodule, groups by ascending mean slice, as pylidc orders them.

    Two annotations are one nodule when their closest contour points, in index units [row, column, slice], are no
    further apart than the slice thickness; the tolerance shrinks by 0.9 while a group has more than four readers.
    """
    if not scan.annotations:
        return []
    points = [_index_points(scan, a) for a in scan.annotations]
    tolerance = scan.slice_thickness_mm
    distance = _distances(points, tolerance)
    _, group = connected_components(distance <= tolerance, directed=False)
    while np.bincount(group).max() > MAX_READERS:
        tolerance *= FACTOR
        if tolerance < MIN_TOLERANCE:
            break
        _, group = connected_components(distance <= tolerance, directed=False)
    members = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
    # Annotations weigh alike, an annotation's contours by their points. By contour and in mm, 12 scans differ in order.
    members.sort(key=lambda numbers: np.mean([points[n][:, 2].mean() for n in numbers]))
    return [[scan.annotations[n] for n in numbers] for numbers in members]


def _distances(points: list[np.ndarray], tolerance: float) -> np.ndarray:
    """Smallest distance of each pair of point sets (n, 3); infinite where it is surely above the tolerance.

    A point further than the tolerance from the other set's box cannot be part of a pair that is close enough, and
    most pairs of a scan lie apart: this leaves a fraction of the work and changes no comparison with a tolerance up to
    the given one.
    """
    low = np.array([p.min(axis=0) for p in points])
    high = np.array([p.max(axis=0) for p in points])
    distance = np.full((len(points), len(points)), np.inf)
    np.fill_diagonal(distance, 0)
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            ours = _near(points[i], low[j], high[j], tolerance)
            theirs = _near(points[j], low[i], high[i], tolerance) if len(ours) else ours
            if len(ours) and len(theirs):
                distance[i, j] = distance[j, i] = cKDTree(theirs).query(ours)[0].min()
    return distance


def _near(points: np.ndarray, low: np.ndarray, high: np.ndarray, tolerance: float) -> np.ndarray:
    return points[((points >= low - tolerance) & (points <= high + tolerance)).all(axis=1)]


def _index_points(scan: Scan, annotation: Annotation) -> np.ndarray:
    parts = []
    for contour in annotation.contours:
        k = int(np.abs(scan.z_mm - contour.z_mm).argmin())
        parts.append(np.column_stack([contour.rows_columns, np.full(len(contour.rows_columns), k)]))
    return np.concatenate(parts)
