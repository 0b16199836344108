"""Distances of surfaces by hand, and against MONAI's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from training.metrics import dice_of_masks, hausdorff_95_mm, surface_distances, surface_voxels, volume_error


def box(low: tuple[int, int, int], high: tuple[int, int, int], shape=(12, 20, 20)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high))] = True
    return mask


def test_the_surface_of_a_cube_is_its_shell():
    cube = box((2, 4, 4), (7, 9, 9))
    assert surface_voxels(cube).sum() == 5**3 - 3**3
    # What lies beyond the array is outside: a mask that fills it has a surface too.
    assert surface_voxels(np.ones((5, 5, 5), bool)).sum() == 5**3 - 3**3


@pytest.mark.parametrize(("step", "expected"), [((1, 0, 0), 2.5), ((0, 1, 0), 0.7), ((0, 0, 3), 3 * 0.6)])
def test_a_shifted_cube_is_as_far_as_the_shift(step, expected):
    spacing = (2.5, 0.7, 0.6)
    cube = box((3, 5, 5), (8, 13, 13))
    moved = box(tuple(3 + step[0:1][0] if n == 0 else 5 + step[n] for n in range(3)),
                tuple((8, 13, 13)[n] + step[n] for n in range(3)))  # fmt: skip
    assert hausdorff_95_mm(moved, cube, spacing, percent=100) == pytest.approx(expected)
    assert hausdorff_95_mm(cube, cube, spacing) == 0


def test_two_voxels_by_hand():
    one, other = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    one[0, 0, 0] = other[1, 2, 3] = True
    assert hausdorff_95_mm(one, other, (3.0, 2.0, 1.0)) == pytest.approx(np.sqrt(9 + 16 + 9))
    both = one | other
    there, back = surface_distances(both, one, (3.0, 2.0, 1.0))
    assert sorted(there) == pytest.approx([0, np.sqrt(34)])
    assert back.tolist() == [0]
    # 95 % of two distances, linearly between them.
    assert hausdorff_95_mm(both, one, (3.0, 2.0, 1.0)) == pytest.approx(0.95 * np.sqrt(34))


def test_a_sphere_in_a_larger_one():
    grid = np.stack(np.indices((31, 31, 31)) - 15)
    distance = np.sqrt((grid**2).sum(axis=0))
    found = hausdorff_95_mm(distance <= 12, distance <= 8, (1, 1, 1))
    assert found == pytest.approx(4, abs=0.7)
    assert dice_of_masks(distance <= 12, distance <= 8) == pytest.approx(2 * 8**3 / (8**3 + 12**3), abs=0.01)


def test_the_far_tail_is_left_out():
    """One stray voxel among many moves the 100 % distance and not the 95 % one."""
    cube = box((2, 4, 4), (9, 14, 14))
    stray = cube.copy()
    stray[10, 19, 19] = True
    assert hausdorff_95_mm(stray, cube, (1, 1, 1)) == 0
    assert hausdorff_95_mm(stray, cube, (1, 1, 1), percent=100) > 5


def test_an_empty_mask_has_no_distance():
    empty, cube = np.zeros((5, 5, 5), bool), np.ones((5, 5, 5), bool)
    assert hausdorff_95_mm(empty, cube, (1, 1, 1)) is None
    assert hausdorff_95_mm(cube, empty, (1, 1, 1)) is None
    with pytest.raises(ValueError, match="empty mask"):
        surface_distances(empty, cube, (1, 1, 1))


def test_dice_and_volume_by_hand():
    assert dice_of_masks(box((0, 0, 0), (2, 2, 2)), box((1, 0, 0), (3, 2, 2))) == 0.5
    assert dice_of_masks(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)) == 1
    assert (volume_error(150, 100), volume_error(0, 100), volume_error(100, 100)) == (0.5, -1, 0)
    with pytest.raises(ValueError, match="positive"):
        volume_error(1, 0)


def blob(seed: int, shape=(9, 12, 12)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.normal(size=shape), 1.2) > 0.15


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.tuples(*[st.floats(0.4, 3)] * 3))
def test_symmetric_and_scales_with_the_voxels(seed, spacing):
    one, other = blob(seed), blob(seed + 1)
    found = hausdorff_95_mm(one, other, spacing)
    assert found == pytest.approx(hausdorff_95_mm(other, one, spacing))
    assert hausdorff_95_mm(one, other, [2 * s for s in spacing]) == pytest.approx(2 * found)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_against_monai():
    metrics = pytest.importorskip("monai.metrics", reason="monai (extra `training`) is not installed")
    import torch

    for seed in range(5):
        one, other = blob(seed), blob(seed + 50)
        pair = [torch.tensor(m)[None, None].float() for m in (one, other)]
        reference = metrics.compute_hausdorff_distance(
            *pair, include_background=True, percentile=95, spacing=(2.5, 0.7, 0.6)
        )
        assert hausdorff_95_mm(one, other, (2.5, 0.7, 0.6)) == pytest.approx(float(reference), abs=1e-4)
