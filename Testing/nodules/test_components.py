"""Hysteresis, connectivity, cavities and sizes, by hand and against the plain way on the whole volume."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from LungNoduleSegLib.nodules.components import (
    components,
    crop,
    fill_cavities,
    hysteresis_components,
    tight_box,
)


def volume(shape=(3, 6, 6)) -> np.ndarray:
    return np.zeros(shape, dtype=np.float32)


def painted(found, shape) -> np.ndarray:
    out = np.zeros(shape, dtype=int)
    for number, component in enumerate(found, start=1):
        assert not out[component.slices][component.mask].any(), "two components share a voxel"
        out[component.slices][component.mask] = number
    return out


def test_hysteresis_keeps_weak_voxels_only_beside_strong_ones():
    p = volume()
    p[1, 1, 0:4] = 0.3, 0.4, 0.8, 0.3
    p[1, 4, 0:4] = 0.4, 0.6, 0.6, 0.4
    (found,) = hysteresis_components(p, 0.3, 0.7)
    assert found.offset_kji == (1, 1, 0)
    assert found.mask.tolist() == [[[True, True, True, True]]]
    assert found.peak == pytest.approx(0.8)
    assert found.voxels == 4
    assert found.bounds_kji == ((1, 1, 0), (2, 2, 4))


def test_both_thresholds_are_inclusive():
    p = volume().astype(np.float64)
    p[0, 0, :2] = 0.25, 0.5
    (found,) = hysteresis_components(p, 0.25, 0.5)
    assert found.voxels == 2
    assert hysteresis_components(p, 0.25, 0.5000001) == []


def test_corners_connect():
    p = volume((4, 4, 4))
    p[0, 0, 0] = p[1, 1, 1] = 1
    p[3, 3, 3] = 1
    assert [c.voxels for c in hysteresis_components(p, 0.5, 0.5)] == [2, 1]


def test_components_across_the_borders_of_blocks_are_not_cut():
    p = volume((40, 64, 64))
    for n in range(40):
        p[n, n, n] = 0.6
    p[39, 39, 39] = 0.9
    (found,) = hysteresis_components(p, 0.5, 0.8)
    assert found.voxels == 40
    assert found.mask.shape == (40, 40, 40)


def test_a_group_that_reaches_into_the_box_of_another_stays_itself():
    # An L of blocks, and a voxel inside its bounding box but two blocks away from it.
    p = volume((8, 96, 96))
    p[0, 0:80, 0] = p[0, 0, 0:80] = 1
    p[0, 70, 70] = 1
    found = hysteresis_components(p, 0.5, 0.5)
    assert sorted(c.voxels for c in found) == [1, 159]


def test_minimum_size_counts_millimetres_and_filled_holes():
    p = volume((5, 9, 9))
    p[1:4, 2:7, 2:7] = 1
    p[2, 4, 4] = 0
    # 75 voxels of 2 x .5 x .5 mm = 37.5 mm3, a sphere of 4.153 mm.
    options = {"spacing_mm": (2.0, 0.5, 0.5)}
    assert len(hysteresis_components(p, 0.5, 0.5, min_diameter_mm=4.15, **options)) == 1
    assert len(hysteresis_components(p, 0.5, 0.5, min_diameter_mm=4.15, fill=False, **options)) == 0
    assert len(hysteresis_components(p, 0.5, 0.5, min_diameter_mm=4.16, **options)) == 0


def test_minimum_number_of_slices():
    p = volume()
    p[0, 0, 0] = p[1, 0, 0] = 1
    p[2, 4, 4] = 1
    assert [c.voxels for c in hysteresis_components(p, 0.5, 0.5, min_slices=2)] == [2]


def test_a_closed_cavity_belongs_to_its_nodule():
    mask = np.zeros((5, 7, 7), dtype=bool)
    mask[1:4, 1:6, 1:6] = True
    mask[2, 2:5, 2:5] = False
    want = mask.copy()
    want[2, 2:5, 2:5] = True
    assert (fill_cavities(mask) == want).all()
    assert not mask[2, 3, 3], "the input was changed"


def test_a_cavity_open_at_its_ends_is_filled_in_plane():
    tube = np.zeros((3, 7, 7), dtype=bool)
    tube[:, 1:6, 1:6] = True
    tube[:, 2:5, 2:5] = False
    assert fill_cavities(tube).sum() == 75


def test_a_notch_and_a_gap_in_the_wall_stay_open():
    mask = np.zeros((1, 7, 7), dtype=bool)
    mask[0, 1:6, 1:6] = True
    mask[0, 2:5, 2:5] = False
    mask[0, 1, 3] = False
    assert (fill_cavities(mask) == mask).all()


def test_a_wall_that_touches_only_at_corners_is_closed():
    diamond = np.array([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]], dtype=bool)
    assert fill_cavities(diamond).sum() == 5


def test_what_lies_in_a_cavity_joins_the_wall():
    # Fungus ball: the inner voxel is far from the wall (another block), and strong where the wall is weak.
    p = volume((3, 90, 90))
    p[1, 5:85, 5:85] = 0.4
    p[1, 6:84, 6:84] = 0
    p[1, 45, 45] = 0.9
    (found,) = hysteresis_components(p, 0.3, 0.8)
    assert found.voxels == 80 * 80
    assert found.peak == pytest.approx(0.9)
    assert [c.voxels for c in hysteresis_components(p, 0.3, 0.8, fill=False)] == [1]


def test_a_piece_that_sticks_out_of_the_cavity_joins_too():
    p = volume((4, 90, 90))
    p[1, 5:85, 5:85] = 0.9
    p[1, 6:84, 6:84] = 0
    p[1:4, 45, 45] = 0.9
    (found,) = hysteresis_components(p, 0.3, 0.8)
    assert found.voxels == 80 * 80 + 2
    assert found.mask.shape == (3, 80, 80)


@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_as_the_plain_way_on_the_whole_volume(seed, fill):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(5, 60, 3))
    p = ndimage.gaussian_filter(rng.random(shape), rng.uniform(0.6, 2.5))
    p = ((p - p.min()) / np.ptp(p)).astype(np.float32)
    low = np.float32(rng.uniform(0.5, 0.8))
    high = np.float32(rng.uniform(low, 1))
    mask = p >= low
    if fill:
        mask = ndimage.binary_fill_holes(mask)
        mask = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    want = {
        frozenset(map(tuple, np.argwhere(labels == n))) for n in range(1, count + 1) if p[labels == n].max() >= high
    }
    found = hysteresis_components(p, low, high, fill=fill)
    got = painted(found, shape)
    assert {frozenset(map(tuple, np.argwhere(got == n))) for n in range(1, len(found) + 1)} == want
    for component in found:
        assert tight_box(component.mask) == tuple(slice(0, n) for n in component.mask.shape)


def test_float16_and_read_only_input():
    p = volume().astype(np.float16)
    p[1, 2, 3] = 0.75
    p.flags.writeable = False
    (found,) = hysteresis_components(p, 0.5, 0.7)
    assert found.peak == 0.75


def test_components_of_a_mask():
    mask = np.zeros((3, 5, 5), dtype=bool)
    mask[0, 0, 0] = mask[2, 3:5, 3] = True
    assert [c.offset_kji for c in components(mask)] == [(0, 0, 0), (2, 3, 3)]
    assert components(np.zeros((2, 2, 2), dtype=bool)) == []


def test_crop_is_tight_and_moves_the_offset():
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[1, 2:4, 3] = True
    inside, offset = crop(mask, (10, 20, 30))
    assert inside.shape == (1, 2, 1)
    assert offset == (11, 22, 33)
    with pytest.raises(ValueError, match="`mask`"):
        crop(np.zeros((1, 1, 1), dtype=bool))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`probability`"):
        hysteresis_components(np.zeros((3, 3)), 0.1, 0.2)
    with pytest.raises(ValueError, match="`low`"):
        hysteresis_components(volume(), 0.5, 0.2)
    with pytest.raises(ValueError, match="`spacing_mm`"):
        hysteresis_components(volume(), 0.1, 0.2, min_diameter_mm=3)
