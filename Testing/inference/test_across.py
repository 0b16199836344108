"""Missed slices and faint ends."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.across import END_SHARE, LEAST_CONTRAST_HU, bridged, ended, settled
from LungNoduleSegLib.inference.click import segment_seed
from LungNoduleSegLib.inference.grow import Grown
from LungNoduleSegLib.inference.slab import Slab
from LungNoduleSegLib.inference.whole_ct import search
from Testing.inference.phantom import OracleEngine, ball_mask, thorax

SPACING = (2.5, 0.7, 0.7)
LUNG, NODULE = -850, 50


def disc(radius, size=40, middle=20):
    j, i = np.indices((size, size))
    return (j - middle) ** 2 + (i - middle) ** 2 <= radius**2


def stack(*slices, size=40):
    """Mask and HU of discs of (radius, share of the contrast) one above the other; radius 0 for none."""
    mask = np.stack([disc(r, size) if r else np.zeros((size, size), bool) for r, _ in slices])
    hu = np.full(mask.shape, LUNG, np.int16)
    for plane, inner, (_, share) in zip(hu, mask, slices):
        plane[inner] = LUNG + round(share * (NODULE - LUNG))
    return mask, hu


def radii(mask):
    return [round(float(np.sqrt(plane.sum() / np.pi))) for plane in mask]


def test_faint_ends_are_left_out_and_clear_ones_stay():
    mask, hu = stack((4, 0.2), (5, 0.5), (6, 1.0), (5, 1.0), (4, 0.3))
    assert radii(ended(mask, hu, SPACING)) == [0, 5, 6, 5, 0]


@pytest.mark.parametrize(("slice_mm", "most"), [(5.0, 1), (2.5, 1), (1.5, 2), (1.0, 3)])
def test_a_faint_part_that_is_longer_than_partial_volume_makes_it_stays(slice_mm, most):
    spacing = (slice_mm, 0.7, 0.7)
    for faint in range(1, 6):
        mask, hu = stack((6, 1.0), (6, 1.0), (6, 1.0), *[(5, 0.33)] * faint)
        left = radii(ended(mask, hu, spacing))[3:]
        assert left == ([0] * faint if faint <= most else [5] * faint)


def test_of_a_calcified_nodule_soft_tissue_is_no_faint_part():
    mask, hu = stack((5, 1.0), (7, 1.0), (5, 1.0))
    hu[1][disc(6)] = 1500
    np.testing.assert_array_equal(ended(mask, hu, SPACING), mask)


def test_what_is_faint_between_clear_slices_stays():
    mask, hu = stack((5, 0.9), (5, 0.2), (6, 1.0), (5, 0.9))
    np.testing.assert_array_equal(ended(mask, hu, SPACING), mask)


def test_the_share_is_of_the_contrast_not_of_the_hu():
    for share, stays in ((END_SHARE - 0.02, False), (END_SHARE + 0.02, True)):
        mask, hu = stack((5, share), (6, 1.0))
        for gain, shift in ((1.0, 0.0), (0.3, -250.0)):
            assert ended(mask, hu * gain + shift, SPACING)[0].any() == stays


def test_of_the_last_slice_faint_pixels_are_left_out():
    mask, hu = stack((6, 1.0), (6, 1.0), (6, 0.9))
    hu[2][disc(6) & ~disc(4)] = LUNG + 0.2 * (NODULE - LUNG)
    hu[1][disc(6) & ~disc(4)] = LUNG + 0.2 * (NODULE - LUNG)
    assert radii(ended(mask, hu, SPACING)) == [6, 6, 4]


def test_what_is_left_of_the_last_slice_is_one_piece_without_holes():
    mask, hu = stack((6, 1.0), (6, 1.0))
    plane = np.full_like(hu[1], LUNG)
    plane[disc(4)] = NODULE
    plane[20, 20] = LUNG  # a small cavity stays
    plane[20, 26] = NODULE  # a single bright pixel of the rim does not
    hu[1] = plane
    np.testing.assert_array_equal(ended(mask, hu, SPACING)[1], disc(4))


def test_two_lobes_of_the_last_slice_stay():
    mask, hu = stack((12, 1.0), (12, 1.0))
    lobes = disc(4, middle=14) | disc(3, middle=26)
    mask[1], hu[1] = lobes, LUNG
    hu[1][lobes] = NODULE
    np.testing.assert_array_equal(ended(mask, hu, SPACING)[1], lobes)


def test_the_wall_beside_a_nodule_does_not_raise_the_level():
    mask, hu = stack((5, 0.3), (6, 1.0))
    hu[:, :, 28:] = 60  # a quarter or less of what is around
    assert radii(ended(mask, hu, SPACING)) == [0, 6]


def test_a_structure_that_hardly_stands_out_is_left_as_it_is():
    mask, hu = stack((4, 0.1), (6, 1.0))
    weak = LUNG + (hu - LUNG) * (LEAST_CONTRAST_HU - 1) / (NODULE - LUNG)
    np.testing.assert_array_equal(ended(mask, weak, SPACING), mask)
    full = np.ones((2, 9, 9), bool)  # nothing is around it
    np.testing.assert_array_equal(ended(full, np.zeros(full.shape), SPACING), full)


def test_a_slice_that_is_kept_keeps_those_on_the_way():
    mask, hu = stack((4, 0.1), (4, 0.2), (6, 1.0), (4, 0.2))
    assert radii(ended(mask, hu, SPACING, keep=1)) == [0, 4, 6, 0]
    assert radii(ended(mask, hu, SPACING, keep=0)) == [4, 4, 6, 0]


def test_a_missed_slice_lies_between_its_neighbours():
    mask, _ = stack((4, 1.0), (0, 0.0), (8, 1.0))
    assert radii(bridged(mask)) == [4, 6, 8]
    assert radii(mask) == [4, 0, 8]  # not changed
    whole, _ = stack((4, 1.0), (5, 1.0))
    np.testing.assert_array_equal(bridged(whole), whole)
    apart = np.zeros((3, 40, 40), bool)
    apart[0, :5, :5] = apart[2, -5:, -5:] = True
    assert not bridged(apart)[1].any()


def grown(mask, offset, threshold=0.5):
    return Grown(Slab(offset, mask[None].astype(np.float32)), mask, threshold)


@pytest.mark.parametrize("place", [(3, 20, 20), (3, -6, 30), (0, 60, 62)])
def test_settled_on_the_slab_wherever_it_lies(place):
    """A slab may reach beyond the CT; its grid stays."""
    mask, hu = stack((4, 0.2), (6, 1.0), (0, 0.0), (6, 1.0), (4, 0.2))
    hu[2][disc(6)] = NODULE
    whole = np.full((10, 80, 80), LUNG, np.int16)
    k, j, i = place
    inner = tuple(slice(max(-o, 0), min(n, s - o)) for o, n, s in zip(place, mask.shape, whole.shape))
    whole[k : k + 5, max(j, 0) : j + 40, max(i, 0) : i + 40] = hu[inner]
    cut = np.zeros_like(mask)
    cut[inner] = mask[inner]
    found = settled(CT.from_array(whole, spacing_mm=SPACING), grown(cut, place))
    assert found.slab.offset_kji == place and found.threshold == 0.5
    expected = cut.copy()
    expected[0] = expected[4] = False
    expected[2] = cut[1]
    np.testing.assert_array_equal(found.mask, expected)


def test_a_point_on_a_faint_end_keeps_it():
    mask, hu = stack((4, 0.2), (6, 1.0), (4, 0.2))
    ct = CT.from_array(hu, spacing_mm=SPACING)
    assert radii(settled(ct, grown(mask, (0, 0, 0)), (2, 20, 20)).mask) == [0, 6, 4]
    assert radii(settled(ct, grown(mask, (0, 0, 0)), (1, 20, 20)).mask) == [0, 6, 0]


class Eager(OracleEngine):
    """Sees faint slices of -650 HU too, as networks do."""

    def predict(self, tiles, *, min_range=None):
        return np.maximum(super().predict(tiles), 0.9 * (abs(np.asarray(tiles)[:, 1] + 650) < 20))


@pytest.fixture(scope="module")
def faint_ends():
    """A CT with a ball, its lungs, and the slices of the ball; one more at each end is faint."""
    ball = (12, 100, 60, 6.0, 50)
    ct, lung = thorax(balls=[ball])
    hu = ct.hu.copy()
    truth = ball_mask(ct, *ball[:4])
    first, last = np.flatnonzero(truth.any((1, 2)))[[0, -1]].tolist()
    for k, step in ((first, -1), (last, 1)):
        hu[k + step][truth[k]] = -650
    return CT.from_array(hu, spacing_mm=ct.spacing_mm), lung, range(first, last + 1)


def test_a_click_leaves_out_what_partial_volume_adds(faint_ends):
    ct, _, slices = faint_ends
    region = segment_seed(Eager(), ct, (12, 100, 60))
    assert range(region.offset_kji[0], region.offset_kji[0] + len(region.mask)) == slices
    assert region.grown is not None and region.grown.slices == slices


def test_a_point_beside_a_faint_end_keeps_it_whole(faint_ends):
    """The point lies next to what the network sees there, not in it."""
    ct, _, slices = faint_ends
    edge = int(np.flatnonzero(ct.hu[slices.stop, 100] == -650)[-1])
    on, beside = (segment_seed(Eager(), ct, (slices.stop, 100, i)).mask[-1].sum() for i in (edge, edge + 1))
    assert on > 50 and beside == on + 1


def test_a_search_leaves_out_what_partial_volume_adds(faint_ends):
    ct, lung, slices = faint_ends
    found = max(search(Eager(), ct, lung=lung).candidates, key=lambda c: c.mask.sum())
    assert range(found.box[0].start, found.box[0].stop) == slices
