"""Two masks in 3D: Dice, distance of their surfaces, error of volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

HD_PERCENT = 95.0


def dice_of_masks(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two bool arrays; 1 where both are empty."""
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else 1.0


def surface_voxels(mask: np.ndarray) -> np.ndarray:
    """bool [k, j, i]: voxels of the mask with a face towards the outside; what lies beyond the array is outside."""
    return mask & ~ndimage.binary_erosion(mask)


def surface_distances(
    predicted: np.ndarray, truth: np.ndarray, spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances in mm from each surface voxel to the nearest one of the other mask: (of predicted, of truth).

    Between centres of voxels, on the grid's own spacing (k, j, i): faces are not interpolated, so two masks one voxel
    apart are one spacing apart.

    Raises
    ------
    ValueError
        An empty mask has no surface.
    """
    if not predicted.any() or not truth.any():
        raise ValueError(
            "Expected arguments `predicted` and `truth` to hold at least one voxel each, got an empty mask"
        )
    box = tuple(
        slice(max(int(n.min()) - 1, 0), int(n.max()) + 2) for n in np.nonzero(predicted | truth)
    )  # everything else is far from both
    # A voxel at the border of the array must see the outside there, wherever the box was cut.
    edges = [surface_voxels(np.pad(m[box], 1)) for m in (predicted, truth)]
    away = [ndimage.distance_transform_edt(~edge, sampling=tuple(spacing_mm)) for edge in edges]
    return away[1][edges[0]], away[0][edges[1]]


def hausdorff_95_mm(
    predicted: np.ndarray, truth: np.ndarray, spacing_mm: Sequence[float], *, percent: float = HD_PERCENT
) -> float | None:
    """95 % Hausdorff distance in mm of two bool arrays [k, j, i]; None where one is empty.

    The larger of the two directed 95th percentiles (linear interpolation), as MONAI takes it; pooling both directions
    before the percentile, as others do, gives a smaller number.
    """
    if not predicted.any() or not truth.any():
        return None
    return float(max(np.percentile(d, percent) for d in surface_distances(predicted, truth, spacing_mm)))


def volume_error(predicted_mm3: float, truth_mm3: float) -> float:
    """(predicted - true) / true volume: 0 is right, -1 is nothing found, positive is too large."""
    if not truth_mm3 > 0:
        raise ValueError(f"Expected argument `truth_mm3` to be positive, got {truth_mm3}")
    return (predicted_mm3 - truth_mm3) / truth_mm3
