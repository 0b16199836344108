"""Up and down from slice to slice."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.inference.walk import walk

SPACING = (2.0, 1.0, 1.0)


def discs(*entries, depth=12, size=60):
    """Discs (k, j, i, radius)."""
    mask = np.zeros((depth, size, size), bool)
    j, i = np.indices((size, size))
    for k, j0, i0, radius in entries:
        mask[k] |= (j - j0) ** 2 + (i - i0) ** 2 <= radius**2
    return mask


def test_takes_the_connected_slices_and_nothing_else():
    ball = discs(*[(k, 30, 30, 6 - abs(k - 5)) for k in range(2, 9)])
    other = discs(*[(k, 30, 50, 4) for k in range(2, 9)])
    for start in [(k, 30, 30) for k in range(2, 9)]:
        np.testing.assert_array_equal(walk(ball | other, start, SPACING), ball)


def test_one_missing_slice_is_bridged_and_two_are_not():
    one = discs(*[(k, 30, 30, 5) for k in (2, 3, 5, 6)])
    np.testing.assert_array_equal(walk(one, (2, 30, 30), SPACING), one)
    two = discs(*[(k, 30, 30, 5) for k in (2, 3, 4, 7, 8)])
    np.testing.assert_array_equal(walk(two, (2, 30, 30), SPACING), discs(*[(k, 30, 30, 5) for k in (2, 3, 4)]))


def test_a_jump_ends_it():
    nodule = discs((4, 30, 30, 5), (5, 30, 30, 5))
    # On the next slice a vessel begins that touches the nodule's edge and leads away.
    vessel = np.zeros_like(nodule)
    vessel[6, 29:32, 34:58] = True
    np.testing.assert_array_equal(walk(nodule | vessel, (4, 30, 30), SPACING), nodule)


@pytest.mark.parametrize("start", [(1, 20, 20), (5, 30, 30), (9, 40, 40)])
def test_an_oblique_structure_is_followed_from_anywhere(start):
    rod = discs(*[(k, 17.5 + 2.5 * k, 17.5 + 2.5 * k, 5) for k in range(1, 10)])
    np.testing.assert_array_equal(walk(rod, start, SPACING), rod)
