"""Positive points inside, negative ones outside, in any order, and nothing else changes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from LungNoduleSegLib.inference.partition import partition
from LungNoduleSegLib.inference.regions import TOUCHING

SPACING = (2.0, 1.0, 1.0)


def scene():
    """A ball of radius 8 with a vessel of half width 1 leading away, and a ball apart."""
    k, j, i = np.indices((17, 40, 90), sparse=True)
    ball = ((k - 8) * 2) ** 2 + (j - 20) ** 2 + (i - 20) ** 2 <= 64
    vessel = (abs(k - 8) <= 1) & (abs(j - 20) <= 1) & (i >= 20) & (i <= 55)
    apart = ((k - 8) * 2) ** 2 + (j - 20) ** 2 + (i - 75) ** 2 <= 36
    mask = ball | vessel | apart
    hu = np.where(mask, 40, -850).astype(np.int16)
    return mask, hu, np.where(mask, 0.9, 0.0).astype(np.float32), ball, vessel & ~ball, apart


def cut(positive, negative):
    mask, hu, probability, *_ = scene()
    return partition(mask, hu, probability, SPACING, positive, negative)


def test_no_negative_point_changes_nothing():
    np.testing.assert_array_equal(cut([(8, 20, 20)], []), scene()[0])


def test_a_negative_point_outside_changes_nothing():
    np.testing.assert_array_equal(cut([(8, 20, 20), (8, 20, 75)], [(0, 0, 0)]), scene()[0])


def test_a_vessel_is_cut_off_and_the_nodule_stays():
    _, _, _, ball, vessel, apart = scene()
    kept = cut([(8, 20, 20), (8, 20, 75)], [(8, 20, 35)])
    assert not kept[8, 20, 35]
    np.testing.assert_array_equal(kept & ball, ball)
    assert (kept & vessel).sum() < 0.35 * vessel.sum()
    # The rest of the vessel, behind the negative point, hangs on nothing any more.
    assert not kept[8, 20, 50]
    np.testing.assert_array_equal(kept & apart, apart)


def test_a_point_in_the_periphery_of_the_nodule_holds_on_too():
    ball = scene()[3]
    kept = cut([(8, 20, 15)], [(8, 20, 40)])
    assert (kept & ball).sum() > 0.95 * ball.sum()


def test_components_without_a_negative_point_are_untouched():
    mask, *_, apart = scene()
    kept = cut([(8, 20, 75)], [(8, 20, 72)])
    np.testing.assert_array_equal(kept & ~apart, mask & ~apart)
    assert kept[8, 20, 75] and not kept[8, 20, 72]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_properties_of_any_points(data):
    mask, hu, probability, *_ = scene()
    voxels = np.argwhere(mask)
    chosen = data.draw(st.lists(st.integers(0, len(voxels) - 1), min_size=2, max_size=6, unique=True))
    points = [tuple(int(v) for v in voxels[n]) for n in chosen]
    count = data.draw(st.integers(1, len(points) - 1))
    positive, negative = points[:count], points[count:]
    kept = partition(mask, hu, probability, SPACING, positive, negative)
    assert all(kept[p] for p in positive) and not any(kept[p] for p in negative)
    assert not (kept & ~mask).any()
    labels, _ = ndimage.label(kept, TOUCHING)
    before, _ = ndimage.label(mask, TOUCHING)
    untouched = ~np.isin(before, [before[p] for p in negative])
    np.testing.assert_array_equal(kept[untouched], mask[untouched])
    holding = {int(labels[p]) for p in positive}
    assert {int(v) for v in np.unique(labels[~untouched])} - {0} <= holding
    shuffled = data.draw(st.permutations(negative)), data.draw(st.permutations(positive))
    again = partition(mask, hu, probability, SPACING, shuffled[1], shuffled[0])
    np.testing.assert_array_equal(again, kept)


def test_a_further_negative_point_only_takes_away():
    positive = [(8, 20, 20)]
    last = cut(positive, [])
    negatives = [(8, 20, 40), (8, 27, 20), (5, 20, 17)]
    for n in range(1, 4):
        kept = cut(positive, negatives[:n])
        assert not (kept & ~last).any() and kept.sum() < last.sum()
        last = kept
    for order in itertools.permutations(negatives):
        np.testing.assert_array_equal(cut(positive, list(order)), last)


@pytest.mark.parametrize("negative", [(8, 20, 21), (9, 20, 20)])
def test_neighbouring_voxels(negative):
    kept = cut([(8, 20, 20)], [negative])
    assert kept[8, 20, 20] and not kept[negative]
