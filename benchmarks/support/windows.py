"""How large a CT is at another spacing, and how many windows slide over it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, prod


def resampled_shape(shape: Sequence[int], spacing_mm: Sequence[float], wanted_mm: Sequence[float]) -> tuple[int, ...]:
    """Voxels (k, j, i) of the same extent at another spacing."""
    return tuple(round(n * has / wants) for n, has, wants in zip(shape, spacing_mm, wanted_mm, strict=True))


def along(length: int, window: int, step: int) -> list[int]:
    """First voxels of the fewest windows that cover an axis at most ``step`` apart, evenly spread."""
    room = max(length - window, 0)
    gaps = ceil(room / step)
    return [round(n * room / gaps) for n in range(gaps + 1)] if gaps else [0]


def windows(shape: Sequence[int], window: Sequence[int], overlap: float) -> list[tuple[int, ...]]:
    """First voxels (k, j, i) of all windows.

    Both nnU-Net and MONAI count them so. MONAI moves only the last ones inwards, nnU-Net all evenly; the number is the
    same.
    """
    steps = [int(size * (1 - overlap)) for size in window]
    return list(product(*(along(n, size, step) for n, size, step in zip(shape, window, steps, strict=True))))


def voxels(places: Sequence[tuple[int, ...]], window: Sequence[int]) -> int:
    """Voxels that a network sees in all."""
    return len(places) * prod(window)
