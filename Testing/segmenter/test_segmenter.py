"""The public API on a phantom: segment, click, filter again."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import Cancelled, InputError
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.segmenter import Segmenter
from LungNoduleSegLib.weights import Card
from Testing.inference.phantom import OracleEngine, ball_mask, dice, thorax
from Testing.inference.test_orientation import turned
from Testing.weights.samples import card_data

BALLS = [(12, 110, 60, 4.0, 40), (25, 90, 160, 6.0, 50), (20, 150, 65, 2.5, 40)]


@pytest.fixture(scope="module")
def scene():
    return thorax(balls=BALLS, series_uid="1.2.3")


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(OracleEngine())


@pytest.fixture(scope="module")
def result(segmenter, scene):
    ct, lung = scene
    return segmenter.segment(ct, lung_mask=lung, threshold=0.2)


def test_labels_lie_on_the_grid_and_follow_the_nodules(result, scene):
    ct, _ = scene
    assert result.labels.dtype == np.uint16 and result.labels.shape == ct.shape
    assert [n.label for n in result.nodules] == [1, 2, 3]
    assert set(np.unique(result.labels)) == {0, 1, 2, 3}
    probabilities = [n.probability for n in result.nodules]
    assert probabilities == sorted(probabilities, reverse=True)
    for nodule in result.nodules:
        mask = result.labels == nodule.label
        assert max(dice(mask, ball_mask(ct, *b[:4])) for b in BALLS) > 0.97
        assert nodule.volume_mm3 == pytest.approx(mask.sum() * 2.5 * 0.8 * 0.8)
        (k0, j0, i0), (k1, j1, i1) = nodule.bounds_kji
        assert mask[k0:k1, j0:j1, i0:i1].sum() == mask.sum()
    with pytest.raises(ValueError, match="read-only"):
        result.labels[0, 0, 0] = 1


def test_sides(result):
    # In this grid columns run to the patient's left, and the larger ball lies at column 160 of 220.
    assert [n.side for n in result.nodules] == ["left", "right", "right"]


def test_another_threshold_filters_at_once_and_uids_stay(result, segmenter):
    before = segmenter.engine.tiles
    probabilities = [n.probability for n in result.nodules]
    fewer = result.at(probabilities[1])
    assert [n.uid for n in fewer.nodules] == [n.uid for n in result.nodules[:2]]
    assert fewer.threshold == probabilities[1] and fewer.parameters["threshold"] == probabilities[1]
    assert set(np.unique(fewer.labels)) == {0, 1, 2}
    assert result.at(1.0).nodules == [] and not result.at(1.0).labels.any()
    assert fewer.at(0.0).nodules == result.at(0.0).nodules
    assert len(fewer.candidates) == len(result.candidates) == 3
    assert len(result.at(0.0, min_diameter_mm=6).nodules) == 2
    assert len(result.at(0.0, min_diameter_mm=6).at(0.1).nodules) == 2
    assert segmenter.engine.tiles == before
    with pytest.raises(ValueError, match="threshold"):
        result.at(1.5)


def test_what_a_run_says_of_itself(result, scene):
    ct, _ = scene
    assert result.kind == "AUTOMATIC" and result.model == "OracleEngine" and result.ct is ct
    assert result.parameters["lung_mask"] == "given" and result.parameters["counts"]["candidates"] == 3
    assert result.seconds["segment"] >= result.seconds["first_pass"] > 0
    assert result.best[0] == pytest.approx(0.95, abs=1e-3)
    assert result.probability().shape == ct.shape
    assert result.warnings == ()


def test_nothing_found_still_says_where_it_was_surest(segmenter):
    ct, lung = thorax(balls=[(12, 110, 60, 1.3, 40)])
    result = segmenter.segment(ct, lung_mask=lung)
    assert result.nodules == [] and not result.labels.any()
    np.testing.assert_allclose(result.best[1], ct.kji_to_ras((12, 110, 60)), atol=1.5)


def test_uncertainty_on_request_alone(segmenter, scene, result):
    ct, lung = scene
    with pytest.raises(InputError, match="did not keep the uncertainty"):
        result.uncertainty()
    assert "uncertainty" not in result.parameters
    asked = segmenter.segment(ct, lung_mask=lung, threshold=0.2, uncertainty=True)
    np.testing.assert_array_equal(asked.labels, result.labels)
    assert not np.isnan(asked.at(0.0).uncertainty()[asked.labels > 0]).any()
    # At the CT's own pixels alone; larger ones blend a ball's edge with the lung, by the view's shift.
    alone = Segmenter(segmenter.engine, settings=SearchSettings(coarse_pixel_mm=0.0))
    asked = alone.segment(ct, lung_mask=lung, threshold=0.2, uncertainty=True)
    volume = asked.at(0.0).uncertainty()
    assert volume.shape == ct.shape and volume.dtype == np.float16
    # The engine looks at HU alone: all views of a ball agree, but for the border where a tile is blind.
    assert not np.isnan(volume[asked.labels > 0]).any() and volume[asked.labels > 0].max() < 1e-3
    assert asked.parameters["uncertainty"] is True


def test_a_card_says_how_large_the_larger_pixels_are():
    after = {**card_data()["postprocessing"], "mask_threshold": 0.4}
    said = Card.from_dict(card_data(postprocessing={**after, "coarse_pixel_mm": 0.0}))
    silent = Card.from_dict(card_data(postprocessing=after))
    assert Segmenter(OracleEngine(), said).settings == SearchSettings(mask_threshold=0.4, coarse_pixel_mm=0.0)
    assert Segmenter(OracleEngine(), silent).settings == SearchSettings(mask_threshold=0.4)


def test_smallest_diameter(segmenter, scene):
    ct, lung = scene
    result = segmenter.segment(ct, lung_mask=lung, threshold=0.0, min_diameter_mm=9.0)
    assert len(result.nodules) == 1 and len(result.candidates) == 3


@pytest.mark.parametrize("change", [{"threshold": 1.2}, {"threshold": -0.1}, {"min_diameter_mm": -1}])
def test_arguments_are_checked(segmenter, scene, change):
    with pytest.raises(InputError, match="Expected argument"):
        segmenter.segment(scene[0], lung_mask=scene[1], **change)


def test_click_gives_one_nodule(segmenter, scene):
    ct, _ = scene
    result = segmenter.click(ct, [tuple(ct.kji_to_ras(BALLS[0][:3]))])
    assert result.kind == "SEMIAUTOMATIC" and len(result.nodules) == 1 and result.threshold is None
    assert dice(result.labels == 1, ball_mask(ct, *BALLS[0][:4])) > 0.97
    assert result.nodules[0].side == "right" and result.best[0] == pytest.approx(0.95, abs=1e-3)
    inside = result.probability()[result.labels == 1]
    assert inside.mean() > 0.9
    assert result.nodules[0].probability == pytest.approx(result.candidates[0].probability)


def test_clicks_hold_their_points_in_any_order(segmenter):
    ct, _ = thorax(balls=[BALLS[1]], vessels=[(90, 160, 1, 60)])
    inside = [tuple(ct.kji_to_ras(p)) for p in ((25, 90, 160), (26, 92, 158))]
    outside = [tuple(ct.kji_to_ras(p)) for p in ((33, 90, 160), (17, 90, 160))]
    one = segmenter.click(ct, inside, outside)
    other = segmenter.click(ct, inside[::-1], outside[::-1])
    np.testing.assert_array_equal(one.labels, other.labels)
    for points, value in ((inside, 1), (outside, 0)):
        for point in points:
            assert one.labels[tuple(np.rint(ct.ras_to_kji(point)).astype(int))] == value


def test_a_point_is_not_predicted_twice(segmenter, scene):
    ct, _ = scene
    points = [tuple(ct.kji_to_ras(b[:3])) for b in BALLS[:2]]
    segmenter.click(ct, points[:1])
    before = segmenter.engine.tiles
    segmenter.click(ct, points[:1], points[1:])
    assert segmenter.engine.tiles == before
    segmenter.click(ct, points)
    assert segmenter.engine.tiles > before


def test_click_where_nothing_is(segmenter, scene):
    ct, _ = scene
    result = segmenter.click(ct, [tuple(ct.kji_to_ras((12, 60, 60)))])
    assert len(result.nodules) == 1 and "sees no nodule" in result.warnings[-1]
    assert result.labels[12, 60, 60] == 1 and result.nodules[0].probability == 0


@pytest.mark.parametrize(
    ("positive", "negative", "finding"),
    [
        ([], [], "needs a positive point"),
        ([(-48.0, -88.0, 30.0)], [(-48.1, -88.0, 30.0)], "same voxel"),
        ([(500.0, 0.0, 0.0)], [], "lies outside of the CT"),
        ([(0.0, 0.0)], [], "Expected points"),
        ([(float("nan"), 0.0, 0.0)], [], "Expected points"),
    ],
)
def test_clicks_are_checked(segmenter, scene, positive, negative, finding):
    with pytest.raises(InputError, match=finding):
        segmenter.click(scene[0], positive, negative)


def test_both_can_be_cancelled(scene):
    ct, lung = scene
    segmenter = Segmenter(OracleEngine())
    with pytest.raises(Cancelled):
        segmenter.segment(ct, lung_mask=lung, cancel=lambda: True)
    with pytest.raises(Cancelled):
        segmenter.click(ct, [tuple(ct.kji_to_ras(BALLS[0][:3]))], cancel=lambda: segmenter.engine.tiles > 0)
    # Nothing half done is remembered.
    assert len(segmenter.click(ct, [tuple(ct.kji_to_ras(BALLS[0][:3]))]).nodules) == 1


def test_an_oblique_coronal_grid_gives_the_same_nodule(segmenter, scene):
    ct, lung = scene
    angle = np.radians(15)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    order, flips = (1, 0, 2), (True, False, False)
    plain = turned(ct, order, flips)
    oblique = CT.from_array(plain.hu, ijk_to_ras=tilt @ plain.ijk_to_ras)
    oblique_lung = lung.transpose(order)[::-1]
    result = segmenter.segment(oblique, lung_mask=oblique_lung, threshold=0.2)
    straight = segmenter.segment(ct, lung_mask=lung, threshold=0.2)
    assert len(result.nodules) == 3
    np.testing.assert_array_equal(result.labels, straight.labels.transpose(order)[::-1])
    for a, b in zip(result.nodules, straight.nodules):
        np.testing.assert_allclose(a.centroid_ras, tilt[:3, :3] @ b.centroid_ras, atol=1e-6)
        assert a.volume_mm3 == pytest.approx(b.volume_mm3)
    seed = tuple(tilt[:3, :3] @ ct.kji_to_ras(BALLS[0][:3]))
    clicked = segmenter.click(oblique, [seed])
    expected = segmenter.click(ct, [tuple(ct.kji_to_ras(BALLS[0][:3]))])
    np.testing.assert_array_equal(clicked.labels, expected.labels.transpose(order)[::-1])


def test_unusual_pixels_are_remarked(segmenter):
    ct, lung = thorax(shape=(20, 150, 150), spacing=(2.5, 1.4, 1.4), balls=[(10, 75, 42, 7.0, 40)])
    result = segmenter.segment(ct, lung_mask=lung)
    assert any("1.40 x 1.40 mm" in w and "too small" in w for w in result.warnings)


def as_base(mask, *, grow: int = 0):
    """A mask on the CT's grid as a segment to change, in a box that is larger than need be."""
    box = [(max(int(a.min()) - grow, 0), int(a.max()) + 1 + grow) for a in np.nonzero(mask)]
    return tuple(low for low, _ in box), mask[tuple(slice(*pair) for pair in box)]


