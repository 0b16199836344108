"""Single bright voxels go, everything else stays bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.despike import normalise_without_spikes, spikes, without_spikes
from LungNoduleSegLib.inference.normalise import METHODS, Normalisation, normalise


@pytest.fixture
def tile():
    rng = np.random.default_rng(0)
    tile = rng.normal(-850, 20, (128, 128))
    j, i = np.indices(tile.shape)
    tile[(j - 40) ** 2 + (i - 40) ** 2 < 100] = 40
    tile[:, 100:] = 60 + rng.normal(0, 20, (128, 28))
    return np.rint(tile).astype(np.int16)


@pytest.mark.parametrize("method", METHODS)
def test_without_spikes_it_is_plain_normalisation(tile, method):
    normalisation = Normalisation(method)
    np.testing.assert_array_equal(
        normalise_without_spikes(tile[None, None], normalisation), normalise(tile[None, None], normalisation)
    )


@pytest.mark.parametrize("place", [(64, 64), (40, 40), (60, 110), (0, 0), (127, 64), (64, 127), (30, 40)])
def test_a_voxel_of_metal_becomes_its_neighbours_median(tile, place):
    metal = tile.copy()
    metal[place] = 3071
    j, i = place
    around = [
        metal[a, b]
        for a in range(max(j - 1, 0), min(j + 2, 128))
        for b in range(max(i - 1, 0), min(i + 2, 128))
        if (a, b) != place
    ]
    clean = tile.astype(np.float32)
    clean[place] = np.median(around)
    found = normalise_without_spikes(np.stack([metal, tile])[None], Normalisation())
    np.testing.assert_array_equal(found[0, 0], normalise(clean, Normalisation()))
    np.testing.assert_array_equal(found[0, 1], normalise(tile, Normalisation()))
    assert metal[place] == 3071, "the input must not change"
    assert np.abs(found[0, 0] - found[0, 1]).max() < 0.2


def test_lines_and_pairs_are_anatomy():
    tile = np.zeros((1, 16, 16), np.float32)
    tile[0, 4, 2:12] = 1  # a vessel of one pixel
    tile[0, 9, 9] = tile[0, 10, 10] = 1  # two pixels that touch
    assert len(spikes(tile)[0]) == 0
    tile[0, 13, 3] = 1
    at, near = spikes(tile)
    assert at.tolist() == [[0, 13, 3]] and near.shape == (1, 8, 3)
    assert len(spikes(np.minimum(tile, 0.29))[0]) == 0


def test_gain_and_offset_do_not_matter(tile):
    metal = tile.copy()
    metal[64, 64] = 500
    grey = (metal.astype(np.float64) + 1000) / 10
    a = normalise_without_spikes(metal, Normalisation())
    b = normalise_without_spikes(grey, Normalisation(), min_range=1)
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_spikes_go_before_tiles_are_resampled():
    rng = np.random.default_rng(0)
    tiles = rng.integers(-900, -700, (2, 3, 64, 64)).astype(np.int16)
    tiles[:, :, 20:40, 20:40] = 40
    metal = tiles.copy()
    metal[1, 2, 50, 10] = 3071
    clean = without_spikes(metal, Normalisation())
    assert np.array_equal(clean[0], tiles[0])
    changed = clean != metal
    assert np.argwhere(changed).tolist() == [[1, 2, 50, 10]]
    around = np.delete(metal[1, 2, 49:52, 9:12].ravel(), 4)
    assert clean[1, 2, 50, 10] == np.median(around)
    assert without_spikes(tiles, Normalisation()) is tiles
    assert metal[1, 2, 50, 10] == 3071
