"""Which annotations mean the same nodule: pylidc's ``Scan.cluster_annotations``."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from training.lidc.database import Annotation, Scan

FACTOR = 0.9
MIN_TOLERANCE = 0.1
MAX_READERS = 4


def cluster(scan: Scan) -> list[list[Annotation]]:
    """Annotations grouped by nodule, groups by ascending mean z.

    Two annotations are one nodule when their closest contour points, in index units [row, column, slice], are no
    further apart than the slice thickness; the tolerance shrinks by 0.9 while a group has more than four readers.
    """
    count = len(scan.annotations)
    if count == 0:
        return []
    points = [_index_points(scan, a) for a in scan.annotations]
    distance = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1, count):
            distance[i, j] = distance[j, i] = cdist(points[i], points[j]).min()
    tolerance = scan.slice_thickness_mm
    _, group = connected_components(distance <= tolerance, directed=False)
    while np.bincount(group).max() > MAX_READERS:
        tolerance *= FACTOR
        if tolerance < MIN_TOLERANCE:
            break
        _, group = connected_components(distance <= tolerance, directed=False)
    groups = [[a for a, g in zip(scan.annotations, group) if g == number] for number in range(group.max() + 1)]
    return sorted(groups, key=lambda annotations: np.mean([_mean_z(a) for a in annotations]))


def _index_points(scan: Scan, annotation: Annotation) -> np.ndarray:
    parts = []
    for contour in annotation.contours:
        k = int(np.abs(scan.z_mm - contour.z_mm).argmin())
        parts.append(np.column_stack([contour.rows_columns, np.full(len(contour.rows_columns), k)]))
    return np.concatenate(parts)


def _mean_z(annotation: Annotation) -> float:
    return float(np.mean([c.z_mm for c in annotation.contours]))
