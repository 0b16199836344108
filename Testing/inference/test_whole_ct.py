"""A whole CT: everything that is there, once, where it is, and nothing else."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import Cancelled, InputError
from LungNoduleSegLib.inference import outline
from LungNoduleSegLib.inference.ahead import AHEAD
from LungNoduleSegLib.inference.candidate import overlap
from LungNoduleSegLib.inference.components import Component, components
from LungNoduleSegLib.inference.described import component_features
from LungNoduleSegLib.inference.features import FEATURES
from LungNoduleSegLib.inference.passes import first_places, second_places
from LungNoduleSegLib.inference.scorer import CandidateScorer
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.tiles import ProbabilityVolume
from LungNoduleSegLib.inference.whole_ct import find_candidates, roi_box, search
from Testing.inference.phantom import OracleEngine, ball_mask, dice, thorax
from Testing.inference.test_orientation import turned

BALLS = [(12, 110, 60, 4.0, 40), (25, 90, 160, 6.0, 50), (20, 150, 65, 2.5, 40)]


@pytest.fixture(scope="module")
def scene():
    return thorax(balls=BALLS)


@pytest.fixture(scope="module")
def found(scene):
    ct, lung = scene
    return search(OracleEngine(), ct, lung=lung)


def match(ct, candidates, ball):
    truth = ball_mask(ct, *ball[:4])
    best = 0.0
    for candidate in candidates:
        mask = np.zeros(ct.shape, bool)
        mask[candidate.box] = candidate.mask
        best = max(best, dice(mask, truth))
    return best


def test_every_ball_once(scene, found):
    ct, _ = scene
    assert len(found.candidates) == 3
    for ball in BALLS:
        assert match(ct, found.candidates, ball) > 0.97
    probabilities = [c.probability for c in found.candidates]
    assert probabilities == sorted(probabilities, reverse=True)
    largest = found.candidates[0]
    assert largest.diameter_mm == pytest.approx(12, rel=0.05)
    np.testing.assert_allclose(largest.centroid_ras, ct.kji_to_ras(BALLS[1][:3]), atol=0.5)
    assert set(largest.features) == set(FEATURES)


def test_probability_covers_the_balls_and_stays_in_the_lungs_box(scene, found):
    ct, lung = scene
    probability = found.probability()
    assert probability.dtype == np.float16 and probability.shape == ct.shape
    for ball in BALLS:
        assert probability[ball_mask(ct, *ball[:4])].mean() > 0.9
    k = np.flatnonzero(lung.any(axis=(1, 2)))
    assert not probability[: k[0]].any() and not probability[k[-1] + 1 :].any()
    assert found.best_probability == pytest.approx(0.95, abs=1e-3)
    at = np.rint(ct.ras_to_kji(found.best_ras)).astype(int)
    assert probability[tuple(at)] == pytest.approx(found.best_probability, abs=1e-3)


def test_it_is_sparse(scene):
    ct, lung = scene
    every_tile = ct.shape[0] * 3 * 3  # 220 px at a stride of 64
    found = search(OracleEngine(), ct, SearchSettings(coarse_pixel_mm=0.0), lung=lung)
    assert found.counts["first_tiles"] + found.counts["second_tiles"] < 0.7 * every_tile


def test_an_empty_lung_gives_nothing_and_says_how_sure(scene):
    _, lung = scene
    ct, _ = thorax()
    result = search(OracleEngine(), ct, lung=lung)
    assert result.candidates == [] and result.best_probability < 0.95


def test_nothing_outside_of_the_lungs():
    ct, lung = thorax(balls=[(12, 8, 110, 5.0, 50), BALLS[0]])
    result = search(OracleEngine(), ct, lung=lung)
    assert len(result.candidates) == 1


def test_a_region_of_interest_limits_the_search(scene):
    ct, lung = scene
    middle = ct.kji_to_ras(BALLS[1][:3])
    roi = (tuple(middle - 12), tuple(middle + 12))
    engine = OracleEngine()
    result = search(engine, ct, lung=lung, roi=roi)
    assert len(result.candidates) == 1 and match(ct, result.candidates, BALLS[1]) > 0.97
    with pytest.raises(InputError, match="holds no lung"):
        corner = ct.kji_to_ras((1, 1, 1))
        search(engine, ct, lung=lung, roi=(tuple(corner - 1), tuple(corner + 1)))
    with pytest.raises(InputError, match="outside of the CT"):
        search(engine, ct, lung=lung, roi=((900.0, 900.0, 900.0), (950.0, 950.0, 950.0)))
    with pytest.raises(InputError, match="two RAS corners"):
        search(engine, ct, lung=lung, roi=(1, 2, 3))


def test_region_of_interest_by_hand():
    ct = CT.from_array(np.zeros((10, 20, 30), np.int16), spacing_mm=(2.0, 1.0, 0.5))
    # i = -x / 0.5, j = -y, k = z / 2: x -4..-2.2 is i 4.4..8, y -7..-3 is j 3..7, z 3..9 is k 1.5..4.5.
    assert roi_box(ct, ((-2.2, -7.0, 9.0), (-4.0, -3.0, 3.0))) == (slice(2, 5), slice(3, 8), slice(5, 9))


def test_masks_that_do_not_fit(scene):
    ct, lung = scene
    with pytest.raises(InputError, match="shape"):
        search(OracleEngine(), ct, lung=lung[1:])
    with pytest.raises(InputError, match="no lung"):
        search(OracleEngine(), ct, lung=np.zeros(ct.shape, bool))


@pytest.mark.parametrize("order_flips", [((1, 0, 2), (False, True, False)), ((2, 1, 0), (True, False, True))])
def test_another_orientation_gives_the_same_nodules(scene, found, order_flips):
    ct, lung = scene
    order, flips = order_flips
    other = turned(ct, order, flips)
    other_lung = lung.transpose(order)[tuple(slice(None, None, -1) if f else slice(None) for f in flips)]
    result = search(OracleEngine(), other, lung=other_lung)
    assert len(result.candidates) == len(found.candidates)
    for a, b in zip(result.candidates, found.candidates):
        np.testing.assert_allclose(a.centroid_ras, b.centroid_ras, atol=1e-6)
        assert a.probability == pytest.approx(b.probability) and a.mask.sum() == b.mask.sum()
        kji = np.argwhere(a.mask) + a.offset_kji
        np.testing.assert_allclose(other.kji_to_ras(kji.mean(axis=0)), a.centroid_ras, atol=1e-6)
    assert result.probability().shape == other.shape


def test_cancel_stops_within_the_outlining_of_one_candidate(scene):
    ct, lung = scene

    class Counting(OracleEngine):
        batches, last, asked = 0, np.inf, threading.Event()

        def predict(self, tiles, **options):
            self.batches += 1
            if self.batches > self.last:
                assert self.asked.wait(30)  # as a batch that takes its time
            return super().predict(tiles, **options)

    whole, stages = Counting(batch_size=1), []
    search(whole, ct, lung=lung, progress=lambda f, m: stages.append((m, whole.batches)))
    begun = next(batches for message, batches in stages if message == "Outlining candidates")
    assert whole.batches > begun + 20
    engine = Counting(batch_size=1)
    engine.last = begun + 2

    def cancel():
        if engine.batches > engine.last:
            engine.asked.set()
        return engine.asked.is_set()

    with pytest.raises(Cancelled):
        search(engine, ct, lung=lung, cancel=cancel)
    assert engine.batches <= begun + 2 + 3 * AHEAD


def test_progress_rises_to_one_and_cancel_stops_at_the_next_batch(scene):
    ct, lung = scene
    seen = []
    search(OracleEngine(), ct, lung=lung, progress=lambda f, m: seen.append((f, m)))
    fractions = [f for f, _ in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] == 1.0
    assert len({m for _, m in seen}) >= 4 and len(seen) > 15
    engine = OracleEngine()
    with pytest.raises(Cancelled):
        search(engine, ct, lung=lung, cancel=lambda: engine.tiles >= 24)
    assert engine.tiles <= 24 + engine.batch_size


def test_a_scorer_gives_the_probability(scene, found):
    ct, lung = scene
    small_first = CandidateScorer(("diameter_mm",), (8.0,), (2.0,), (-1.0,), 0.0)
    candidates = find_candidates(OracleEngine(), ct, lung=lung, scorer=small_first)
    diameters = [c.diameter_mm for c in candidates]
    assert diameters == sorted(diameters) and len(diameters) == 3
    assert candidates[0].probability == pytest.approx(small_first(candidates[0].features))


def test_what_no_threshold_would_report_is_seen_once_only(scene):
    ct, lung = scene
    large_only = CandidateScorer(("diameter_mm",), (8.0,), (1.0,), (2.5,), 0.0)  # 5 mm: .0006, 8 mm: .5, 12 mm: 1
    settings = SearchSettings(coarse_pixel_mm=0.0, least_screened=0.0)
    result, everything = (
        search(OracleEngine(), ct, replace(settings, least_probability=least), lung=lung, scorer=large_only)
        for least in (settings.least_probability, 0.0)
    )
    assert [round(c.diameter_mm) for c in result.candidates] == [12, 8]
    assert len(everything.candidates) == 3
    assert result.counts["candidate_tiles"] < everything.counts["candidate_tiles"]


def test_what_a_scorer_sees_through_at_once_is_not_outlined(scene):
    ct, lung = scene
    large_only = CandidateScorer(("diameter_mm",), (8.0,), (1.0,), (2.5,), 0.0)  # 5 mm: .0006, 8 mm: .5, 12 mm: 1
    settings = SearchSettings(coarse_pixel_mm=0.0)
    result, everything, plain = (
        search(OracleEngine(), ct, replace(settings, least_screened=least), lung=lung, scorer=scorer)
        for least, scorer in ((settings.least_screened, large_only), (0.0, large_only), (settings.least_screened, None))
    )
    assert [round(c.diameter_mm) for c in result.candidates] == [12, 8]
    assert [c.probability for c in result.candidates] == [c.probability for c in everything.candidates]
    assert (result.counts["screened"], everything.counts["screened"], plain.counts["screened"]) == (2, 3, 3)
    assert result.counts["candidate_tiles"] < everything.counts["candidate_tiles"]


def test_a_component_has_the_features_of_what_grows_from_it():
    ct, _ = thorax(balls=BALLS)
    k, j, i, radius, _ = BALLS[1]
    ball = np.argwhere(ball_mask(ct, k, j, i, radius + 1.0))
    inner = ball_mask(ct, k, j, i, radius)[tuple(ball.T)]
    component = Component(ball, np.where(inner, 0.9, 0.2).astype(np.float32))
    features = component_features(ct, component, [0.9, 0.5], threshold=0.45)
    assert set(features) == set(FEATURES)
    assert features["peak"] == pytest.approx(0.9)
    assert features["coarse_mean"] == pytest.approx(0.2 + 0.7 * inner.mean())
    assert features["view_mean"] == pytest.approx(0.7) and features["view_low"] == pytest.approx(0.58)
    assert features["diameter_mm"] == pytest.approx(2 * radius, rel=0.05)
    assert features["mean_hu"] == pytest.approx(BALLS[1][4], abs=1)


def test_small_pixels_are_enlarged_for_the_first_pass():
    balls = [(12, 150, 80, 4.0, 40), (25, 120, 220, 6.0, 50)]
    ct, lung = thorax(shape=(32, 300, 300), spacing=(2.5, 0.55, 0.55), balls=balls)
    coarse = search(OracleEngine(), ct, SearchSettings(coarse_pixel_mm=0.0), lung=lung)
    native = search(OracleEngine(), ct, SearchSettings(first_pixel_mm=0.0, coarse_pixel_mm=0.0), lung=lung)
    assert coarse.counts["first_tiles"] < 0.75 * native.counts["first_tiles"]
    for result in (coarse, native):
        assert len(result.candidates) == 2 and all(match(ct, result.candidates, ball) > 0.95 for ball in balls)


class SmallOnly(OracleEngine):
    """Sees nothing that is wider than 20 of its own pixels, as networks do that were shown small nodules."""

    def predict(self, tiles, *, min_range=None):
        probability = super().predict(tiles, min_range=min_range)
        for plane in probability:
            labels, _ = ndimage.label(plane > 0.3)
            for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
                if max(rows.stop - rows.start, columns.stop - columns.start) > 20:
                    plane[labels == number] = 0
        return probability


def test_larger_pixels_show_what_is_too_large_for_the_network():
    large, small = (12, 110, 60, 10.0, 40), (25, 90, 160, 3.0, 50)  # 25 and 7.5 pixels of .8 mm
    ct, lung = thorax(balls=[large, small])
    assert match(ct, search(SmallOnly(), ct, SearchSettings(coarse_pixel_mm=0.0), lung=lung).candidates, large) < 0.5
    result = search(SmallOnly(), ct, lung=lung)
    assert match(ct, result.candidates, large) > 0.9 and match(ct, result.candidates, small) > 0.85
    assert all(overlap(a, b) == 0 for a in result.candidates for b in result.candidates if a is not b)
    probability = result.probability()
    assert probability[ball_mask(ct, *large[:4])].mean() > 0.8 and probability[ball_mask(ct, *small[:4])].mean() > 0.8


def test_what_was_outlined_is_not_outlined_at_larger_pixels_again(monkeypatch):
    ct, lung = thorax(balls=[(12, 110, 60, 6.0, 40), (25, 90, 160, 5.0, 50)])
    once = search(OracleEngine(), ct, lung=lung)
    monkeypatch.setattr("LungNoduleSegLib.inference.outline.SURE", 1.1)
    twice = search(OracleEngine(), ct, lung=lung)
    assert once.counts["screened"] == twice.counts["screened"]
    assert once.counts["candidate_tiles"] < twice.counts["candidate_tiles"]
    for ball in ((12, 110, 60, 6.0, 40), (25, 90, 160, 5.0, 50)):
        assert match(ct, once.candidates, ball) > 0.9


def test_large_pixels_are_searched_once():
    ct, lung = thorax(spacing=(2.5, 1.1, 1.1), balls=[(12, 110, 60, 6.0, 40)])
    once = search(OracleEngine(), ct, SearchSettings(coarse_pixel_mm=0.0), lung=lung)
    assert search(OracleEngine(), ct, lung=lung).counts == once.counts


def test_the_rim_of_our_own_lung_mask_needs_no_tiles(monkeypatch):
    ct, lung = thorax(balls=[BALLS[0], BALLS[2]])
    lung[:] = False
    lung[2:30, 60:160, 20:136] = True  # 116 px: a tile's core of 112 holds it without its rim only
    monkeypatch.setattr("LungNoduleSegLib.ct.lung_mask", lambda _: lung)
    once = SearchSettings(coarse_pixel_mm=0.0)
    own, given = (search(OracleEngine(), ct, once, lung=mask) for mask in (None, lung))
    assert own.counts["first_tiles"] < given.counts["first_tiles"]
    assert all(match(ct, own.candidates, ball) > 0.97 for ball in (BALLS[0], BALLS[2]))


def test_thin_slices_are_searched_in_steps():
    balls = [(30, 100, 60, 3.0, 50)]
    ct, lung = thorax(shape=(60, 220, 220), spacing=(1.0, 0.8, 0.8), balls=balls)
    engine = OracleEngine()
    result = search(engine, ct, lung=lung)
    assert match(ct, result.candidates, balls[0]) > 0.97
    places = first_places(lung, (1.0, 0.8, 0.8), SearchSettings(), 128, step_mm=2.5)
    chosen = np.unique(places[:, 0])
    assert np.diff(chosen)[:-1].tolist() == [2] * (len(chosen) - 2) and chosen[-1] == 56


def test_masks_do_not_overlap_and_large_nodules_come_whole():
    ball = (20, 130, 110, 30.0, 50)
    ct, lung = thorax(shape=(40, 260, 420), balls=[ball, (20, 130, 320, 5.0, 50)])
    result = search(OracleEngine(border=26), ct, lung=lung | ball_mask(ct, *ball[:4]))
    assert match(ct, result.candidates, ball) > 0.95
    for n, one in enumerate(result.candidates):
        assert all(overlap(one, other) == 0 for other in result.candidates[n + 1 :])


def test_second_tiles_are_centred_on_their_hits():
    volume = ProbabilityVolume((2, 10, 20), (3, 200, 200))
    volume.weight[[0, 2]] = 1  # slice 1 of the box was left out
    hits = np.array([[0, 100, 90], [0, 101, 90], [0, 110, 95], [2, 20, 180]])
    places = second_places(hits, volume, SearchSettings(second_margin_px=40), 128)
    # Box slice 0: one tile holds all three hits in its core of 48 px. The slice left out takes the hits of both.
    assert places[:, 0].tolist() == [2, 3, 3, 4]
    k, j, i = places[0]
    assert (k, j + 64, i + 64) == pytest.approx((2, 100 + 10, 90 + 20), abs=1.5)
    for k, j, i in hits + volume.offset_kji:
        near = places[places[:, 0] == k]
        assert any(j0 + 40 <= j < j0 + 88 and i0 + 40 <= i < i0 + 88 for _, j0, i0 in near)


def test_slices_beside_a_large_group_are_looked_at_too():
    volume = ProbabilityVolume((2, 0, 0), (5, 200, 200))
    volume.weight[:] = 1  # the first pass saw all slices
    large = np.argwhere(np.ones((9, 9), bool)) + (100, 90)
    hits = np.vstack([np.column_stack([np.full(81, 2), large]), [[2, 20, 180]]])
    places = second_places(hits, volume, SearchSettings(second_margin_px=40), 128)
    # The small group is looked at on its own slice alone.
    assert sorted(places[:, 0].tolist()) == [3, 4, 4, 5]
    assert {tuple(p[1:]) for p in places[places[:, 0] != 4].tolist()} < {tuple(p[1:]) for p in places.tolist()}
    assert len(second_places(hits[10:], volume, SearchSettings(second_margin_px=40), 128)) == 2


def test_every_other_slice_has_its_seams_elsewhere():
    lung = np.ones((4, 130, 150), bool)
    places = first_places(lung, (2.5, 0.8, 0.8), SearchSettings(), 128, step_mm=2.5)
    by_slice = [places[places[:, 0] == k, 1:].tolist() for k in range(4)]
    assert by_slice[0] == by_slice[2] != by_slice[1] == by_slice[3]
    assert len(by_slice[0]) == len(by_slice[1])


def test_components_by_hysteresis():
    volume = ProbabilityVolume((5, 0, 0), (3, 20, 20))
    volume.weight[:] = 1
    volume.mean[1, 2:8, 2:8] = 0.2
    volume.mean[1, 4, 4] = 0.6  # one strong voxel holds its weak neighbours
    volume.mean[1, 12:18, 12:18] = 0.25  # weak all over
    lung = np.ones((3, 20, 20), bool)
    settings = SearchSettings(high=0.5, low=0.15, smoothing_mm=0.0, min_mm=1.0)
    (one,) = components(volume, lung, (2.5, 1.0, 1.0), settings)
    assert len(one.voxels) == 36 and one.peak == pytest.approx(0.6, abs=1e-3) and one.summit == (6, 4, 4)
    lung[:, :4] = False
    (part,) = components(volume, lung, (2.5, 1.0, 1.0), settings)
    assert len(part.voxels) == 24
    assert components(volume, lung, (2.5, 1.0, 1.0), SearchSettings(high=0.7)) == []


def test_smoothing_is_in_mm():
    volume = ProbabilityVolume((0, 0, 0), (5, 12, 12))
    volume.weight[:] = 1
    volume.mean[2, 3:9, 3:9] = 0.6
    lung = np.ones((5, 12, 12), bool)
    settings = SearchSettings(high=0.1, low=0.01, smoothing_mm=1.0, min_mm=0.5)
    thick = components(volume, lung, (5.0, 1.0, 1.0), settings)[0]
    thin = components(volume, lung, (1.0, 1.0, 1.0), settings)[0]
    assert len(thick.slices) == 1 and thick.peak == pytest.approx(0.6, abs=1e-3)
    # A Gaussian of one slice: its middle weight is .399.
    assert len(thin.slices) == 5 and thin.peak == pytest.approx(0.6 * 0.399, abs=0.01)


@pytest.mark.parametrize(
    "change",
    [
        {"low": 0.5}, {"high": 1.5}, {"views": 9}, {"first_margin_px": 64}, {"first_pixel_mm": 2.1},
        {"coarse_step_mm": 0.0}, {"first_rim_mm": 10.0}, {"least_probability": 1.0}, {"max_candidates": 0},
    ],
)  # fmt: skip

def test_settings_are_checked(change):
    with pytest.raises(ValueError, match="Expected"):
        SearchSettings(**change)


def test_settings_through_json():
    settings = SearchSettings(views=3)
    assert SearchSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(ValueError, match="Expected settings"):
        SearchSettings.from_dict({"speed": 11})


def test_two_nodules_in_one_component_are_both_outlined(monkeypatch):
    """What the network half believes in between joins them; the outline of one leaves the other."""
    balls = [(20, 90, 60, 8.0, 50), (20, 128, 60, 7.0, 50)]
    ct, lung = thorax(balls=balls)
    hu = ct.hu.copy()
    hu[20, 99:120, 58:63] = -90  # .2 by the oracle
    ct = CT.from_array(hu, spacing_mm=ct.spacing_mm)
    for least, both in ((outline.LEAST_REST_MM, True), (1000.0, False)):
        monkeypatch.setattr(outline, "LEAST_REST_MM", least)
        found = search(OracleEngine(), ct, lung=lung)
        assert all(match(ct, found.candidates, ball) > 0.95 for ball in balls) == both


def test_what_is_left_of_a_component():
    voxels = np.argwhere(np.ones((1, 2, 10), bool)) + (3, 4, 5)
    component = Component(voxels, np.linspace(0.2, 0.9, 20).astype(np.float32))
    assert component.without((3, 4, 5), np.ones((1, 2, 10), bool)) is None
    middle = np.ones((4, 9, 2), bool)
    rest = component.without((0, 0, 8), middle)  # columns 8 and 9: three columns are left of it and five right
    assert rest is not None
    assert sorted(set(rest.voxels[:, 2].tolist())) == [10, 11, 12, 13, 14]
    np.testing.assert_array_equal(rest.values, component.values[component.voxels[:, 2] >= 10])
    assert component.diameter_mm(2.0) == pytest.approx((6 * 40 / np.pi) ** (1 / 3))


def test_the_rest_of_a_component_is_seen_though_its_first_part_is_hopeless():
    balls = [(20, 90, 60, 8.0, 50), (20, 128, 60, 7.0, 50)]
    ct, lung = thorax(balls=balls)
    hu = ct.hu.copy()
    hu[20, 99:120, 58:63] = -90
    ct = CT.from_array(hu, spacing_mm=ct.spacing_mm)

    class Picky:
        """Believes in what is smaller than the first ball."""

        def __call__(self, features):
            return 0.9 if features["diameter_mm"] < 15 else 0.03

    settings = SearchSettings(coarse_pixel_mm=0)
    found = search(OracleEngine(), ct, settings, lung=lung, scorer=Picky()).candidates  # type: ignore[arg-type]
    assert match(ct, found, balls[1]) > 0.95 and match(ct, found, balls[0]) < 0.1


def test_the_rim_of_an_outline_is_no_rest(monkeypatch):
    """Components reach further than masks; what lies between is not outlined again."""
    ct, lung = thorax(balls=[(20, 110, 60, 10.0, 50)])
    hu = ndimage.gaussian_filter(ct.hu.astype(np.float32), (0, 2.0, 2.0)).round().astype(np.int16)
    ct = CT.from_array(hu, spacing_mm=ct.spacing_mm)
    tiles = []
    for least in (outline.LEAST_REST_MM, 1000.0):
        monkeypatch.setattr(outline, "LEAST_REST_MM", least)
        tiles.append(search(OracleEngine(), ct, lung=lung).counts["candidate_tiles"])
    assert tiles[0] == tiles[1]
