"""Axes of hand-made shapes at anisotropic spacing, properties, and oblique grids."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from LungNoduleSegLib.nodules.axes import axial_axis, nodule_axes, plane_axes

SPACING = (0.6, 0.9)


def affine(spacing_kji=(2.5, 0.6, 0.9), rotation=None, origin=(10.0, -20.0, 30.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if rotation is None else rotation) @ np.diag(spacing_kji[::-1])
    matrix[:3, 3] = origin
    return matrix


def rotation(seed: int, largest_deg: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    angle = np.deg2rad(rng.uniform(5, largest_deg))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def random_mask(seed: int, shape=(3, 7, 9), share=0.4) -> np.ndarray:
    mask = np.random.default_rng(seed).random(shape) < share
    mask[1, 3, 4] = True
    return mask


def brute_long(plane: np.ndarray, spacing) -> float:
    corners = [((r + a) * spacing[0], (c + b) * spacing[1])
               for r, c in np.argwhere(plane) for a in (-0.5, 0.5) for b in (-0.5, 0.5)]  # fmt: skip
    return max((math.dist(p, q) for p, q in itertools.combinations(corners, 2)), default=0.0)


def brute_short(plane: np.ndarray, spacing, start, end) -> float:
    """Clip a fan of lines perpendicular to start -> end (row, column in mm) against every pixel: no shared code."""
    start, end = np.asarray(start), np.asarray(end)
    length = np.linalg.norm(end - start)
    along = (end - start) / length
    across = np.array([-along[1], along[0]])
    corners = {round(float(np.dot(np.array([(r + a) * spacing[0], (c + b) * spacing[1]]) - start, along)), 9)
               for r, c in np.argwhere(plane) for a in (-0.5, 0.5) for b in (-0.5, 0.5)}  # fmt: skip
    places = [t + e for t in corners for e in (-1e-7, 1e-7)]
    best = 0.0
    for t in places:
        p = start + t * along
        lowest, highest = math.inf, -math.inf
        for pixel in np.argwhere(plane):
            low, high = -math.inf, math.inf
            for axis in range(2):
                a = (pixel[axis] - 0.5) * spacing[axis] - p[axis]
                b = (pixel[axis] + 0.5) * spacing[axis] - p[axis]
                if abs(across[axis]) < 1e-12:
                    if a > 0 or b < 0:
                        low, high = math.inf, -math.inf
                else:
                    a, b = sorted((a / across[axis], b / across[axis]))
                    low, high = max(low, a), min(high, b)
            if high > low:
                lowest, highest = min(lowest, low), max(highest, high)
        best = max(best, highest - lowest)
    return best


def test_one_pixel_is_as_long_as_its_diagonal():
    # Square of side a: both diagonals. Rectangle a x b: the longest line perpendicular to a diagonal of a rectangle
    # runs through a corner and has the length a * diagonal / b, a the shorter side.
    assert plane_axes(np.ones((1, 1)), (0.7, 0.7)) == pytest.approx((0.7 * math.sqrt(2), 0.7 * math.sqrt(2)))
    diagonal = math.hypot(0.6, 0.9)
    assert plane_axes(np.ones((1, 1)), SPACING) == pytest.approx((diagonal, 0.6 * diagonal / 0.9))


def test_three_pixels_in_a_row():
    # 2.7 x 0.6 mm: diagonal sqrt(7.65), perpendicular 0.6 * diagonal / 2.7.
    diagonal = math.sqrt(2.7**2 + 0.6**2)
    assert plane_axes(np.ones((1, 3)), SPACING) == pytest.approx((diagonal, 0.6 * diagonal / 2.7))
    # The same bar upright: 0.9 x 1.8 mm.
    diagonal = math.hypot(0.9, 1.8)
    assert plane_axes(np.ones((3, 1)), SPACING) == pytest.approx((diagonal, 0.9 * diagonal / 1.8))


def test_a_plus_of_five_pixels():
    # Side 1. Corners (+-.5, +-1.5), (+-1.5, +-.5): farthest (.5, 1.5) to (-.5, -1.5), sqrt(10); the same set is
    # symmetric under a quarter turn, so the perpendicular is as long.
    plane = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    assert plane_axes(plane, (1, 1)) == pytest.approx((math.sqrt(10), math.sqrt(10)))


def test_an_l_is_measured_across_its_notch_but_not_into_empty_corners():
    # Arms of 4 x 1 pixels of 1 mm. Long: outer corner of one arm's end to that of the other, 4 * sqrt(2). The line
    # across at a right angle is longest through the elbow: from the outer corner (0, 0) to the inner one (1, 1).
    plane = np.zeros((4, 4), dtype=bool)
    plane[:, 0] = plane[0, :] = True
    long_mm, short_mm = plane_axes(plane, (1, 1))
    assert long_mm == pytest.approx(4 * math.sqrt(2))
    assert short_mm == pytest.approx(math.sqrt(2))


def test_a_cavity_is_crossed():
    solid = np.ones((5, 5), dtype=bool)
    ring = solid.copy()
    ring[1:4, 1:4] = False
    assert plane_axes(ring, SPACING) == pytest.approx(plane_axes(solid, SPACING))


@pytest.mark.parametrize("radius", [4.0, 9.0])
def test_a_disc_has_its_diameter_both_ways(radius):
    r, c = np.mgrid[-40:41, -40:41]
    plane = (r * 0.5) ** 2 + (c * 0.8) ** 2 <= radius**2
    long_mm, short_mm = plane_axes(plane, (0.5, 0.8))
    assert 2 * radius - 0.95 <= long_mm <= 2 * radius + 0.95
    assert 2 * radius - 0.95 <= short_mm <= long_mm


@pytest.mark.parametrize("angle", [0, 17, 30, 45, 73])
def test_a_turned_rectangle_keeps_its_diagonal(angle):
    # 20 x 8 mm drawn on fine pixels: the long axis is its diagonal, the short one 8 * diagonal / 20.
    step = 0.1
    y, x = np.mgrid[-150:151, -150:151] * step
    a = np.deg2rad(angle)
    plane = (abs(x * np.cos(a) + y * np.sin(a)) <= 10) & (abs(-x * np.sin(a) + y * np.cos(a)) <= 4)
    long_mm, short_mm = plane_axes(plane, (step, step))
    diagonal = math.hypot(20, 8)
    assert long_mm == pytest.approx(diagonal, abs=2.5 * step)
    assert short_mm == pytest.approx(8 * diagonal / 20, abs=2.5 * step)


@pytest.mark.parametrize("seed", range(25))
def test_any_mask_against_brute_force(seed):
    mask = random_mask(seed)
    axes = nodule_axes(mask, (0, 0, 0), affine(origin=(0, 0, 0)))
    lengths = [brute_long(plane, SPACING) for plane in mask]
    assert axes.long_mm == pytest.approx(max(lengths), abs=1e-9)
    start, end = (np.array(p)[[1, 0]] for p in axes.long_ras)
    plane = mask[axes.slice_index]
    assert axes.short_mm == pytest.approx(brute_short(plane, SPACING, start, end), abs=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_end_points_are_as_far_apart_as_said_and_at_right_angles(seed):
    axes = nodule_axes(random_mask(seed), (5, 6, 7), affine(rotation=rotation(seed, 35)))
    long, short = (np.subtract(*ends) for ends in (axes.long_ras, axes.short_ras))
    assert np.linalg.norm(long) == pytest.approx(axes.long_mm, abs=1e-9)
    assert np.linalg.norm(short) == pytest.approx(axes.short_mm, abs=1e-9)
    assert np.dot(long, short) == pytest.approx(0, abs=1e-8)
    assert axes.short_mm <= axes.long_mm + 1e-9
    assert axes.mean_mm == (axes.long_mm + axes.short_mm) / 2


def test_end_points_lie_on_pixel_edges_of_the_right_slice():
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[1, 2, 1:4] = True
    matrix = affine()
    axes = nodule_axes(mask, (10, 20, 30), matrix)
    assert axes.slice_index == 11
    kji = (np.array(axes.long_ras) - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T[:, ::-1]
    assert np.allclose(kji[:, 0], 11)
    assert sorted(np.round(kji[:, 2], 9)) == [30.5, 33.5]
    assert sorted(np.round(kji[:, 1], 9)) == [21.5, 22.5]


@pytest.mark.parametrize("seed", range(8))
def test_lengths_ignore_quarter_turns_mirrors_and_place(seed):
    mask = random_mask(seed)
    want = nodule_axes(mask, (0, 0, 0), affine((2.5, 0.7, 0.7)))
    padded = np.pad(mask, ((1, 2), (3, 0), (0, 4)))
    for changed in (np.rot90(mask, 1, (1, 2)), mask[:, ::-1], mask[:, :, ::-1], padded):
        got = nodule_axes(changed, (40, 50, 60), affine((2.5, 0.7, 0.7), origin=(1, 2, 3)))
        assert got.long_mm == pytest.approx(want.long_mm, abs=1e-9)
        assert got.short_mm == pytest.approx(want.short_mm, abs=1e-9)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_the_array_axes_does_not_matter(order):
    mask, matrix, offset = random_mask(3), affine(rotation=rotation(1, 20)), np.array([4, 5, 6])
    want = nodule_axes(mask, offset, matrix)
    columns = matrix[:3, 2::-1][:, list(order)]  # k, j, i of the permuted array
    permuted = matrix.copy()
    permuted[:3, :3] = columns[:, ::-1]
    got = nodule_axes(mask.transpose(order), offset[list(order)], permuted)
    assert axial_axis(permuted) == order.index(0)
    assert got.long_mm == pytest.approx(want.long_mm, abs=1e-9)
    assert got.short_mm == pytest.approx(want.short_mm, abs=1e-9)
    assert np.allclose(sorted(got.long_ras), sorted(want.long_ras))


def test_turning_the_grid_turns_the_end_points():
    mask, turn = random_mask(5), rotation(2, 30)
    plain = nodule_axes(mask, (1, 2, 3), affine())
    turned = nodule_axes(mask, (1, 2, 3), affine(rotation=turn, origin=turn @ np.array([10.0, -20.0, 30.0])))
    assert turned.long_mm == pytest.approx(plain.long_mm, abs=1e-9)
    assert np.allclose(np.array(plain.long_ras) @ turn.T, turned.long_ras)
    assert np.allclose(np.array(plain.short_ras) @ turn.T, turned.short_ras)


def test_a_sheared_grid_is_measured_in_millimetres():
    # Columns of i and j at 60 degrees: 2 x 1 pixels are a parallelogram with sides 2 and 1, diagonals sqrt(7), sqrt(3).
    matrix = np.eye(4)
    matrix[:2, 1] = (0.5, math.sqrt(3) / 2)
    axes = nodule_axes(np.ones((1, 1, 2), dtype=bool), (0, 0, 0), matrix)
    assert axes.long_mm == pytest.approx(math.sqrt(7))


def test_the_longest_slice_is_taken_and_of_equal_ones_the_largest():
    mask = np.zeros((3, 5, 5), dtype=bool)
    mask[0, 2, :] = True  # 5 x 1
    mask[1, 1:4, :] = True  # 5 x 3
    mask[2, 0, :4] = True
    assert nodule_axes(mask, (0, 0, 0), np.eye(4)).slice_index == 1
    mask[0] = mask[2] = np.eye(5, dtype=bool)  # as long as a 5 x 5 square's diagonal
    mask[2, 2, 1] = True
    assert nodule_axes(mask, (0, 0, 0), np.eye(4)).slice_index == 2


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="`mask`"):
        nodule_axes(np.zeros((2, 2, 2), dtype=bool), (0, 0, 0), np.eye(4))
