"""The two passes over a CT: sparse everywhere in the lungs, then again around what the first one saw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from LungNoduleSegLib.inference.ahead import in_order
from LungNoduleSegLib.inference.covering import cover, without_rim
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.regions import sparse_components
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.tiles import TILE_PX, ProbabilityVolume, gather

LARGE_GROUP_PX = 80
"""Hits that touch each other on a slice: 8 mm across at .8 mm."""

_AROUND = np.ones((3, 3), bool)


def first_places(
    lung: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    settings: SearchSettings,
    px: int,
    *,
    step_mm: float,
    rim_mm: float = 0.0,
) -> NDArray[np.int64]:
    """Tiles of the first pass, (n, 3): slice, first row and column.

    Parameters
    ----------
    lung
        bool [k, j, i]: what must be searched.
    px
        Height and width of a tile in pixels of the CT; the border that does not count grows with it.
    step_mm
        Slices that are looked at lie at most so far apart; with thin slices it leaves some out.
    rim_mm
        Width of the rim of ``lung`` that needs no tile of its own.
    """
    occupied = np.flatnonzero(lung.any(axis=(1, 2)))
    if occupied.size == 0:
        return np.zeros((0, 3), np.int64)
    # The small excess lets 1.25 mm slices written as 1.2500001 be halved.
    stride = max(1, int(step_mm / spacing_mm[0] + 1e-3))
    chosen = list(range(int(occupied[0]), int(occupied[-1]) + 1, stride))
    if chosen[-1] != occupied[-1]:
        chosen.append(int(occupied[-1]))
    margin = round(settings.first_margin_px * px / TILE_PX)
    places = []
    for n, k in enumerate(chosen):
        # A slice left out is searched by its neighbours, so they cover its lung too.
        around = lung[max(k - stride + 1, 0) : k + stride].any(axis=0)
        # A network misses what the edges of its tiles cut: every other slice has its seams elsewhere.
        inner = without_rim(around, rim_mm, spacing_mm[1])
        tiles = cover(inner, px=px, margin=margin, from_end=n % 2 == 1)
        places.append(np.column_stack([np.full(len(tiles), k), tiles]))
    return np.concatenate(places)


def run_tiles(
    engine: Engine, hu: NDArray[np.int16], places: NDArray[np.int64], volume: ProbabilityVolume, monitor: Monitor
) -> None:
    """Predict tiles and average them into the volume."""

    def predict(part: NDArray[np.int64], _: Monitor) -> NDArray[np.float32]:
        return engine.predict(gather(hu, part, slices=engine.input_slices, px=engine.tile_px))

    def batches() -> Iterator[NDArray[np.int64]]:
        begun = 0
        while begun < len(places):
            part = places[begun : begun + engine.batch_size]  # it may shrink on the way
            begun += len(part)
            yield part

    done = 0
    monitor.step(0.0)
    for part, found in in_order(predict, batches(), monitor):
        for place, probability in zip(part, found, strict=True):
            volume.add(place, probability)
        done += len(part)
        monitor.step(done / len(places))
    monitor.step(1.0)


def hits(volume: ProbabilityVolume, lung: NDArray[np.bool_], threshold: float, min_voxels: int) -> NDArray[np.int64]:
    """Voxels (n, 3) of the box in the lung with a probability >= threshold, in groups of at least ``min_voxels``."""
    found = []
    for k in range(len(volume.mean)):
        j, i = np.nonzero((volume.mean[k] >= threshold) & lung[k])
        found.append(np.column_stack([np.full(len(j), k), j, i]))
    voxels = np.concatenate(found).astype(np.int64) if found else np.zeros((0, 3), np.int64)
    if len(voxels) == 0:
        return voxels
    labels = sparse_components(voxels, volume.mean.shape)
    return voxels[np.bincount(labels)[labels] >= min_voxels]


def second_places(
    found: NDArray[np.int64],
    volume: ProbabilityVolume,
    settings: SearchSettings,
    px: int,
) -> NDArray[np.int64]:
    """Tiles of the second pass around hits, (n, 3) in the CT's own indices.

    Slices next to a hit that the first pass left out are added, and those next to a group of at least
    ``LARGE_GROUP_PX`` pixels, which does not end from one slice to the next: a tile's edge had cut it there. On each
    slice the largest group of hits gets a tile centred on it; a group that lies well inside a tile placed before needs
    none of its own.
    """
    if len(found) == 0:
        return np.zeros((0, 3), np.int64)
    depth, height, width = volume.mean.shape
    left_out = ~volume.weight.reshape(depth, -1).any(axis=1)
    planes: dict[int, list[NDArray[np.int64]]] = {}
    for k in np.unique(found[:, 0]):
        pixels = found[found[:, 0] == k, 1:]
        planes.setdefault(int(k), []).append(pixels)
        large = _large(pixels)
        for step in (-1, 1):
            n = int(k) + step
            while 0 <= n < depth and left_out[n]:
                planes.setdefault(n, []).append(pixels)
                n += step
            if len(large) and 0 <= n < depth:
                planes.setdefault(n, []).append(large)
    core = px - 2 * round(settings.second_margin_px * px / TILE_PX)
    places = []
    for k in sorted(planes):
        plane = np.zeros((height, width), bool)
        for pixels in planes[k]:
            plane[pixels[:, 0], pixels[:, 1]] = True
        places += [(k, j, i) for j, i in _centred(plane, core, px)]
    return np.array(places, dtype=np.int64).reshape(-1, 3) + volume.offset_kji


def _large(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the pixels (n, 2) of a slice that lie in a large group."""
    if len(pixels) < LARGE_GROUP_PX:
        return pixels[:0]
    low = pixels.min(axis=0)
    plane = np.zeros(pixels.max(axis=0) - low + 1, bool)
    plane[tuple((pixels - low).T)] = True
    labels, _ = ndimage.label(plane, _AROUND)
    number = labels[tuple((pixels - low).T)]
    return pixels[np.bincount(number)[number] >= LARGE_GROUP_PX]


