"""False positives of the network so far, in the training scans."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from training.data.scans import TrainingScan

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
            for j in range(TILE_PX // 2, scan.hu.shape[1] + STRIDE_PX // 2, STRIDE_PX)
            for i in range(TILE_PX // 2, scan.hu.shape[2] + STRIDE_PX // 2, STRIDE_PX)
            if scan.lung[k, max(j - 64, 0) : j + 64, max(i - 64, 0) : i + 64].any()
        ]
        if not places:
            continue
        tiles = np.stack([scan.tile(place, TILE_PX, slices)[0] for place in places])
        batch = torch.from_numpy(normalise(tiles, normalisation)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None):
            probability = torch.sigmoid(network(batch).float())[:, 0].numpy()
        for place, tile in zip(places, probability):
            found += _false_components(scan, place, tile)
    return np.array(sorted(set(found)), dtype=np.int64).reshape(-1, 3)


def _false_components(scan: TrainingScan, place: tuple[int, int, int], tile: np.ndarray) -> list[tuple[int, int, int]]:
    k, j, i = place
    height, width = scan.hu.shape[1:]
    first_j = min(max(j - TILE_PX // 2, 0), max(height - TILE_PX, 0))
    first_i = min(max(i - TILE_PX // 2, 0), max(width - TILE_PX, 0))
    part = tile[: height - first_j, : width - first_i]
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
