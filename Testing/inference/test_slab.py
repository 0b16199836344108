"""Stacks of slices from crops centred on a place."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.grow import SlabCache
from LungNoduleSegLib.inference.slab import inside, predict_slab, predict_views
from LungNoduleSegLib.inference.views import PLAIN, VIEWS
from Testing.inference.phantom import OracleEngine, thorax

BALL = (12, 100, 60, 5.0, 50)


@pytest.fixture(scope="module")
def ct():
    return thorax(balls=[BALL])[0]


def seen(ct):
    """What an oracle without borders gives for the whole CT."""
    hu = ct.hu.astype(float)
    return 0.95 * np.exp(-np.maximum(np.maximum(-hu, hu - 99), 0) / 60)


def test_views_come_back_where_they_were(ct):
    engine = OracleEngine(border=1)
    places = np.array([(12, 40, 0)] * len(VIEWS))
    found = predict_views(engine, ct.hu, places, list(VIEWS))
    truth = seen(ct)[12]
    for view, probability in zip(VIEWS, found):
        j, i = 40 + view.shift[0], 0 + view.shift[1]
        i0 = max(i, 0)
        np.testing.assert_allclose(
            probability[1:-1, i0 - i + 1 : -1], truth[j + 1 : j + 127, i0 + 1 : i + 127], atol=1e-5
        )


def test_slab_is_centred(ct, oracle):
    slab = predict_slab(oracle, ct.hu, range(10, 15), (100, 60))
    assert slab.offset_kji == (10, 100 - 64, 60 - 64) and slab.by_view.shape == (1, 5, 128, 128)
    # Column 60 - 64 = -4: what lies outside of the image is nothing.
    assert (slab.mean[:, :, :4] == 0).all()
    np.testing.assert_allclose(slab.mean[2, 4:-4, 10:-4], seen(ct)[12, 40:160, 6:120], atol=1e-5)


def test_mean_is_taken_over_the_views_that_reached(ct, oracle):
    slab = predict_slab(oracle, ct.hu, range(12, 13), (100, 80), views=VIEWS[:3])
    shifted = VIEWS[1].shift
    assert np.isnan(slab.by_view[1][:, : shifted[0]]).all() and not np.isnan(slab.by_view[0]).any()
    assert not np.isnan(slab.mean).any()
    np.testing.assert_allclose(slab.mean[0, 30:-30, 30:-30], seen(ct)[12, 66:134, 46:114], atol=1e-5)


def test_large_extents_take_several_tiles(ct, oracle):
    slab = predict_slab(oracle, ct.hu, range(12, 13), (100, 100), extent_px=(40, 150))
    assert slab.by_view.shape[2] == 128 and slab.by_view.shape[3] >= 128 + 90
    j, i = slab.offset_kji[1:]
    # The oracle is blind on four pixels at each border; between the tiles their weights make that invisible.
    width = slab.by_view.shape[3]
    expected = np.pad(seen(ct)[12], 200)[200 + j : 328 + j, 200 + i : 200 + i + width]
    np.testing.assert_allclose(slab.mean[0, 8:-8, 8:-8], expected[8:-8, 8:-8], atol=0.02)


def test_cache_predicts_each_slice_once(ct):
    engine = OracleEngine()
    cache = SlabCache(engine, ct.hu, (100, 80), (PLAIN,))
    cache.get(range(10, 13))
    assert engine.tiles == 3
    slab = cache.get(range(8, 15))
    assert engine.tiles == 7 and slab.offset_kji[0] == 8
    np.testing.assert_array_equal(
        slab.mean, predict_slab(OracleEngine(), ct.hu, range(8, 15), (100, 80)).mean
    )
    assert cache.get(range(-5, 12)).offset_kji[0] == 0
    assert engine.tiles == 15


def test_inside_cuts_at_the_image():
    mask = np.arange(27).reshape(3, 3, 3)
    offset, part = inside((10, 10, 10), (0, -1, 8), mask)
    assert offset == (0, 0, 8)
    np.testing.assert_array_equal(part, mask[:, 1:, :2])
