"""Tiles to try a network with when it is loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from LungNoduleSegLib.networks.config import NetworkConfig


def plausible_tiles(config: NetworkConfig, normalisation: Normalisation) -> NDArray[np.float32]:
    """Normalised tiles (4, input_slices, h, w): dark lung with bright structures of several sizes."""
    rng = np.random.default_rng(0)
    px = config.input_px
    tiles = rng.normal(-850, 40, (4, config.input_slices, px, px)).astype(np.float32)
    y, x = np.mgrid[:px, :px]
    for n, radius in enumerate((px * 0.03, px * 0.06, px * 0.12, px * 0.3)):
        tiles[n][:, (y - px / 2) ** 2 + (x - px / 2) ** 2 < radius**2] = 30
        tiles[n][:, :, : 8 * n] = 40
    return normalise(tiles, normalisation)
