"""Probabilities of a small stack of slices around one place, from crops centred on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.tiles import TILE_PX, gather, gaussian_window
from LungNoduleSegLib.inference.views import PLAIN, View

SINGLE_TILE_PX = 60
"""Larger extents are looked at with several tiles of 128 pixels: nearer to its border a tile lacks context."""

TILE_STEP_PX = 48
"""Distance of those tiles."""


def single_tile_px(tile_px: int) -> int:
    """The same of tiles that cover more or fewer pixels of the CT."""
    return SINGLE_TILE_PX * tile_px // TILE_PX


@dataclass(frozen=True, eq=False)
class Slab:
    """Probabilities of a stack of slices.

    Attributes
    ----------
    offset_kji
        First voxel of the stack in the CT; j and i may be negative where a crop leaves the image.
    by_view
        float32 (views, k, j, i); NaN where a view's tile did not reach.
    """

    offset_kji: tuple[int, int, int]
    by_view: NDArray[np.float32]

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """Mean over the views, float32 [k, j, i]."""
        if len(self.by_view) == 1:
            return self.by_view[0]
        seen = ~np.isnan(self.by_view)
        return np.where(seen, self.by_view, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1).astype(np.float32)

    @property
    def spread(self) -> NDArray[np.float32]:
        """Standard deviation over the views, float32 [k, j, i]; NaN where fewer than two of them looked."""
        seen = ~np.isnan(self.by_view)
        looks = seen.sum(axis=0)
        apart = np.where(seen, self.by_view - self.mean, 0)
        variance = (apart**2).sum(axis=0) / np.maximum(looks, 1).astype(np.float32)
        return np.where(looks > 1, np.sqrt(variance), np.float32(np.nan))


def joined(one: Slab, other: Slab) -> Slab:
    """Views of two slabs around the same place in one; NaN where one of them has no slice or pixel."""
    low = np.minimum(one.offset_kji, other.offset_kji)
    high = np.maximum(*(np.add(s.offset_kji, s.by_view.shape[1:]) for s in (one, other)))
    out = np.full((len(one.by_view) + len(other.by_view), *(high - low)), np.nan, np.float32)
    for slab, views in ((one, slice(0, len(one.by_view))), (other, slice(len(one.by_view), None))):
        k, j, i = (slice(o - a, o - a + n) for o, a, n in zip(slab.offset_kji, low, slab.by_view.shape[1:]))
        out[views, k, j, i] = slab.by_view
    return Slab((int(low[0]), int(low[1]), int(low[2])), out)


def predict_views(
    engine: Engine, hu: NDArray[np.int16], places: NDArray, views: Sequence[View], monitor: Monitor | None = None
) -> NDArray[np.float32]:
    """Predict tiles, each through its own view.

    Parameters
    ----------
    places
        (n, 3) integers: slice, and first row and column of the tile **before** the view's shift.
    views
        n views.

    Returns
    -------
    float32 (n, px, px), turned back, on the grid of the shifted tile.
    """
    px = engine.tile_px
    places = np.asarray(places, dtype=np.int64)
    out = np.empty((len(places), px, px), np.float32)
    done = 0
    while done < len(places):
        part = slice(done, done + engine.batch_size)
        looks = views[part]
        moved = places[part] + [(0, *view.shift) for view in looks]
        tiles = gather(hu, moved, slices=engine.input_slices, px=px)
        turned = np.stack([view.apply(tile) for view, tile in zip(looks, tiles, strict=True)])
        for n, (view, found) in enumerate(zip(looks, engine.predict(turned), strict=True)):
            out[done + n] = view.undo(found)
        done += len(looks)
        if monitor is not None:
            monitor.step(done / len(places))
    return out


def predict_slab(
    engine: Engine,
    hu: NDArray[np.int16],
    slices: range,
    centre_ji: tuple[int, int],
    *,
    views: Sequence[View] = (PLAIN,),
    extent_px: tuple[int, int] = (0, 0),
    monitor: Monitor | None = None,
) -> Slab:
    """Predict all slices of a stack from crops centred on one place.

    Parameters
    ----------
    slices
        Consecutive slices inside the CT.
    centre_ji
        Pixel that becomes the middle of the crop (index px / 2).
    extent_px
        Height and width of what is looked at; what one tile cannot cover (`single_tile_px`) is covered by several with
        Gaussian weights.
    """
    px = engine.tile_px
    corners = [
        (dj, di)
        for dj in _steps(extent_px[0], px)
        for di in _steps(extent_px[1], px)
    ]
    top = min(c[0] for c in corners), min(c[1] for c in corners)
    size = max(c[0] for c in corners) - top[0] + px, max(c[1] for c in corners) - top[1] + px
    first = centre_ji[0] - px // 2 + top[0], centre_ji[1] - px // 2 + top[1]
    requests = [
        (v, k, dj - top[0], di - top[1]) for v in range(len(views)) for k in range(len(slices)) for dj, di in corners
    ]
    places = np.array([(slices[k], first[0] + dj, first[1] + di) for _, k, dj, di in requests])
    found = predict_views(engine, hu, places, [views[v] for v, *_ in requests], monitor)

    shape = (len(views), len(slices), *size)
    total, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    window = np.ones((px, px), np.float32) if len(corners) == 1 else gaussian_window(px)
    for (v, k, dj, di), probability in zip(requests, found, strict=True):
        j, i = dj + views[v].shift[0], di + views[v].shift[1]
        j0, j1, i0, i1 = max(j, 0), min(j + px, size[0]), max(i, 0), min(i + px, size[1])
        part = np.s_[j0 - j : j1 - j, i0 - i : i1 - i]
        total[v, k, j0:j1, i0:i1] += probability[part] * window[part]
        weight[v, k, j0:j1, i0:i1] += window[part]
    with np.errstate(invalid="ignore"):
        total /= weight
    # Beyond the image a crop holds padding: nothing is there.
    depth_offset = (slices[0], first[0], first[1])
    _blank_outside(total, depth_offset, hu.shape)
    return Slab(depth_offset, total)


def _steps(extent: int, px: int) -> list[int]:
    single = single_tile_px(px)
    if extent <= single:
        return [0]
    reach = (extent - single) / 2
    count = -(-int(np.ceil(2 * reach)) // (TILE_STEP_PX * px // TILE_PX)) + 1
    return [int(v) for v in np.linspace(-reach, reach, count).round()]


def _blank_outside(values: NDArray[np.float32], offset: tuple[int, int, int], shape: tuple[int, ...]) -> None:
    _, j, i = offset
    values[..., : max(-j, 0), :] = 0
    values[..., :, : max(-i, 0)] = 0
    values[..., max(shape[1] - j, 0) :, :] = 0
    values[..., :, max(shape[2] - i, 0) :] = 0


def inside(
    hu_shape: tuple[int, ...], offset: tuple[int, int, int], mask: NDArray
) -> tuple[tuple[int, int, int], NDArray]:
    """The part of an array placed at ``offset`` that lies inside the CT, and its offset."""
    box = []
    start = []
    for size, o, n in zip(hu_shape, offset, mask.shape, strict=True):
        box.append(slice(max(-o, 0), min(n, size - o)))
        start.append(max(o, 0))
    return (start[0], start[1], start[2]), mask[tuple(box)]
