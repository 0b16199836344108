"""What is measured of a candidate, for telling nodules from vessels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from LungNoduleSegLib.ct.lung_regions import find_lungs
from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.regions import elongation, equivalent_diameter

FEATURES = (
    "peak",
    "coarse_mean",
    "view_mean",
    "view_low",
    "view_spread",
    "diameter_mm",
    "elongation",
    "slices",
    "fill",
    "mean_hu",
    "spread_hu",
    "shell_hu",
    "contrast_hu",
    "shell_dense",
    "attached",
    "lung_share",
)
"""Names of the features, in order.

peak, coarse_mean: probability in the search's passes, highest and mean. view_mean, view_low, view_spread: mean, 20th
percentile and standard deviation over the views of the mean probability inside. diameter_mm: of the ball of equal
volume. elongation: root of largest to smallest principal variance. slices: extent across slices in mm over
diameter_mm. fill: share of its box. mean_hu, spread_hu: HU inside. shell_hu: mean HU of the shell 1.5 to 4 mm outside.
contrast_hu: mean inside minus shell. shell_dense: share of the shell above -400 HU, so of attached vessels and wall.
attached: share of the shell 1 to 2.5 mm outside that is denser than half-way from lung to what is inside: large for a
part of a vessel, wall or fissure that goes on. lung_share: share inside of the lungs, closed over what stands in or on
them: low for vessels of the mediastinum. For the shells a neighbouring slice is no farther away than NEAREST_MM.
"""

SHELL_MM = (1.5, 4.0)
DENSE_HU = -400

NEAR_SHELL_MM = (1.0, 2.5)
LUNG_HU = -850
NEAREST_MM = 2.5
"""What is next to a mask counts as no farther than this, whatever the spacing: thicker slices would lie outside of the
shells, and a vessel that goes on from slice to slice would seem to end."""

SMOOTHING_MM = 0.5
"""Standard deviation of the smoothing before the near shell is looked at: a sharp kernel's noise is no tissue."""


def view_features(by_view: NDArray[np.float32], mask: NDArray[np.bool_]) -> dict[str, float]:
    """Features of the views.

    Parameters
    ----------
    by_view
        float32 (views, k, j, i), NaN where a view did not reach.
    mask
        bool [k, j, i] on the same grid.
    """
    inside = by_view[:, mask]
    seen = ~np.isnan(inside)
    means = [row[s].mean() for row, s in zip(inside, seen) if s.any()]
    if not means:
        return {"view_mean": 0.0, "view_low": 0.0, "view_spread": 0.0}
    values = np.array(means, dtype=np.float64)
    return {
        "view_mean": float(values.mean()),
        "view_low": float(np.percentile(values, 20)),
        "view_spread": float(values.std()),
    }


def shape_features(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """Features of a mask given on its bounding box."""
    diameter = equivalent_diameter(float(mask.sum() * np.prod(spacing_mm)))
    return {
        "diameter_mm": diameter,
        "elongation": elongation(mask, spacing_mm),
        "slices": mask.shape[0] * spacing_mm[0] / diameter,
        "fill": float(mask.mean()),
    }


def hu_features(
    hu: NDArray[np.int16],
    offset_kji: tuple[int, int, int],
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> dict[str, float]:
    """Features of the HU inside a mask and in the shells around it.

    Parameters
    ----------
    hu
        The whole CT, int16 [k, j, i].
    offset_kji, mask
        First voxel [k, j, i] of the mask in the CT, and the mask, bool [k, j, i], with at least one voxel.
    spacing_mm
        (k, j, i).
    """
    pad = [int(np.ceil(SHELL_MM[1] / s)) for s in spacing_mm]
    low = [max(o - p, 0) for o, p in zip(offset_kji, pad)]
    high = [min(o + n + p, size) for o, n, p, size in zip(offset_kji, mask.shape, pad, hu.shape)]
    box = tuple(slice(a, b) for a, b in zip(low, high))
    region = np.zeros([b - a for a, b in zip(low, high)], bool)
    region[tuple(slice(o - a, o - a + n) for o, a, n in zip(offset_kji, low, mask.shape))] = mask
    values = hu[box].astype(np.float32)
    far = ndimage.distance_transform_edt(~region, sampling=[min(s, NEAREST_MM) for s in spacing_mm])
    shell = (far > SHELL_MM[0]) & (far <= SHELL_MM[1])
    inner = values[region]
    around = values[shell] if shell.any() else np.array([-850.0], np.float32)
    return {
        "mean_hu": float(inner.mean()),
        "spread_hu": float(inner.std()),
        "shell_hu": float(around.mean()),
        "contrast_hu": float(inner.mean() - around.mean()),
        "shell_dense": float((around > DENSE_HU).mean()),
        "attached": _attached(values, region, far, spacing_mm),
    }


def _attached(
    hu: NDArray[np.float32], region: NDArray[np.bool_], far_mm: NDArray[np.float64], spacing_mm: tuple[float, ...]
) -> float:
    smooth = ndimage.gaussian_filter(hu, [SMOOTHING_MM / s for s in spacing_mm])
    shell = smooth[(far_mm > NEAR_SHELL_MM[0]) & (far_mm <= NEAR_SHELL_MM[1])]
    half_way = (float(np.percentile(smooth[region], 75)) + LUNG_HU) / 2
    return float((shell > half_way).mean()) if shell.size else 0.0


def lung_features(ct: CT, offset_kji: tuple[int, int, int], mask: NDArray[np.bool_]) -> dict[str, float]:
    """Share of a mask inside of the CT's lungs, closed but not dilated; 1 where the CT holds no lung."""
    try:
        found = find_lungs(ct)
    except InputError:
        return {"lung_share": 1.0}
    coarse = (np.argwhere(mask) + offset_kji) // found.steps
    coarse = np.minimum(coarse, np.subtract(found.sides.shape, 1))
    return {"lung_share": float((found.sides[tuple(coarse.T)] > 0).mean())}
