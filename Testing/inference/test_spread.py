"""How far the views disagree: by hand on a slab, and through a whole search with an engine that knows its views."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.slab import Slab
from LungNoduleSegLib.inference.spread import SpreadBox, spread_volume
from LungNoduleSegLib.inference.views import VIEWS
from LungNoduleSegLib.inference.whole_ct import search
from Testing.inference.phantom import OracleEngine, ball_mask, thorax
from Testing.inference.test_orientation import turned

ONE_SCALE = SearchSettings(coarse_pixel_mm=0.0)
"""Larger pixels blend the ball's edge with the lung, and the views then disagree there by themselves."""

BALL = (12, 110, 60, 5.0, 40)
SAID = (0.9, 0.7, 0.8, 0.6)
SPREAD = 0.1118034
"""Of SAID: their mean is .75, the squares .0225, .0025, .0025, .0225, and the root of their mean .0125."""


class KnowsItsViews(OracleEngine):
    """Says of the ball what SAID has for the view; which one it is follows from where the ball lies in the tile."""

    def __init__(self, said=SAID):
        super().__init__(border=0)
        self.said = said
        self.places = []
        for view in VIEWS[: len(said)]:
            tile = np.zeros((128, 128))
            tile[64 - view.shift[0], 64 - view.shift[1]] = 1
            self.places.append(np.argwhere(view.apply(tile))[0])

    def predict(self, tiles, *, min_range=None):
        self.tiles += len(tiles)
        middle = np.asarray(tiles)[:, 1]
        seen = (middle >= 0) & (middle <= 99)
        out = np.zeros(middle.shape, np.float32)
        for n, mask in enumerate(seen):
            if mask.any():
                far = np.abs(np.argwhere(mask).mean(axis=0) - self.places).max(axis=1)
                out[n][mask] = self.said[far.argmin()] if far.min() < 3 else self.said[0]
        return out


@pytest.fixture(scope="module")
def scene():
    return thorax(balls=[BALL])


@pytest.fixture(scope="module")
def found(scene):
    ct, lung = scene
    return search(KnowsItsViews(), ct, ONE_SCALE, lung=lung, uncertainty=True)


def test_spread_of_a_slab_by_hand():
    nan = np.nan
    views = np.array([[0.2, 0.5, nan, 0.4], [0.6, 0.5, nan, nan], [1.0, nan, nan, nan]], np.float32)
    spread = Slab((0, 0, 0), views.reshape(3, 1, 1, 4)).spread.ravel()
    # .2 .6 1.0: squares .16 0 .16, their mean .106667; .5 twice: 0; none and one: nothing to compare.
    np.testing.assert_allclose(spread, [0.326599, 0, nan, nan], atol=1e-6)
    assert np.isnan(Slab((0, 0, 0), views[:1].reshape(1, 1, 1, 4)).spread).all()


def test_boxes_make_a_volume():
    one = SpreadBox((0, 0, 1), np.array([[[0.25, np.nan]]], np.float16))
    other = SpreadBox((0, 0, 2), np.array([[[0.5], [0.125]]], np.float16))
    volume = spread_volume([one, other, SpreadBox((0, 0, 1), np.array([[[0.125]]], np.float16))], (1, 2, 4))
    assert volume.dtype == np.float16
    np.testing.assert_array_equal(volume[0], [[np.nan, 0.25, 0.5, np.nan], [np.nan, np.nan, 0.125, np.nan]])


def test_known_disagreement_is_found_in_the_ball_and_none_beside_it(scene, found):
    ct, _ = scene
    assert len(found.candidates) == 1
    volume = spread_volume(found.spread, ct.shape)
    ball = ball_mask(ct, *BALL[:4])
    np.testing.assert_allclose(volume[ball].astype(float), SPREAD, atol=1e-4)
    beside = ~ball & ~np.isnan(volume)
    assert beside.sum() > 10_000 and (volume[beside] == 0).all()
    # The slices of the ball, as far as two tiles of 128 px reach that are moved by up to 16: no other voxel.
    k, j, i = np.nonzero(~np.isnan(volume))
    slices = np.flatnonzero(ball.any(axis=(1, 2)))
    assert (k.min(), k.max()) == (slices[0], slices[-1])
    assert j.min() >= 110 - 64 - 16 and j.max() <= 110 + 64 + 16 and i.max() <= 60 + 64 + 16


def test_views_that_agree_give_zero(scene):
    ct, lung = scene
    found = search(KnowsItsViews((0.9,) * 4), ct, ONE_SCALE, lung=lung, uncertainty=True)
    volume = spread_volume(found.spread, ct.shape)
    assert (volume[ball_mask(ct, *BALL[:4])] == 0).all() and np.nanmax(volume) == 0


def test_one_view_has_nothing_to_compare(scene):
    ct, lung = scene
    found = search(KnowsItsViews(), ct, SearchSettings(views=1, coarse_pixel_mm=0.0), lung=lung, uncertainty=True)
    assert len(found.candidates) == 1 and np.isnan(spread_volume(found.spread, ct.shape)).all()


def test_it_costs_no_prediction_and_without_it_nothing_is_kept(scene, found):
    ct, lung = scene
    plain = search(KnowsItsViews(), ct, ONE_SCALE, lung=lung)
    assert plain.spread is None and plain.counts == found.counts
    for a, b in zip(plain.candidates, found.candidates, strict=True):
        assert a.probability == b.probability and a.offset_kji == b.offset_kji and np.array_equal(a.mask, b.mask)


@pytest.mark.parametrize("order_flips", [((1, 0, 2), (False, True, False)), ((2, 1, 0), (True, False, True))])
def test_another_orientation_gives_the_same_volume(scene, found, order_flips):
    ct, lung = scene
    order, flips = order_flips
    other = turned(ct, order, flips)
    back = tuple(slice(None, None, -1) if f else slice(None) for f in flips)
    again = search(KnowsItsViews(), other, ONE_SCALE, lung=lung.transpose(order)[back], uncertainty=True)
    expected = spread_volume(found.spread, ct.shape).transpose(order)[back]
    np.testing.assert_array_equal(spread_volume(again.spread, other.shape), expected)
