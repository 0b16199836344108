"""Turned, mirrored and shifted views of the same place: what is real survives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class View:
    """One way to look at a place.

    Parameters
    ----------
    turns
        Quarter turns, 0..3.
    mirrored
        Left and right exchanged before turning.
    shift
        Pixels (j, i) by which the tile is moved off the place.
    """

    turns: int = 0
    mirrored: bool = False
    shift: tuple[int, int] = (0, 0)

    def apply(self, tiles: NDArray) -> NDArray:
        """Turn the last two axes (square); a view of the same memory."""
        if self.mirrored:
            tiles = tiles[..., ::-1]
        return np.rot90(tiles, self.turns, axes=(-2, -1)) if self.turns else tiles

    def undo(self, tiles: NDArray) -> NDArray:
        """The inverse of :meth:`apply`."""
        if self.turns:
            tiles = np.rot90(tiles, -self.turns, axes=(-2, -1))
        return tiles[..., ::-1] if self.mirrored else tiles


PLAIN = View()

# Eight turns of the square, each with a shift of 10 to 16 px in its own direction, the order such that the first few
# differ most. Odd shifts move structures against the network's pooling grid.
VIEWS = (
    PLAIN,
    View(1, True, (11, -7)),
    View(2, False, (-10, 9)),
    View(3, True, (-7, -13)),
    View(0, True, (9, 13)),
    View(1, False, (-13, -6)),
    View(2, True, (6, 12)),
    View(3, False, (12, 5)),
)