def ras(ct, kji):
    return tuple(ct.kji_to_ras(kji))


def test_positive_points_add_to_a_segment(segmenter, scene):
    ct, _ = scene
    base = ball_mask(ct, 25, 90, 160, 3.0)
    alone = segmenter.click(ct, [ras(ct, BALLS[0][:3])]).labels == 1
    result = segmenter.click(ct, [ras(ct, BALLS[0][:3])], base=as_base(base, grow=2))
    np.testing.assert_array_equal(result.labels == 1, base | alone)
    assert result.kind == "SEMIAUTOMATIC" and result.parameters["changes_a_segment"] is True
    # What the network sees in the segment is asked, not made up.
    assert 0.5 < result.nodules[0].probability <= 0.95 + 1e-3
    assert result.probability()[base].mean() > 0.5


def test_a_negative_point_cuts_from_a_segment_that_has_no_points(segmenter):
    ct, _ = thorax(balls=[BALLS[1]], vessels=[(90, 160, 1, 60)])
    nodule = ball_mask(ct, *BALLS[1][:4])
    vessel = np.zeros(ct.shape, bool)
    vessel[15:36, 89:92, 159:162] = True
    result = segmenter.click(ct, [], [ras(ct, (34, 90, 160)), ras(ct, (16, 90, 160))], base=as_base(nodule | vessel))
    mask = result.labels == 1
    assert not mask[34, 90, 160] and not mask[16, 90, 160]
    assert not (mask & ~(nodule | vessel)).any()
    assert mask[nodule].mean() > 0.95 and dice(mask, nodule) > 0.93
    # On the segment's own middle it leaves a part of it.
    half = segmenter.click(ct, [], [ras(ct, (25, 90, 160))], base=as_base(nodule)).labels == 1
    assert not half[25, 90, 160] and 0 < half.sum() < nodule.sum() and not (half & ~nodule).any()


