"""Cavities: hollowed crops keep outline, wall and surroundings; shells are tissue around air."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from Testing.training.synthetic import disc
from training.data.cavities import LEAST_DEPTH_PX, RADIUS_MM, hollowed, with_shell


def ball(radius: float, grain: float = 4.0):
    """Three slices of a bright ball in noisy lung: image and outlines."""
    outlines = np.stack([disc(128, 64, 64, r).astype(bool) for r in (radius * 0.9, radius, radius * 0.9)])
    image = np.where(outlines, 200.0, 40.0) + np.random.default_rng(0).normal(0, grain, outlines.shape)
    return image.astype(np.float32), outlines


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("radius", [5.0, 9.0, 16.0])
def test_a_cavity_is_air_within_a_wall(radius, seed):
    image, outlines = ball(radius)
    out = hollowed(image, outlines, np.random.default_rng(seed))
    assert out.dtype == np.float32
    assert np.array_equal(out[~outlines & (image < 100)], image[~outlines & (image < 100)])
    changed = (image - out) > 80
    assert changed[1].any(), "nothing was hollowed"
    assert not (changed & ~outlines).any()
    # The inside is like the lung around, no darker than its darkest grain.
    assert out[changed].min() > 40 - 6 * 4
    # The outermost pixels of the outline are the wall.
    rim = outlines[1] & ~disc(128, 64, 64, radius - 1).astype(bool)
    assert (out[1][rim] > 120).mean() > 0.9


def test_what_is_too_small_stays():
    image, outlines = ball(LEAST_DEPTH_PX - 0.8)
    assert hollowed(image, outlines, np.random.default_rng(0)) is image


def test_slices_without_outline_stay():
    image, outlines = ball(10)
    outlines[0] = False
    out = hollowed(image, outlines, np.random.default_rng(0))
    assert np.array_equal(out[0], image[0])
    assert not np.array_equal(out[1], image[1])


def test_grain_and_level_follow_the_image():
    """Another gain and offset of the image: the same picture in that scale."""
    image, outlines = ball(10)
    one = hollowed(image, outlines, np.random.default_rng(3))
    other = hollowed(image * 5 - 1000, outlines, np.random.default_rng(3))
    assert np.allclose(other, one * 5 - 1000, atol=0.05)


SPACING = (2.0, 0.7, 0.7)


def drawn(seed: int, slices: int = 3, spacing=SPACING):
    image = np.full((slices, 128, 128), -870.0, np.float32)
    label = np.zeros((128, 128), np.uint8)
    return with_shell(image, label, (60, 70), spacing, np.random.default_rng(seed)), label


@pytest.mark.parametrize("seed", range(8))
def test_a_shell_is_tissue_around_air(seed):
    image, label = drawn(seed)
    assert image.dtype == np.float32 and image.shape == (3, 128, 128)
    inside = label == 1
    deep = ndimage.distance_transform_edt(inside)
    rows, columns = np.nonzero(inside)
    assert abs(rows.mean() - 60) < 3 and abs(columns.mean() - 70) < 3
    assert inside.sum() * 0.49 < np.pi * (RADIUS_MM[1] * 1.6) ** 2
    # What lies well outside is as it was; the rim holds tissue.
    assert (image[1][ndimage.distance_transform_edt(~inside) > 4] == -870).all()
    rim = image[1][inside & (deep < 3)]
    assert rim.mean() > -750


def test_most_shells_hold_air_in_the_middle_slice():
    """Not all do: a small one is cut near its top, where the wall lies flat."""
    hollow = 0
    for seed in range(40):
        image, label = drawn(seed)
        hollow += image[1][label == 1].min() < -750
    assert hollow > 25


def test_a_shell_ends_within_the_stack():
    """A bronchus goes on through the slices; a shell of at most 11 mm radius does not reach 40 mm away."""
    image, _ = drawn(0, slices=41)
    assert (image[[0, -1]] == -870).all()
    assert image[20].max() > -700


def test_tissue_under_a_shell_is_not_made_darker_than_its_wall():
    image = np.full((3, 128, 128), 40.0, np.float32)
    label = np.zeros((128, 128), np.uint8)
    before = image.copy()
    out = with_shell(image, label, (64, 64), SPACING, np.random.default_rng(1))
    assert np.array_equal(image, before)
    rim = (label == 1) & (ndimage.distance_transform_edt(label) < 1.5)
    assert out[1][rim].mean() > -300
