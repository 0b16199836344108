"""The stack of a candidate: its own slices, its middle in the middle, the same from HU and from 8 bits."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.stack import FILLED_PX, PIXEL_MM, SLICES, STACK_PX, around, candidate_stack, levels


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(4, 4, [4] * 5), (4, 6, [4, 4, 5, 6, 6]), (0, 4, [0, 1, 2, 3, 4]), (10, 18, [10, 12, 14, 16, 18])],
)
def test_slices_are_those_of_the_candidate(first, last, expected):
    assert levels(first, last).tolist() == expected


def test_resampling_keeps_places_in_mm():
    plane = np.tile(np.arange(100, dtype=np.float32), (2, 100, 1))  # the value is the column
    out = around(plane, (50.0, 40.0), (0.9, 1.4), 8)
    # Half a stack pixel right of the middle is .25 columns of 1.4 mm; the border goes on where the image ends.
    np.testing.assert_allclose(out[0, 0], 40 + (np.arange(8) - 3.5) * PIXEL_MM / 1.4, rtol=1e-5)
    down = around(plane.transpose(0, 2, 1).copy(), (50.0, 40.0), (0.9, 1.4), 8)
    np.testing.assert_allclose(down[0, :, 0], 50 + (np.arange(8) - 3.5) * PIXEL_MM / 0.9, rtol=1e-5)
    assert (around(plane, (50.0, 99.0), (0.9, 1.4), 8)[0, 0, -4:] == 99).all()


def bright(centre, spacing=(2.5, 0.7, 0.7), shape=(12, 160, 170)):
    """A CT of lung at noise of 20 HU with a disc of 8 pixels radius around a centre (row, column) on slices 4 to 6."""
    hu = np.random.default_rng(0).normal(-850, 20, shape).round().astype(np.int16)
    rows, columns = np.ogrid[: shape[1], : shape[2]]
    disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= 64
    hu[4:7, disc] = 40
    return CT.from_array(hu, spacing_mm=spacing), disc


@pytest.mark.parametrize("centre", [(80, 90), (12, 160)])
def test_a_candidate_lies_in_the_middle_of_its_stack_even_at_the_border(centre):
    ct, disc = bright(centre)
    rows, columns = np.nonzero(disc)
    low = rows.min(), columns.min()
    mask = np.repeat(disc[low[0] : rows.max() + 1, low[1] : columns.max() + 1][None], 3, axis=0)
    stack = candidate_stack(ct, (4, int(low[0]), int(low[1])), mask)
    assert stack.shape == (SLICES, STACK_PX, STACK_PX) and stack.dtype == np.float32
    middle = slice(STACK_PX // 2 - 3, STACK_PX // 2 + 3)
    assert (stack[:, middle, middle] > 0.9).all()
    if centre == (80, 90):
        found = np.argwhere(stack[2] > 0.5).mean(axis=0)
        np.testing.assert_allclose(found, (STACK_PX - 1) / 2, atol=0.6)


def test_gain_and_offset_do_not_matter():
    ct, disc = bright((80, 90))
    low = np.argwhere(disc).min(axis=0)
    mask = np.ones((3, 17, 17), bool)
    grey = CT.from_array((ct.hu // 2 + 500).astype(np.int16), spacing_mm=ct.spacing_mm)
    one, other = (candidate_stack(c, (4, *map(int, low)), mask) for c in (ct, grey))
    np.testing.assert_allclose(one, other, atol=0.01)


def test_a_ct_smaller_than_a_tile():
    ct = CT.from_array(np.full((2, 40, 50), -800, np.int16), spacing_mm=(5.0, 0.9, 0.9))
    assert candidate_stack(ct, (1, 10, 10), np.ones((1, 3, 3), bool)).shape == (SLICES, STACK_PX, STACK_PX)


@pytest.mark.parametrize("radius_mm", [10.0, 20.0, 30.0])
def test_a_mass_is_shown_with_what_is_around_it(radius_mm):
    """Up to 28 mm at pixels of .7 mm, larger ones so that they take 40 of the 64 pixels."""
    spacing = (2.5, 0.8, 0.8)
    rows, columns = np.ogrid[:200, :200]
    disc = ((rows - 100) * 0.8) ** 2 + ((columns - 90) * 0.8) ** 2 <= radius_mm**2
    hu = np.random.default_rng(0).normal(-850, 20, (3, 200, 200)).round().astype(np.int16)
    hu[:, disc] = 40
    low = np.argwhere(disc).min(axis=0)
    mask = np.repeat(disc[disc.any(axis=1)][:, disc.any(axis=0)][None], 3, axis=0)
    stack = candidate_stack(CT.from_array(hu, spacing_mm=spacing), (0, int(low[0]), int(low[1])), mask)
    across = (stack[2, STACK_PX // 2] > 0.5).sum()
    assert across == pytest.approx(min(2 * radius_mm / PIXEL_MM, FILLED_PX), abs=2.5)
    assert (stack[:, [0, -1]] < 0.2).all()  # lung at its border
