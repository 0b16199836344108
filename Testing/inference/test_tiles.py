"""Tiles: cut where they should be, few, and averaged right."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.tiles import ProbabilityVolume, gather, gaussian_window


def volume(shape=(4, 200, 150)):
    k, j, i = np.indices(shape)
    return (k * 1000 + j * 3 + i - 900).astype(np.int16)


def test_gather_inside_is_the_slice_and_its_neighbours():
    hu = volume()
    tiles = gather(hu, np.array([[2, 30, 10]]), slices=3)
    assert tiles.dtype == np.int16 and tiles.shape == (1, 3, 128, 128)
    np.testing.assert_array_equal(tiles[0], np.clip(hu[1:4, 30:158, 10:138], -1024, 3071))


def test_gather_repeats_the_end_slices():
    hu = volume()
    first, last = gather(hu, np.array([[0, 0, 0], [3, 0, 0]]), slices=3)
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[2], np.clip(hu[1, :128, :128], -1024, 3071))
    np.testing.assert_array_equal(last[2], last[1])


def test_gather_beyond_the_image_is_air():
    hu = volume()
    tile = gather(hu, np.array([[1, -20, 100]]), slices=1)[0, 0]
    assert (tile[:20] == -1024).all() and (tile[:, 50:] == -1024).all()
    np.testing.assert_array_equal(tile[20:, :50], np.clip(hu[1, :108, 100:], -1024, 3071))
    assert (gather(hu, np.array([[1, 500, 500]]), slices=1) == -1024).all()


def test_gather_clips_padding_and_metal():
    hu = np.array([-32768, 32767], np.int16).repeat(128 * 64).reshape(1, 128, 128)
    tile = gather(hu, np.zeros((1, 3), int), slices=1)
    assert tile.min() == -1024 and tile.max() == 3071


def test_gaussian_window():
    window = gaussian_window(128)
    assert window.shape == (128, 128) and window.max() == pytest.approx(1, abs=0.01)
    # sigma = 128 / 8 = 16 px: one sigma off the middle (63.5) along a row.
    assert window[63, 63 - 16] / window[63, 63] == pytest.approx(np.exp(-0.5 * (16.5**2 - 0.5**2) / 16**2), rel=1e-4)
    assert window.min() > 0
    with pytest.raises(ValueError, match="read-only"):
        window[0, 0] = 2


def test_volume_is_the_weighted_mean_of_its_tiles():
    rng = np.random.default_rng(1)
    volume = ProbabilityVolume((10, 20, 30), (2, 150, 160))
    total, weight = np.zeros((2, 150, 160)), np.zeros((2, 150, 160))
    window = gaussian_window(128)
    for place in ((10, 20, 30), (10, 40, 50), (10, 0, 62), (11, 100, 100)):
        tile = rng.random((128, 128), np.float32)
        volume.add(np.array(place), tile)
        for j in range(128):
            jj = place[1] + j - 20
            if not 0 <= jj < 150:
                continue
            i0, i1 = max(30 - place[2], 0), min(128, 190 - place[2])
            at = slice(place[2] + i0 - 30, place[2] + i1 - 30)
            total[place[0] - 10, jj, at] += tile[j, i0:i1] * window[j, i0:i1]
            weight[place[0] - 10, jj, at] += window[j, i0:i1]
    expected = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    # Half precision keeps three digits, and each further tile rounds once more.
    np.testing.assert_allclose(volume.mean, expected, atol=3e-3)
    np.testing.assert_array_equal(volume.visited, weight > 0)
    full = volume.full((20, 200, 220))
    np.testing.assert_array_equal(full[10:12, 20:170, 30:190], volume.mean)
    assert np.count_nonzero(full) == np.count_nonzero(volume.mean)


def test_tile_outside_of_the_box_is_dropped():
    volume = ProbabilityVolume((0, 0, 0), (1, 50, 50))
    volume.add(np.array([3, 0, 0]), np.ones((128, 128), np.float32))
    volume.add(np.array([0, 60, 0]), np.ones((128, 128), np.float32))
    assert not volume.visited.any()


def test_probabilities_that_half_precision_tells_slowly_become_zero():
    volume = ProbabilityVolume((0, 0, 0), (1, 128, 128))
    tile = np.full((128, 128), 7e-5, np.float32)
    tile[:64] = 5e-5
    volume.add(np.zeros(3, int), tile)
    assert not volume.mean[0, :64].any() and volume.visited.all()
    np.testing.assert_allclose(volume.mean[0, 64:], 7e-5, rtol=1e-3)
