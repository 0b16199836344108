"""Hollowed and resharpened crops: the outline, the wall and the surroundings stay; the inside becomes lung."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.training.synthetic import disc
from training.data.appearance import LEAST_DEPTH_PX, hollowed, resharpened


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


def test_softer_and_sharper():
    image, _ = ball(10, grain=0.0)
    contrasts = []
    for seed in range(20):
        out = resharpened(image, np.random.default_rng(seed))
        assert out.shape == image.shape
        assert out.dtype == np.float32
        assert np.allclose(out.mean(), image.mean(), atol=0.05)
        contrasts.append(float(np.abs(np.diff(out[1, 64])).max()))
    plain = float(np.abs(np.diff(image[1, 64])).max())
    assert min(contrasts) < 0.8 * plain
    assert max(contrasts) > 1.1 * plain
