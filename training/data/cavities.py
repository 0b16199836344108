"""Cavities: nodules hollowed out, and thin-walled ones drawn into lung."""

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


RADIUS_MM, SHELL_MM = (3.0, 11.0), (0.8, 3.0)
"""Least and most of a shell's radius and of the thickness of its wall."""

_WALL_HU = (-350.0, 60.0)
_AIR_HU = (-1000.0, -850.0)
_GRAIN_HU = (5.0, 45.0)
_FINE = 3
"""Positions through a slice's thickness whose mean is the slice: thin walls that lie flat look faint, as in a CT."""


def with_shell(
    image: np.ndarray,
    label: np.ndarray,
    centre_ji: tuple[int, int],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """A thin-walled cavitary nodule drawn at a place of the lung; ``label`` is changed in place.

    Hollowed nodules keep walls of 1.5 px and more, each slice on its own; a network can still take a thinner ring for
    a bronchus. Here an uneven, closed shell of soft tissue around air is laid into the slices with its partial volume,
    the middle of it up to .6 radii above or below the middle slice.

    Parameters
    ----------
    image
        HU float32 (slices, h, w), slices ascending by ``spacing_mm[0]``; not changed.
    label
        uint8 (h, w) of the middle slice: what the shell encloses becomes 1.
    centre_ji
        Row and column of the middle.
    spacing_mm
        (k, j, i).

    Returns
    -------
    float32 (slices, h, w).
    """
    radius = float(np.exp(rng.uniform(*np.log(RADIUS_MM))))
    wall = min(float(rng.uniform(*SHELL_MM)), 0.5 * radius)
    stretch = rng.uniform(0.85, 1.2, size=3)
    lean = rng.normal(0, 0.1 * radius, size=3)
    waves = rng.normal(0, 0.035, size=(3, 2))
    middle = len(image) // 2
    above = float(rng.uniform(-0.6, 0.6)) * radius
    height, width = label.shape
    y = (np.arange(height) - centre_ji[0])[:, None] * spacing_mm[1]
    x = (np.arange(width) - centre_ji[1])[None] * spacing_mm[2]
    angle = np.arctan2(y, x)
    uneven = 1 + sum(a * np.cos(n * angle) + b * np.sin(n * angle) for n, (a, b) in enumerate(waves, start=2))

    def distance(dz: float, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        return np.sqrt((dz / stretch[0]) ** 2 + (dy / stretch[1]) ** 2 + (dx / stretch[2]) ** 2) / uneven

    out = image.copy()
    grain = float(rng.uniform(*_GRAIN_HU))
    wall_hu, air_hu = float(rng.uniform(*_WALL_HU)), float(rng.uniform(*_AIR_HU))
    for n in range(len(image)):
        whole, hole = np.zeros(label.shape, np.float32), np.zeros(label.shape, np.float32)
        for part in range(_FINE):
            z = (n - middle + (part + 0.5) / _FINE - 0.5) * spacing_mm[0] - above
            outer = distance(z, y, x)
            # The cavity lies off the middle, but nowhere breaks through the wall.
            air = _soft_below(distance(z - lean[0], y - lean[1], x - lean[2]), radius - wall, spacing_mm[1])
            whole += _soft_below(outer, radius, spacing_mm[1]) / _FINE
            hole += np.minimum(air, _soft_below(outer, radius - 0.5 * wall, spacing_mm[1])) / _FINE
        tissue = np.maximum(wall_hu, image[n]) * (whole - hole) + air_hu * hole
        noise = ndimage.gaussian_filter(rng.standard_normal(label.shape, dtype=np.float32), 0.6) * grain * 2
        out[n] = image[n] * (1 - whole) + tissue + noise * whole
        if n == middle:
            label[whole > 0.5] = 1
    return out


def _soft_below(distance: np.ndarray, limit: float, pixel_mm: float) -> np.ndarray:
    """One where ``distance`` is below ``limit``, falling to zero within about a pixel."""
    return np.clip((limit - distance) / pixel_mm + 0.5, 0, 1).astype(np.float32)
