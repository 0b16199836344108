"""Whether two segmented things are the same nodule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAME_DICE = 0.3
"""Two masks that share more than this are one nodule (Dice's coefficient); candidates of one run are kept apart by a
share of the smaller mask of the same size."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A mask on the CT's grid: bool [k, j, i] and its first voxel."""

    mask: np.ndarray
    offset_kji: tuple[int, int, int]

    @property
    def stop_kji(self) -> tuple[int, ...]:
        return tuple(o + n for o, n in zip(self.offset_kji, self.mask.shape, strict=True))

    @property
    def box(self) -> tuple[slice, ...]:
        """Where the mask lies in the CT."""
        return tuple(slice(a, b) for a, b in zip(self.offset_kji, self.stop_kji, strict=True))

    def shared_with(self, other: Placed) -> int:
        """Number of common voxels."""
        low = np.maximum(self.offset_kji, other.offset_kji)
        high = np.minimum(self.stop_kji, other.stop_kji)
        if (low >= high).any():
            return 0
        return int(np.count_nonzero(self._part(low, high) & other._part(low, high)))

    def holds_centroid_of(self, other: Placed) -> bool:
        """Whether the voxel in the middle of `other` belongs to this mask."""
        centre = np.rint(np.argwhere(other.mask).mean(axis=0) + other.offset_kji).astype(int) - self.offset_kji
        if (centre < 0).any() or (centre >= self.mask.shape).any():
            return False
        return bool(self.mask[tuple(centre)])

    def _part(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return self.mask[tuple(slice(a - o, b - o) for a, b, o in zip(low, high, self.offset_kji, strict=True))]


def same_nodule(new: Placed, kept: Placed) -> bool:
    """Whether `new` shows what `kept` shows already: they share many voxels, or one's centre lies in the other."""
    shared = new.shared_with(kept)
    if not shared:
        return False
    dice = 2 * shared / (np.count_nonzero(new.mask) + np.count_nonzero(kept.mask))
    return dice > SAME_DICE or kept.holds_centroid_of(new)


def united(parts: list[Placed]) -> Placed:
    """All voxels of the parts together, on the box around them."""
    low = np.min([part.offset_kji for part in parts], axis=0)
    high = np.max([part.stop_kji for part in parts], axis=0)
    mask = np.zeros(high - low, dtype=bool)
    for part in parts:
        box = tuple(slice(o - a, o - a + n) for o, a, n in zip(part.offset_kji, low, part.mask.shape, strict=True))
        mask[box] |= part.mask
    k, j, i = (int(value) for value in low)
    return Placed(mask, (k, j, i))
