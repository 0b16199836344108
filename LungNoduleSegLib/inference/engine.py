"""What the search and the click need of a network: tiles of HU in, probabilities out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """What everything above this file needs of a network."""

    input_slices: int
    tile_px: int

    @property
    def batch_size(self) -> int:
        """Tiles that are best given at once; more are split."""
        ...

    def predict(self, tiles: NDArray, *, min_range: float | None = None) -> NDArray[np.float32]:
        """Probabilities (n, h, w) float32 of the middle slices of tiles (n, input_slices, h, w) in HU."""
        ...
