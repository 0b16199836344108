"""A thorax without a patient, and an engine that sees by HU alone."""

from __future__ import annotations

import numpy as np

from LungNoduleSegLib.ct import CT

NODULE_HU = (0, 99)
"""What the oracle calls nodule; the thorax has its wall at 300 HU."""


class OracleEngine:
    """Probability from HU alone: high between 0 and 99 HU, soft at the flanks, blind at the border of a tile."""

    def __init__(self, *, input_slices: int = 3, batch_size: int = 8, border: int = 4):
        self.input_slices, self.tile_px, self.batch_size, self.border = input_slices, 128, batch_size, border
        self.tiles = 0

    def predict(self, tiles, *, min_range=None):
        tiles = np.asarray(tiles)
        assert tiles.shape[1:] == (self.input_slices, 128, 128) and len(tiles) <= self.batch_size
        self.tiles += len(tiles)
        middle = tiles[:, self.input_slices // 2].astype(np.float32)
        away = np.maximum(np.maximum(NODULE_HU[0] - middle, middle - NODULE_HU[1]), 0)
        probability = 0.95 * np.exp(-away / 60.0)
        edge = np.zeros((128, 128), np.float32)
        edge[self.border : -self.border, self.border : -self.border] = 1
        return (probability * edge).astype(np.float32)


def thorax(shape=(40, 220, 220), spacing=(2.5, 0.8, 0.8), balls=(), vessels=(), **options):
    """A wall of 300 HU around two lungs of -850 HU.

    balls: (k, j, i, radius mm, HU); vessels: (j, i, half width px, HU), along k.
    """
    rng = np.random.default_rng(0)
    hu = np.full(shape, 300, np.int16)
    k, j, i = np.indices(shape, sparse=True)
    lung = np.zeros(shape, bool)
    for middle in (shape[2] * 0.28, shape[2] * 0.72):
        lung |= ((j - shape[1] / 2) / (shape[1] * 0.4)) ** 2 + ((i - middle) / (shape[2] * 0.19)) ** 2 < 1
    lung &= (k >= 3) & (k < shape[0] - 3)
    hu[lung] = -850
    hu = (hu + rng.integers(-15, 16, shape)).astype(np.int16)
    for j0, i0, half, value in vessels:
        hu[(abs(j - j0) <= half) & (abs(i - i0) <= half) & lung] = value
    for k0, j0, i0, radius, value in balls:
        far = np.sqrt(
            ((k - k0) * spacing[0]) ** 2 + ((j - j0) * spacing[1]) ** 2 + ((i - i0) * spacing[2]) ** 2
        )
        hu[far <= radius] = value
    return CT.from_array(hu, spacing_mm=spacing, **options), lung


def ball_mask(ct, k0, j0, i0, radius):
    """bool [k, j, i] of a ball in mm on the grid of a CT."""
    k, j, i = np.indices(ct.shape, sparse=True)
    dk, dj, di = ct.spacing_mm
    return np.sqrt(((k - k0) * dk) ** 2 + ((j - j0) * dj) ** 2 + ((i - i0) * di) ** 2) <= radius


def dice(a, b):
    """Dice of two bool arrays."""
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def on_grid(ct, region):
    """bool [k, j, i]: the mask of a clicked region on the CT's grid."""
    mask = np.zeros(ct.shape, bool)
    mask[tuple(slice(o, o + n) for o, n in zip(region.offset_kji, region.mask.shape))] = region.mask
    return mask
