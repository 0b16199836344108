"""Magnified tiles: constants stay, places move as they should, and the way back leads home."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.zoom import covered, zoomed

PX = 128


def blob(centre=(63.5, 63.5), radius=10.0) -> np.ndarray:
    y, x = np.mgrid[:PX, :PX]
    return np.exp(-(((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * radius**2))).astype(np.float32)


@pytest.mark.parametrize("zoom", [0.5, 0.8, 1.25, 2.0])
def test_a_constant_stays(zoom):
    assert np.allclose(zoomed(np.full((2, 3, PX, PX), 7.0), zoom), 7.0, atol=1e-4)


@pytest.mark.parametrize("zoom", [0.8, 1.25, 2.0])
def test_sizes_and_places_are_magnified_about_the_middle(zoom):
    got = zoomed(blob((63.5 + 8, 63.5 - 12), 6.0), zoom)
    expected = blob((63.5 + 8 * zoom, 63.5 - 12 * zoom), 6.0 * zoom)
    assert np.abs(got - expected).max() < 0.03


def test_what_leaves_the_tile_is_reflected_with_its_end_pixel_once_more():
    line = np.tile(np.arange(PX, dtype=np.float32), (PX, 1))
    got = zoomed(line, 0.5)[0]
    # Pixel 0 shows the place 2 * (0 - 63.5) + 63.5 = -63.5, so the mean of pixels 62 and 63 of the mirrored line.
    assert got[0] == pytest.approx(62.5)
    assert got[-1] == pytest.approx(PX - 1 - 62.5)


@pytest.mark.parametrize("zoom", [0.8, 1.25])
def test_there_and_back(zoom):
    image = blob() + blob((50, 80), 8.0)
    back = zoomed(zoomed(image, zoom), 1 / zoom)
    inside = covered(PX, zoom) > 0
    assert np.abs(back - image)[inside].max() < 0.02
    assert inside.all() == (zoom < 1)


@pytest.mark.parametrize("zoom", [1.25, 1.5, 2.0])
def test_what_a_magnified_tile_still_shows(zoom):
    """A line of ones with zeros beyond it: the way back sees only ones where the tile reached."""
    shown = covered(PX, zoom)
    width = int(shown[PX // 2].sum())
    assert PX / zoom - 4 <= width <= PX / zoom
    assert np.array_equal(shown, shown[::-1, ::-1])


def test_one_changes_nothing():
    image = np.random.default_rng(0).normal(size=(2, PX, PX)).astype(np.float32)
    assert np.array_equal(zoomed(image, 1.0), image)