def _centred(plane: NDArray[np.bool_], core: int, px: int) -> list[tuple[int, int]]:
    labels, count = ndimage.label(plane, _AROUND)
    boxes = ndimage.find_objects(labels)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    tops: list[tuple[int, int]] = []
    for n in np.argsort(-sizes, kind="stable"):
        rows, columns = boxes[n]
        # A group larger than the core is cut into pieces that are not.
        for j in _pieces(rows, core):
            for i in _pieces(columns, core):
                middle = (j.start + j.stop) // 2, (i.start + i.stop) // 2
                inside = any(
                    a <= j.start and j.stop <= a + core and b <= i.start and i.stop <= b + core for a, b in tops
                )
                if not inside:
                    tops.append((middle[0] - core // 2, middle[1] - core // 2))
    margin = (px - core) // 2
    return [(j - margin, i - margin) for j, i in tops]


def _pieces(span: slice, size: int) -> list[slice]:
    length = span.stop - span.start
    count = -(-length // size)
    edges = np.linspace(span.start, span.stop, count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def smoothed(volume: ProbabilityVolume, box: tuple[slice, slice, slice], sigma_mm: float, step_mm: float) -> NDArray:
    """Probabilities of a box, smoothed across slices over what was visited; float32 [k, j, i]."""
    mean, seen = volume.mean[box].astype(np.float32), (volume.weight[box] > 0).astype(np.float32)
    if sigma_mm <= 0 or step_mm > 3 * sigma_mm:
        return mean
    sigma = sigma_mm / step_mm
    total = ndimage.gaussian_filter1d(mean * seen, sigma, axis=0, mode="constant", truncate=3)
    weight = ndimage.gaussian_filter1d(seen, sigma, axis=0, mode="constant", truncate=3)
    return np.divide(total, weight, out=np.zeros_like(total), where=seen > 0)
