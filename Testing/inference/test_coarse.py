import numpy as np
import pytest

from LungNoduleSegLib.inference.coarse import CoarseEngine, native_px, resized


def test_how_many_pixels_a_coarse_tile_covers():
    assert native_px(128, 0.625, 0.8) == 164  # 128 x 0.8 / 0.625 = 163.8
    assert native_px(128, 0.7, 0.8) == 146
    assert native_px(128, 0.75, 0.8) == 128  # not worth blurring
    assert native_px(128, 0.9, 0.8) == 128
    assert native_px(128, 0.7, 0.0) == 128


def test_resampling_keeps_lines_and_their_place():
    # A ramp over the field of view stays the same ramp; pixel centres lie at (n + 1/2) x size.
    ramp = (np.arange(160) + 0.5)[:, None] * np.ones(160)
    small = resized(ramp, 128)
    inner = np.s_[2:-2]  # the triangle is cut off at the edge
    np.testing.assert_allclose(small[inner, 5], ((np.arange(128) + 0.5) * 160 / 128)[inner], atol=0.05)
    np.testing.assert_allclose(resized(small, 160)[4:-4, 9], ramp[4:-4, 9], atol=0.05)
    np.testing.assert_allclose(resized(np.full((3, 160, 160), -700, np.int16), 128), -700, rtol=1e-6)


def test_nothing_small_falls_between_the_pixels():
    for at in range(40, 60):
        point = np.zeros((160, 160))
        point[at, at] = 1
        assert resized(point, 110).sum() == pytest.approx((110 / 160) ** 2, rel=0.35)
    # Over a whole period of the pixel grid nothing is lost.
    assert resized(np.eye(160)[:, :, None] * np.ones(160), 80).mean() == pytest.approx(1 / 160, rel=1e-5)


class Threshold:
    """Says where a tile is above -400 HU."""

    tile_px, input_slices, batch_size = 128, 3, 5

    def __init__(self):
        self.seen = []

    def predict(self, tiles, *, min_range=None):
        self.seen.append(tiles.shape)
        return (tiles[:, 1] > -400).astype(np.float32)


def test_probabilities_come_back_at_their_place():
    engine = Threshold()
    tiles = np.full((2, 3, 164, 164), -800, np.int16)
    tiles[1, :, 50:62, 100:115] = 50
    coarse = CoarseEngine(engine, 164)
    found = coarse.predict(tiles)
    assert engine.seen == [(2, 3, 128, 128)] and coarse.batch_size == 5 and coarse.input_slices == 3
    assert found.shape == (2, 164, 164) and found.dtype == np.float32 and not found[0].any()
    rows, columns = np.nonzero(found[1] > 0.5)
    assert np.abs([rows.min() - 50, rows.max() - 61, columns.min() - 100, columns.max() - 114]).max() <= 1


def test_a_spike_is_not_smeared():
    tiles = np.full((1, 3, 164, 164), -800, np.int16)
    tiles[0, 1, 80, 80] = 3071
    assert not CoarseEngine(Threshold(), 164).predict(tiles).any()
    assert tiles.max() == 3071


def test_resampling_is_the_product_with_dense_weights():
    """By hand: from four pixels to three, and every plane of a stack on its own."""
    planes = np.arange(32, dtype=np.int16).reshape(2, 1, 4, 4) * 100
    # Middles of the new pixels at 1/6, 3/2 and 17/6 of the old; triangles as wide as a new pixel (4/3 old ones).
    reach = 4 / 3
    old = np.arange(4)
    weights = np.maximum(1 - np.abs(old - np.array([[1 / 6], [3 / 2], [17 / 6]])) / reach, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = np.einsum("aj,ncji,bi->ncab", weights, planes, weights)
    found = resized(planes, 3)
    assert found.dtype == np.float32 and found.shape == (2, 1, 3, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
