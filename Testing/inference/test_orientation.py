"""Any orientation of the array, the same patient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.orientation import axial_view

ORDERS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
]


def turned(ct, order, flips):
    """The same patient stored otherwise."""
    hu = ct.hu.transpose(order)[tuple(slice(None, None, -1) if f else slice(None) for f in flips)]
    affine = np.eye(4)
    affine[:3, 3] = ct.ijk_to_ras[:3, 3]
    for axis, (source, flip) in enumerate(zip(order, flips)):
        column = ct.ijk_to_ras[:3, 2 - source]
        affine[:3, 2 - axis] = -column if flip else column
        if flip:
            affine[:3, 3] += column * (ct.shape[source] - 1)
    return CT.from_array(hu, ijk_to_ras=affine)


@pytest.fixture(scope="module")
def usual():
    hu = np.random.default_rng(0).integers(-1000, 400, (4, 5, 6)).astype(np.int16)
    return CT.from_array(hu, spacing_mm=(2.5, 0.7, 0.8))


def test_a_usual_ct_is_left_alone(usual):
    view = axial_view(usual)
    assert view.same and view.ct is usual


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_every_orientation_comes_to_the_usual_one_and_back(usual, order, flips):
    ct = turned(usual, order, flips)
    view = axial_view(ct)
    np.testing.assert_array_equal(view.ct.hu, usual.hu)
    np.testing.assert_allclose(view.ct.ijk_to_ras, usual.ijk_to_ras)
    np.testing.assert_array_equal(view.back(view.turn(ct.hu)), ct.hu)
    # A voxel and a box of the turned CT lie where the patient's do.
    box = (slice(1, 3), slice(0, 4), slice(2, 6))
    offset, part = view.box_back((1, 0, 2), view.ct.hu[box])
    np.testing.assert_array_equal(part, ct.hu[tuple(slice(o, o + n) for o, n in zip(offset, part.shape))])
    ras = view.ct.kji_to_ras((1, 0, 2))
    np.testing.assert_array_equal(view.voxel(np.rint(ct.ras_to_kji(ras)).astype(int)), (1, 0, 2))


def test_an_oblique_ct_is_turned_to_the_nearest(usual):
    angle = np.radians(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = CT.from_array(usual.hu, ijk_to_ras=turn @ usual.ijk_to_ras)
    assert axial_view(oblique).same
    other = turned(oblique, (2, 0, 1), (True, False, True))
    np.testing.assert_array_equal(axial_view(other).ct.hu, usual.hu)
