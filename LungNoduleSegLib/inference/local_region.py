"""What stands out around a point by its HU alone, where the network sees nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from LungNoduleSegLib.inference.regions import TOUCHING, filled

RADIUS_MM = 6.0
"""The region never reaches farther from the point."""

CAVITY_MM = 10.0
"""Except around a cavity: its wall may lie this far from a point in its air."""

SMALL_MM = 2.0
"""Radius of the ball given where nothing stands out, or everything does."""

LUNG_HU = -850
TISSUE_HU = -600
"""Below this a point lies in air or aerated lung."""

FULL = 0.6
"""A region that fills more of the reachable ball has no outline of its own: wall, heart, liver."""


def local_region(
    hu: NDArray[np.int16], seed_kji: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> tuple[tuple[int, int, int], NDArray[np.bool_]]:
    """A small region that holds a voxel.

    The voxels connected to the seed above the middle between its HU and the lung's, at most 6 mm away. From air that a
    wall encloses: the wall and what it encloses, at most 10 mm away. A ball of 2 mm where the seed lies in open lung,
    or where the region has no outline within reach.

    Returns
    -------
    Offset of the box in the CT, and bool [k, j, i]; holds the seed.
    """
    reach = [int(np.ceil(CAVITY_MM / s)) for s in spacing_mm]
    low = [max(s - r, 0) for s, r in zip(seed_kji, reach)]
    box = tuple(slice(a, s + r + 1) for a, s, r in zip(low, seed_kji, reach))
    values = hu[box].astype(np.float32)
    seed = tuple(s - a for s, a in zip(seed_kji, low))
    grid = np.indices(values.shape).reshape(3, -1).T - seed
    far = np.linalg.norm(grid * spacing_mm, axis=1).reshape(values.shape)
    k, j, i = seed
    level = float(np.median(values[k, max(j - 1, 0) : j + 2, max(i - 1, 0) : i + 2]))
    if level > TISSUE_HU:
        ball = far <= RADIUS_MM
        region = (values >= (level + LUNG_HU) / 2) & ball
        region[seed] = True
        region = filled(region) & ball
    else:
        ball = far <= CAVITY_MM
        # Filled with the seed's own slice in view: lung between other structures of the ball is not a cavity.
        region = filled((values >= TISSUE_HU) & ball)
    if region[seed]:
        labels, _ = ndimage.label(region, TOUCHING)
        region = labels == labels[seed]
    if not region[seed] or region.sum() > FULL * ball.sum():
        region = far <= SMALL_MM
        region[seed] = True
    return (low[0], low[1], low[2]), region
