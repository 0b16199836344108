"""Few square tiles that cover a shape on a slice."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.tiles import TILE_PX

CELL_PX = 8
"""The shape is looked at in cells of so many pixels."""

RIM_CELL_PX = 4
"""The same for taking its rim off."""


def cover(
    mask: NDArray[np.bool_], *, px: int = TILE_PX, margin: int = 16, from_end: bool = False
) -> NDArray[np.int64]:
    """Few tiles whose cores hold every pixel of a mask.

    The cores lie in bands, of rows or of columns, whichever needs fewer; with that, and up to the cells that a mask is
    looked at in, no fewer would do.

    Parameters
    ----------
    mask
        bool [j, i] of one slice.
    margin
        Border of a tile that does not count: at an image's edge a network lacks context.
    from_end
        Counts from the last row and column: as few tiles, with seams elsewhere.

    Returns
    -------
    (n, 2) int64: row and column of each tile's first pixel; may be negative.
    """
    cells = _cells(mask, CELL_PX)
    if from_end:
        cells = cells[::-1, ::-1]
    size = max(1, (px - 2 * margin) // CELL_PX)
    by_rows = _bands(_bits(cells), size)
    by_columns = _bands(_bits(cells.T), size)
    if sum(len(spans) for _, spans in by_rows) <= sum(len(spans) for _, spans in by_columns):
        cores = [(band, span) for band, spans in by_rows for span in spans]
    else:
        cores = [(span, band) for band, spans in by_columns for span in spans]
    if from_end:
        height, width = cells.shape
        cores = [((height - b, height - a), (width - d, width - c)) for (a, b), (c, d) in cores]
    places = [[((a + b) * CELL_PX - px) // 2 for a, b in core] for core in cores]
    return np.array(places, dtype=np.int64).reshape(-1, 2)


def without_rim(mask: NDArray[np.bool_], rim_mm: float, spacing_mm: float) -> NDArray[np.bool_]:
    """What of a slice's mask is left when its rim of ``rim_mm`` is taken off, to within 4 pixels; bool [j, i]."""
    steps = int(rim_mm / spacing_mm / RIM_CELL_PX)
    if steps < 1 or not mask.any():
        return mask
    inner = _cells(mask, RIM_CELL_PX)
    for step in range(steps):  # a cross and a square in turn make an octagon
        wide = np.pad(inner, 1)  # beyond the image is outside
        rows = inner & wide[:-2, 1:-1] & wide[2:, 1:-1]
        if step % 2:
            wide = np.pad(rows, ((0, 0), (1, 1)))
            inner = rows & wide[:, :-2] & wide[:, 2:]
        else:
            inner = rows & wide[1:-1, :-2] & wide[1:-1, 2:]
    full = inner.repeat(RIM_CELL_PX, axis=0).repeat(RIM_CELL_PX, axis=1)
    return full[: mask.shape[0], : mask.shape[1]] & mask


def _cells(mask: NDArray[np.bool_], px: int) -> NDArray[np.bool_]:
    """True where a cell of px x px pixels holds any of the mask; cells at the end may be cut."""
    rows = np.logical_or.reduceat(mask, np.arange(0, mask.shape[0], px), axis=0)
    return np.logical_or.reduceat(rows, np.arange(0, mask.shape[1], px), axis=1)


def _bits(cells: NDArray[np.bool_]) -> tuple[int, ...]:
    """Each row as an integer, its first cell the lowest bit."""
    packed = np.packbits(cells, axis=1, bitorder="little")
    return tuple(int.from_bytes(row.tobytes(), "little") for row in packed)


Span = tuple[int, int]


def _bands(rows: tuple[int, ...], size: int) -> list[tuple[Span, list[Span]]]:
    """Bands of at most ``size`` rows with the spans of each, the fewest spans in all that cover every bit."""

    @cache
    def best(first: int) -> tuple[int, int, int]:
        """Spans that the rows from ``first`` on need, and where the first band of them starts and stops."""
        while first < len(rows) and not rows[first]:
            first += 1
        if first == len(rows):
            return 0, first, first
        needed, stop = 0, first
        least: tuple[int, int, int] | None = None
        while stop < min(first + size, len(rows)):
            # A longer band with as many spans is never worse: only the longest of each number is looked at.
            count = _count(needed | rows[stop], size)
            if stop > first and count > _count(needed, size):
                option = _count(needed, size) + best(stop)[0]
                if least is None or option < least[0]:
                    least = option, first, stop
            needed |= rows[stop]
            stop += 1
        option = _count(needed, size) + best(stop)[0]
        return (option, first, stop) if least is None or option <= least[0] else least

    bands, at = [], 0
    while best(at)[0]:
        _, first, at = best(at)
        needed = 0
        for row in rows[first:at]:
            needed |= row
        bands.append(((first, at), _spans(needed, size)))
    return bands


@lru_cache(maxsize=1 << 14)
def _count(bits: int, size: int) -> int:
    return len(_spans(bits, size))


def _spans(bits: int, size: int) -> list[Span]:
    """Half-open spans of at most ``size`` that hold every bit; from the first bit on, which needs the fewest."""
    spans = []
    while bits:
        first = (bits & -bits).bit_length() - 1
        held = (bits >> first) & ((1 << size) - 1)
        spans.append((first, first + held.bit_length()))
        bits = bits >> (first + size) << (first + size)
    return spans
