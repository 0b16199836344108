"""Changes of how sharp an image is; its outline stays as it is."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def resharpened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Softer or sharper in the plane, as another reconstruction kernel would show it; float32 (slices, h, w)."""
    sigma = float(rng.uniform(0.4, 1.0))
    soft = ndimage.gaussian_filter(image, (0, sigma, sigma))
    return soft if rng.random() < 0.6 else image + np.float32(rng.uniform(0.3, 1.0)) * (image - soft)
