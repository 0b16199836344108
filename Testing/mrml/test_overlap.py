"""Whether two masks show one nodule, and their union."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.mrml.overlap import Placed, same_nodule, united


def box(offset, size) -> Placed:
    return Placed(np.ones(size, bool), offset)


@pytest.mark.parametrize(
    ("new", "kept", "same"),
    [
        (box((0, 0, 0), (2, 10, 10)), box((0, 0, 0), (2, 10, 10)), True),
        # A Dice of .3 is 3 of 10 columns: not more than that, and neither centre lies in the other.
        (box((0, 0, 0), (2, 10, 10)), box((0, 0, 7), (2, 10, 10)), False),
        (box((0, 0, 0), (2, 10, 10)), box((0, 0, 6), (2, 10, 10)), True),
        (box((0, 0, 0), (2, 10, 10)), box((0, 0, 10), (2, 10, 10)), False),
        (box((5, 5, 5), (1, 1, 1)), box((0, 0, 0), (11, 11, 11)), True),  # a part of it
        (box((0, 0, 0), (1, 1, 1)), box((0, 0, 0), (11, 11, 11)), True),
        (box((3, 40, 2), (2, 2, 2)), box((3, 4, 2), (2, 2, 2)), False),
    ],
)
def test_same_nodule(new, kept, same):
    assert same_nodule(new, kept) == same


def test_the_centre_counts_only_where_voxels_are():
    """A ring around a nodule is another finding, though its centre lies in the nodule."""
    ring = np.ones((1, 9, 9), bool)
    ring[0, 2:7, 2:7] = False
    assert not same_nodule(Placed(ring, (0, 0, 0)), box((0, 3, 3), (1, 3, 3)))


def test_a_rim_with_its_centre_in_the_kept_one_is_the_same():
    ring = np.ones((1, 9, 9), bool)
    ring[0, 1:8, 1:8] = False
    assert same_nodule(Placed(ring, (0, 0, 0)), box((0, 0, 0), (1, 6, 6)))


def test_united():
    first, second = box((2, 3, 4), (2, 2, 2)), box((3, 4, 8), (3, 1, 1))
    whole = united([first, second])
    expected = np.zeros((10, 10, 10), bool)
    expected[first.box] = expected[second.box] = True
    there = np.zeros_like(expected)
    there[whole.box] = whole.mask
    np.testing.assert_array_equal(there, expected)
    assert whole.offset_kji == (2, 3, 4) and whole.mask.shape == (4, 2, 5)
    assert first.shared_with(second) == 0
