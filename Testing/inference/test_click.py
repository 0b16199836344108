"""Clicks: the nodule at a point, wherever in it the point lies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from LungNoduleSegLib.errors import Cancelled
from LungNoduleSegLib.inference.click import combine, segment_seed
from LungNoduleSegLib.inference.click_settings import ClickSettings
from LungNoduleSegLib.inference.monitor import Monitor
from Testing.inference.phantom import OracleEngine, ball_mask, dice, on_grid, thorax

ROUND = (12, 100, 60, 6.0, 50)
SMALL = (20, 150, 65, 2.2, 40)
NEAR_WALL = (25, 90, 160, 5.0, 50)


@pytest.fixture(scope="module")
def ct():
    return thorax(balls=[ROUND, SMALL, NEAR_WALL])[0]


def clicked(ct, positive, negative=(), engine=None):
    engine = engine or OracleEngine()
    regions = [segment_seed(engine, ct, p) for p in sorted(positive)]
    return on_grid(ct, combine(ct, regions, sorted(positive), sorted(negative)))


@pytest.mark.parametrize("ball", [ROUND, SMALL, NEAR_WALL])
def test_the_nodule_at_the_point(ct, ball):
    mask = clicked(ct, [ball[:3]])
    assert dice(mask, ball_mask(ct, *ball[:4])) > 0.97


def test_five_seeds_in_a_nodule_give_the_same(ct):
    truth = ball_mask(ct, *ROUND[:4])
    seeds = [(12, 100, 60), (12, 94, 60), (12, 100, 66), (14, 100, 60), (10, 102, 58)]
    assert all(truth[s] for s in seeds)
    masks = [clicked(ct, [s]) for s in seeds]
    dices = [dice(m, truth) for m in masks]
    assert dices[0] - min(dices) <= 0.05
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])


def test_a_point_beside_a_nodule_takes_it_and_is_inside(ct):
    seed = (20, 150, 69)  # 3.2 mm off the centre, 1 mm off the surface
    region = segment_seed(OracleEngine(), ct, seed)
    mask = on_grid(ct, region)
    assert mask[seed] and "nearest" in region.warning
    assert dice(mask, ball_mask(ct, *SMALL[:4])) > 0.9


def test_a_point_where_nothing_is_seen_gives_a_small_region_and_says_so(ct):
    for seed in ((12, 40, 60), (2, 100, 60), (0, 0, 0)):
        region = segment_seed(OracleEngine(), ct, seed)
        mask = on_grid(ct, region)
        assert mask[seed] and region.grown is None and "sees no nodule" in region.warning
        assert mask.sum() * np.prod(ct.spacing_mm) <= 4 / 3 * np.pi * 3.0**3


def test_a_structure_that_the_network_does_not_see_is_taken_by_its_hu():
    ct, _ = thorax(balls=[(12, 100, 60, 4.0, 140)])
    blind = OracleEngine()
    blind.predict = lambda tiles, min_range=None: np.zeros((len(tiles), 128, 128), np.float32)
    region = segment_seed(blind, ct, (12, 100, 60))
    assert dice(on_grid(ct, region), ball_mask(ct, 12, 100, 60, 4.0)) > 0.9 and region.grown is None


def test_a_cavity_that_the_network_does_not_see():
    ct, _ = thorax(balls=[(12, 100, 60, 7.0, 50), (12, 100, 60, 4.0, -900)])
    blind = OracleEngine()
    blind.predict = lambda tiles, min_range=None: np.zeros((len(tiles), 128, 128), np.float32)
    region = segment_seed(blind, ct, (12, 100, 60))
    assert dice(on_grid(ct, region), ball_mask(ct, 12, 100, 60, 7.0)) > 0.9 and "sees no nodule" in region.warning


@pytest.mark.parametrize("gap", [0, 3])
def test_the_centre_of_a_cavity_counts_for_the_nodule_around_it(gap):
    ct, _ = thorax(balls=[(12, 100, 60, 10.0, 50), (12, 100, 60, 5.0, -900)])
    hu = ct.hu.copy()
    if gap:  # a hole in the wall, of some pixels, towards the pleura
        hu[8:17, 99 : 99 + gap, 40:60] = -900
        ct = type(ct).from_array(hu, ijk_to_ras=ct.ijk_to_ras)
    truth = ball_mask(ct, 12, 100, 60, 10.0)
    engine = OracleEngine()
    in_air = segment_seed(engine, ct, (12, 100, 64) if gap == 0 else (12, 100, 56))
    mask = on_grid(ct, in_air)
    assert mask[12, 100, 60]
    assert dice(mask, truth) > 0.9


def test_a_nodule_larger_than_a_tile_can_judge():
    ct, _ = thorax(shape=(40, 260, 420), balls=[(20, 130, 110, 32.0, 50)])
    truth = ball_mask(ct, 20, 130, 110, 32.0)  # 80 px wide
    engine = OracleEngine(border=26)  # sees only the inner 76 px of a tile
    mask = clicked(ct, [(20, 130, 110)], engine=engine)
    assert dice(mask, truth) > 0.97


def test_further_clicks_hold_their_points_and_leave_the_rest_alone():
    vessel_end = (20, 100, 60)
    ct, _ = thorax(balls=[ROUND], vessels=[(100, 60, 1, 60)])
    one = clicked(ct, [ROUND[:3]])
    assert one[vessel_end], "the vessel of the phantom must be taken for nodule, or this test shows nothing"
    two = clicked(ct, [ROUND[:3]], [vessel_end])
    assert not two[vessel_end] and two[ROUND[:3]]
    truth = ball_mask(ct, *ROUND[:4])
    assert dice(two, truth) > dice(one, truth)
    assert not (two & ~one).any()
    np.testing.assert_array_equal(two & truth, one & truth)


def test_a_further_positive_point_only_adds(ct):
    one = clicked(ct, [ROUND[:3]])
    both = clicked(ct, [ROUND[:3], SMALL[:3]])
    np.testing.assert_array_equal(both & one, one)
    np.testing.assert_array_equal(both, one | clicked(ct, [SMALL[:3]]))


def test_the_order_of_clicks_does_not_matter():
    ct, _ = thorax(balls=[ROUND], vessels=[(100, 60, 1, 60)])
    points = [((12, 100, 60), True), ((20, 100, 60), False), ((4, 100, 60), False), ((14, 101, 61), True)]
    masks = []
    engine = OracleEngine()
    known = {p: segment_seed(engine, ct, p) for p, sign in points if sign}
    for order in itertools.islice(itertools.permutations(points), 0, 24, 7):
        positive = [p for p, sign in order if sign]
        negative = [p for p, sign in order if not sign]
        regions = [known[p] for p in positive]
        masks.append(on_grid(ct, combine(ct, regions, positive, negative)))
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])
    assert masks[0][12, 100, 60] and masks[0][14, 101, 61]
    assert not masks[0][20, 100, 60] and not masks[0][4, 100, 60]


def test_a_click_costs_few_tiles(ct):
    engine = OracleEngine()
    segment_seed(engine, ct, ROUND[:3])
    assert engine.tiles <= 45


def test_a_click_can_be_cancelled(ct):
    with pytest.raises(Cancelled):
        segment_seed(OracleEngine(), ct, ROUND[:3], None, Monitor(None, lambda: True))


@pytest.mark.parametrize("change", [{"thresholds": ()}, {"thresholds": (1.5,)}, {"views": 0}, {"grid_px": 0}])
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match="Expected"):
        ClickSettings(**change)
