"""False positives of the network so far, in the training scans."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from training.data.scans import TrainingScan, tile_start

TILE_PX = 128
STRIDE_PX = 96
FALSE_PROBABILITY = 0.2
MIN_PX = 6


@torch.inference_mode()
def mine(
    network: nn.Module,
    scan: TrainingScan,
    normalisation: Normalisation,
    *,
    slices: int,
    every: int,
    precision: torch.dtype | None,
    seed: int,
) -> np.ndarray:
    """Centres (m, 3) [k, j, i] of 2D components that the network takes for nodule where no reader marked anything.

    Only every ``every``-th slice is looked at, from a random first one, in tiles that touch the lungs.
    """
    network.eval()
    first = int(np.random.default_rng(seed).integers(every))
    found = []
    for k in range(first, scan.hu.shape[0], every):
        places = [
            (k, j, i)
            for j in _starts(scan.hu.shape[1])
            for i in _starts(scan.hu.shape[2])
            if scan.lung[k, max(j, 0) : j + TILE_PX, max(i, 0) : i + TILE_PX].any()
        ]
        if not places:
            continue
        half = TILE_PX // 2
        tiles = np.stack([scan.tile((k, j + half, i + half), TILE_PX, slices)[0] for k, j, i in places])
        batch = torch.from_numpy(normalise(tiles, normalisation)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None):
            probability = torch.sigmoid(network(batch).float())[:, 0].numpy()
        for place, tile in zip(places, probability):
            found += _false_components(scan, place, tile)
    return np.array(sorted(set(found)), dtype=np.int64).reshape(-1, 3)


def _starts(extent: int) -> list[int]:
    """First indices of the tiles that cover an axis, each once."""
    centres = range(TILE_PX // 2, extent + STRIDE_PX // 2, STRIDE_PX)
    return sorted({tile_start(centre, TILE_PX, extent) for centre in centres})


def _false_components(scan: TrainingScan, place: tuple[int, int, int], tile: np.ndarray) -> list[tuple[int, int, int]]:
    """``place`` is the slice, and the row and column of the tile's first pixel (negative where it is padded)."""
    k, first_j, first_i = place
    height, width = scan.hu.shape[1:]
    skip_j, skip_i = max(-first_j, 0), max(-first_i, 0)
    part = tile[skip_j : height - first_j, skip_i : width - first_i]
    first_j, first_i = first_j + skip_j, first_i + skip_i
    window = (k, slice(first_j, first_j + part.shape[0]), slice(first_i, first_i + part.shape[1]))
    taken = (scan.nodules[window] > 0) | (scan.labels[window] > 0)
    components, count = ndimage.label(part > FALSE_PROBABILITY)
    found = []
    for number in range(1, count + 1):
        mine_here = components == number
        if mine_here.sum() < MIN_PX or (taken & mine_here).any():
            continue
        row, column = ndimage.center_of_mass(mine_here)
        centre = (k, int(first_j + row), int(first_i + column))
        if scan.lung[centre]:
            found.append(centre)
    return found
