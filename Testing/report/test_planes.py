"""Slices along anatomical planes, against positions computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.report.planes import Plane, anatomical_axes, plane, sample

AXIAL = np.array([[-0.7, 0, 0, 100], [0, -0.7, 0, 50], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])


def test_axes_of_a_usual_axial_scan():
    assert np.allclose(anatomical_axes(AXIAL), np.eye(3))


def test_axes_of_a_sagittal_acquisition_follow_the_voxels():
    matrix = np.array([[0, 0, 3.0, 0], [-1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
    assert np.allclose(anatomical_axes(matrix), np.eye(3))


def test_axes_of_an_oblique_scan_are_its_voxel_axes():
    angle = np.deg2rad(20)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ AXIAL[:3, :3]
    axes = anatomical_axes(matrix)
    assert np.allclose(axes @ axes.T, np.eye(3))
    assert np.allclose(axes[2], turn[:, 2])


@pytest.mark.parametrize(
    ("view", "left", "top"),
    [("axial", (1, 0, 0), (0, 1, 0)), ("coronal", (1, 0, 0), (0, 0, 1)), ("sagittal", (0, 1, 0), (0, 0, 1))],
)
def test_radiological_convention(view, left, top):
    where = plane(view, np.eye(3), (10.0, 20.0, 30.0), (101, 81), 0.5)
    x, y = where.to_pixel(np.add((10, 20, 30), np.multiply(left, 5.0)))
    assert (x, y) == pytest.approx((50 - 10, 40))  # 5 mm are 10 px, towards the left of the picture
    x, y = where.to_pixel(np.add((10, 20, 30), np.multiply(top, 5.0)))
    assert (x, y) == pytest.approx((50, 40 - 10))
    assert where.letters[0] == "RAS"[np.argmax(left)]
    assert where.letters[2] == "RAS"[np.argmax(top)]


def test_points_and_to_pixel_are_inverse():
    where = plane("coronal", np.eye(3), (1.0, 2.0, 3.0), (7, 5), 1.5)
    points = where.points()
    assert points.shape == (5, 7, 3)
    for y in range(5):
        for x in range(7):
            assert where.to_pixel(points[y, x]) == pytest.approx((x, y))
            assert where.distance_mm(points[y, x]) == pytest.approx(0, abs=1e-9)
    assert where.distance_mm((1.0, 6.0, 3.0)) == pytest.approx(4.0)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("view", ["axial", "coronal", "sagittal"])
def test_sample_gives_the_voxels_themselves_at_their_centres(view, order):
    rng = np.random.default_rng(1)
    hu = rng.integers(-1000, 400, (9, 11, 13)).astype(np.int16)
    ct = CT.from_array(hu, ijk_to_ras=np.diag([-1.0, -1.0, 1.0, 1.0]))
    centre = ct.kji_to_ras(np.array([4.0, 5.0, 6.0]))
    where = plane(view, anatomical_axes(ct.ijk_to_ras), centre, (9, 9), 1.0)
    # i ascends to the patient's left (the picture's right), j to the back, k to the head (up).
    wanted = {
        "axial": hu[4, 1:10, 2:11],
        "coronal": hu[0:9, 5, 2:11][::-1],
        "sagittal": hu[0:9, 1:10, 6][::-1],
    }[view]
    assert np.allclose(sample(ct.hu, (0, 0, 0), ct, where, order=order), wanted, atol=0.05)


def test_sample_beyond_the_volume_is_outside():
    ct = CT.from_array(np.zeros((3, 3, 3), np.int16))
    where = plane("axial", np.eye(3), (500.0, 0, 0), (4, 3), 1.0)
    assert (sample(ct.hu, (0, 0, 0), ct, where) == -1024).all()
    edge = plane("axial", np.eye(3), tuple(ct.kji_to_ras(np.array([1.0, 1.0, 1.0]))), (9, 1), 1.0)
    assert sample(ct.hu, (0, 0, 0), ct, edge, outside=7.0)[0].tolist() == [7, 7, 7, 0, 0, 0, 7, 7, 7]


def test_sample_of_a_box_equals_sample_of_the_whole():
    rng = np.random.default_rng(2)
    hu = np.zeros((12, 12, 12), np.int16)
    hu[3:9, 3:9, 3:9] = rng.integers(1, 500, (6, 6, 6))
    ct = CT.from_array(hu)
    where = plane("coronal", anatomical_axes(ct.ijk_to_ras), ct.kji_to_ras(np.array([6.0, 5.5, 6.0])), (20, 20), 0.4)
    whole = sample(ct.hu, (0, 0, 0), ct, where, outside=0.0)
    box = sample(ct.hu[1:11, 1:11, 1:11], (1, 1, 1), ct, where, outside=0.0)
    assert np.allclose(whole, box)


def test_unknown_view_is_refused():
    with pytest.raises(ValueError, match="Expected argument `view`"):
        plane("oblique", np.eye(3), (0, 0, 0), (3, 3), 1.0)


def test_plane_is_a_value():
    assert plane("axial", np.eye(3), (0, 0, 0), (3, 3), 1.0) == Plane(
        (0, 0, 0), (-1, 0, 0), (0, -1, 0), (3, 3), 1.0, ("R", "L", "A", "P")
    )
