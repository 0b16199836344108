"""Changes of what is seen in a crop that leave its outline as it is: cavities, sharpness."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

LEAST_DEPTH_PX = 2.5
"""Half the width of the smallest nodule that is hollowed: thinner ones would be all wall."""

WALL_PX = (1.5, 4.0)
_RING_PX = (2, 12)
_EDGE_PX = 0.7


def hollowed(image: np.ndarray, nodule: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A nodule with a cavity of lung-like air, its wall and its outline kept.

    Cavitary nodules are rare, so a network sees hardly any, and takes a ring for a bronchus.
    The cavity is what lies deeper in the outline than a wall of 1.5 to 4 px, off the middle, with a soft edge; its
    grey level and grain are those of the darker half of the surroundings.

    Parameters
    ----------
    image
        float32 (slices, h, w), any affine scale of HU.
    nodule
        bool (slices, h, w): the outline on each slice; a slice without one stays as it is.

    Returns
    -------
    float32 (slices, h, w); the same array where the middle slice's nodule is too small.
    """
    middle = len(image) // 2
    depth = _depth(nodule[middle])
    if depth.max() < LEAST_DEPTH_PX:
        return image
    wall = rng.uniform(WALL_PX[0], max(WALL_PX[0] + 0.1, min(WALL_PX[1], 0.6 * depth.max())))
    lean = rng.normal(0, 0.15 * depth.max(), size=2)
    far = ndimage.distance_transform_edt(~nodule[middle])
    ring = image[middle][(far > _RING_PX[0]) & (far < _RING_PX[1])]
    if ring.size == 0:
        return image
    dark = ring[ring <= np.median(ring)]
    level, grain = float(np.quantile(ring, rng.uniform(0.02, 0.3))), 0.5 * float(dark.std())
    out = image.copy()
    for n, outline in enumerate(nodule):
        deep = _depth(outline)
        inside = ndimage.shift((deep > wall).astype(np.float32), lean, order=1)
        inside *= deep > WALL_PX[0] - 0.5  # the shift must not break through the wall
        soft = ndimage.gaussian_filter(inside, _EDGE_PX) * outline
        air = level + grain * rng.standard_normal(outline.shape, dtype=np.float32)
        out[n] += soft * np.minimum(air - out[n], 0)
    return out


def _depth(mask: np.ndarray) -> np.ndarray:
    return ndimage.distance_transform_edt(mask) if mask.any() else np.zeros(mask.shape)


def resharpened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Softer or sharper in the plane, as another reconstruction kernel would show it; float32 (slices, h, w)."""
    sigma = float(rng.uniform(0.4, 1.0))
    soft = ndimage.gaussian_filter(image, (0, sigma, sigma))
    return soft if rng.random() < 0.6 else image + np.float32(rng.uniform(0.3, 1.0)) * (image - soft)