def test_a_negative_point_in_a_stray_part_removes_the_part(segmenter, scene):
    ct, _ = scene
    nodule, stray = ball_mask(ct, *BALLS[0][:4]), ball_mask(ct, 12, 120, 90, 2.0)
    result = segmenter.click(ct, [], [ras(ct, (12, 120, 90))], base=as_base(nodule | stray))
    np.testing.assert_array_equal(result.labels == 1, nodule)
    beside = segmenter.click(ct, [], [ras(ct, (12, 60, 60))], base=as_base(nodule | stray))
    np.testing.assert_array_equal(beside.labels == 1, nodule | stray)


def test_points_in_a_segment_speak_for_it(segmenter):
    """With a positive point in it nothing else holds on to what a negative point cuts."""
    ct, _ = thorax(balls=[BALLS[0]])
    nodule, other = ball_mask(ct, *BALLS[0][:4]), ball_mask(ct, 12, 110, 76, 10.0)
    both = nodule | other  # most of it is wrong
    mask = segmenter.click(ct, [ras(ct, (12, 110, 60))], [ras(ct, (12, 110, 76))], base=as_base(both)).labels == 1
    np.testing.assert_array_equal(mask, nodule)


def test_a_segment_of_an_oblique_coronal_grid_is_changed_alike(segmenter):
    ct, _ = thorax(balls=[BALLS[1]], vessels=[(90, 160, 1, 60)])
    base = ball_mask(ct, *BALLS[1][:4])
    base[15:36, 89:92, 159:162] = True
    order, flips = (1, 0, 2), (True, False, False)
    other = turned(ct, order, flips)
    other_base = base.transpose(order)[::-1]
    straight = segmenter.click(ct, [], [ras(ct, (34, 90, 160))], base=as_base(base))
    result = segmenter.click(other, [], [ras(ct, (34, 90, 160))], base=as_base(other_base))
    np.testing.assert_array_equal(result.labels, straight.labels.transpose(order)[::-1])


@pytest.mark.parametrize(
    ("base", "negative", "finding"),
    [
        (((0, 0, 0), np.zeros((2, 2, 2), bool)), (12, 110, 60), "not empty"),
        (((0, 0), np.ones((2, 2), bool)), (12, 110, 60), "not empty"),
        (((-1, 110, 60), np.ones((2, 2, 2), bool)), (12, 110, 60), "does not lie in this CT"),
        (((12, 110, 219), np.ones((2, 2, 2), bool)), (12, 110, 60), "does not lie in this CT"),
        (((12, 110, 60), np.ones((1, 1, 1), bool)), (12, 110, 60), "nothing would be left"),
        (((12, 110, 60), np.ones((2, 2, 2), bool)), None, "needs a positive point"),
    ],
)
def test_a_segment_to_change_is_checked(segmenter, scene, base, negative, finding):
    ct, _ = scene
    with pytest.raises(InputError, match=finding):
        segmenter.click(ct, [], [] if negative is None else [ras(ct, negative)], base=base)
