"""Centroid, volume and mean HU, oblique grids included, and the whole of ``measure_nodule``."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.nodules import Nodule, measure_nodule
from LungNoduleSegLib.nodules.measure import centroid_ras, mean_hu, volume_mm3, voxel_volume_mm3

SPACING = (2.5, 0.6, 0.9)


def oblique(spacing_kji=SPACING, origin=(12.0, -34.0, 56.0)) -> np.ndarray:
    """Turned by 20 degrees about x and then by 30 about z."""
    a, b = np.deg2rad((20, 30))
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag(spacing_kji[::-1])
    matrix[:3, 3] = origin
    return matrix


def scan(shape=(12, 40, 44), matrix=None, seed=0) -> CT:
    hu = np.random.default_rng(seed).integers(-1000, 300, shape).astype(np.int16)
    return CT.from_array(hu, ijk_to_ras=oblique() if matrix is None else matrix)


def ball(radius_mm=5.0, spacing_kji=SPACING) -> np.ndarray:
    half = [math.ceil(radius_mm / s) for s in spacing_kji]
    grid = np.mgrid[tuple(slice(-h, h + 1) for h in half)]
    return sum((g * s) ** 2 for g, s in zip(grid, spacing_kji, strict=True)) <= radius_mm**2


def test_centroid_by_hand_on_an_axial_grid():
    # Two voxels at i = 3 and 4, j = 2, k = 1: mean i 3.5. A usual scan: i to the left, j to the back, so x = -3.5 * .9.
    ct = CT.from_array(np.zeros((5, 8, 8), dtype=np.int16), spacing_mm=SPACING)
    mask = np.ones((1, 1, 2), dtype=bool)
    assert centroid_ras(mask, (1, 2, 3), ct.ijk_to_ras) == pytest.approx((-3.5 * 0.9, -2 * 0.6, 2.5))


def test_centroid_on_an_oblique_grid_is_the_mean_of_the_voxels_places():
    mask = np.random.default_rng(1).random((3, 4, 5)) < 0.5
    ct = scan()
    want = ct.kji_to_ras(np.argwhere(mask) + (2, 3, 4)).mean(axis=0)
    assert centroid_ras(mask, (2, 3, 4), ct.ijk_to_ras) == pytest.approx(tuple(want), abs=1e-9)


def test_volume_is_additive_and_knows_the_voxel_on_any_grid():
    rng = np.random.default_rng(2)
    one = rng.random((4, 5, 6)) < 0.4
    other = (rng.random((4, 5, 6)) < 0.4) & ~one
    assert voxel_volume_mm3(oblique()) == pytest.approx(2.5 * 0.6 * 0.9)
    total = volume_mm3(one, oblique()) + volume_mm3(other, oblique())
    assert volume_mm3(one | other, oblique()) == pytest.approx(total)
    sheared = np.eye(4)
    sheared[0, 1] = 0.3  # keeps the volume
    assert voxel_volume_mm3(sheared) == pytest.approx(1.0)


def test_mean_hu_does_not_overflow_int16():
    assert mean_hu(np.ones((40, 50, 50), dtype=bool), np.full((40, 50, 50), 3000, dtype=np.int16)) == 3000.0


def test_all_of_a_nodule():
    ct = scan()
    mask = ball()
    offset = (3, 10, 12)
    made = measure_nodule(mask, offset, ct, label=2, probability=0.75, uid="2.25.5", side="right")
    inside = np.zeros(ct.shape, dtype=bool)
    inside[tuple(slice(o, o + n) for o, n in zip(offset, mask.shape, strict=True))] = mask
    assert (made.uid, made.label, made.probability, made.side) == ("2.25.5", 2, 0.75, "right")
    assert made.mean_hu == pytest.approx(ct.hu[inside].mean(dtype=float))
    assert made.volume_mm3 == pytest.approx(inside.sum() * 2.5 * 0.6 * 0.9)
    assert made.equivalent_diameter_mm == pytest.approx(10.0, rel=0.03)
    assert made.mean_diameter_mm == (made.long_axis_mm + made.short_axis_mm) / 2
    assert made.long_axis_mm == pytest.approx(10.0, abs=math.hypot(0.6, 0.9))  # outer edges: up to a pixel's diagonal
    centre = np.array(offset) + (np.array(mask.shape) - 1) / 2
    assert made.centroid_ras == pytest.approx(tuple(ct.kji_to_ras(centre)), abs=1e-9)
    found = np.argwhere(inside)
    assert made.bounds_kji == (tuple(found.min(axis=0)), tuple(found.max(axis=0) + 1))
    # The axes run through the nodule's middle, in the slice's plane.
    normal = ct.ijk_to_ras[:3, 2] / np.linalg.norm(ct.ijk_to_ras[:3, 2])
    for ends in (made.long_axis_ras, made.short_axis_ras):
        assert np.dot(np.subtract(*ends), normal) == pytest.approx(0, abs=1e-9)
    assert np.mean(made.long_axis_ras, axis=0) == pytest.approx(made.centroid_ras, abs=1.0)


def test_padding_and_place_change_nothing_but_the_place():
    ct = CT.from_array(np.full((20, 60, 60), -100, dtype=np.int16), spacing_mm=SPACING)
    mask = ball(4.0)
    here = measure_nodule(mask, (2, 3, 4), ct, label=1, probability=0.5, uid="2.25.1")
    padded = measure_nodule(np.pad(mask, 2), (0, 1, 2), ct, label=1, probability=0.5, uid="2.25.1")
    assert padded == here
    moved = measure_nodule(mask, (5, 23, 14), ct, label=1, probability=0.5, uid="2.25.1")
    shift = np.subtract(moved.centroid_ras, here.centroid_ras)
    assert shift == pytest.approx(np.array([-10 * 0.9, -20 * 0.6, 3 * 2.5]), abs=1e-9)
    for name in ("volume_mm3", "long_axis_mm", "short_axis_mm", "mean_hu"):
        assert getattr(moved, name) == pytest.approx(getattr(here, name), abs=1e-9)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_the_volumes_axes_does_not_matter(order):
    ct = scan(seed=3)
    offset = (3, 10, 12)
    mask = np.random.default_rng(4).random((4, 6, 5)) < 0.6
    want = measure_nodule(mask, offset, ct, label=1, probability=0.5, uid="2.25.1")
    matrix = ct.ijk_to_ras.copy()
    matrix[:3, :3] = ct.ijk_to_ras[:3, 2::-1][:, list(order)][:, ::-1]
    permuted = CT.from_array(ct.hu.transpose(order), ijk_to_ras=matrix)
    made = measure_nodule(
        mask.transpose(order), [offset[a] for a in order], permuted, label=1, probability=0.5, uid="2.25.1"
    )
    assert made.attenuation == want.attenuation
    for field in fields(Nodule):
        if field.type == "float":
            assert getattr(made, field.name) == pytest.approx(getattr(want, field.name), abs=1e-9), field.name
    assert made.centroid_ras == pytest.approx(want.centroid_ras, abs=1e-9)


def test_a_new_uid_where_none_is_given():
    ct = scan()
    made = [measure_nodule(ball(3.0), (2, 3, 4), ct, label=1, probability=0.5) for _ in range(2)]
    assert made[0].uid.startswith("2.25.")
    assert made[0].uid != made[1].uid


def test_a_type_set_by_hand_is_kept():
    ct = CT.from_array(np.full((20, 60, 60), 40, dtype=np.int16), spacing_mm=SPACING)
    assert measure_nodule(ball(), (2, 3, 4), ct, label=1, probability=0.5).attenuation == "solid"
    made = measure_nodule(ball(), (2, 3, 4), ct, label=1, probability=0.5, attenuation="part-solid")
    assert made.attenuation == "part-solid"
    assert made.solid_diameter_mm == pytest.approx(made.long_axis_mm)


@pytest.mark.parametrize("offset", [(-1, 0, 0), (0, 0, 42), (10, 0, 0)])
def test_a_mask_beyond_the_scan_is_refused(offset):
    with pytest.raises(ValueError, match="inside the CT"):
        measure_nodule(np.ones((3, 3, 3), dtype=bool), offset, scan(), label=1, probability=0.5)


def test_an_empty_or_flat_mask_is_refused():
    with pytest.raises(ValueError, match="`mask`"):
        measure_nodule(np.zeros((3, 3, 3), dtype=bool), (0, 0, 0), scan(), label=1, probability=0.5)
    with pytest.raises(ValueError, match="`mask`"):
        measure_nodule(np.ones((3, 3), dtype=bool), (0, 0, 0), scan(), label=1, probability=0.5)
