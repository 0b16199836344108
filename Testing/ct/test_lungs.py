"""The lung mask and the two lungs, on phantoms."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT, lung_mask, lungs
from LungNoduleSegLib.ct.lung_regions import block_means
from LungNoduleSegLib.errors import InputError

SPACING = (4.0, 2.5, 2.5)  # mm (k, j, i)
SHAPE = (50, 128, 160)  # 200 x 320 x 400 mm


def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances from the middle of the phantom in mm: z to the head, y to the back, x to the patient's left."""
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (k - 25) * SPACING[0], (j - 64) * SPACING[1], (i - 80) * SPACING[2]


def _ellipsoid(centre, radii) -> np.ndarray:
    z, y, x = _grid()
    return ((z - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((x - centre[2]) / radii[2]) ** 2 < 1


RIGHT_LUNG = ((0, 0, -75), (85, 70, 50))  # x < 0 is the patient's right
LEFT_LUNG = ((0, 0, 75), (80, 65, 45))


def _body() -> np.ndarray:
    _, y, x = _grid()
    hu = np.full(SHAPE, -1000.0)
    hu[np.broadcast_to((y / 110) ** 2 + (x / 160) ** 2 < 1, SHAPE)] = 40
    hu[:, 110:113, 20:140] = 100  # the table
    return hu


def _chest(noise: float = 20.0, lung: float = -850.0) -> np.ndarray:
    hu = _body()
    for part in (RIGHT_LUNG, LEFT_LUNG):
        hu[_ellipsoid(*part)] = lung
    return np.clip(hu + np.random.default_rng(3).normal(0, noise, SHAPE), -1024, 3071)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("noise", [0, 20, 250])
@pytest.mark.parametrize("lung", [-930.0, -850.0, -600.0])
def test_both_lungs_are_found_and_told_apart(noise, lung):
    ct = CT.from_array(_chest(noise, lung), spacing_mm=SPACING)
    sides = lungs(ct)
    assert sides.dtype == np.uint8 and sides.shape == ct.shape
    assert _dice(sides == 1, _ellipsoid(*RIGHT_LUNG)) > 0.97
    assert _dice(sides == 2, _ellipsoid(*LEFT_LUNG)) > 0.97
    mask = lung_mask(ct)
    assert mask.dtype == bool and mask.shape == ct.shape
    assert mask[sides > 0].all()
    # 10 mm around the lungs belong to it, the skin and the table do not.
    for centre, radii in (RIGHT_LUNG, LEFT_LUNG):
        assert mask[_ellipsoid(centre, np.add(radii, 7))].mean() > 0.999
    assert not mask[:, 105:].any() and not mask[:, :, :8].any()


def test_nodules_on_the_pleura_and_masses_inside_belong_to_the_mask():
    hu = _chest()
    inside = _ellipsoid((0, 10, -80), (25, 25, 25))  # 50 mm, surrounded by lung
    pleural = _ellipsoid((10, 0, 105), (15, 15, 15))  # 30 mm, from the surface of the left lung inwards
    half_out = _ellipsoid((-20, 0, -123), (7, 7, 7))  # 14 mm, its outer half in the chest wall
    everything = inside | pleural | half_out
    hu[everything] = 30
    ct = CT.from_array(hu, spacing_mm=SPACING)
    assert lung_mask(ct)[everything].all()
    assert (lungs(ct)[inside] == 1).all()


def test_lungs_that_touch_are_split_where_they_touch():
    hu = _chest()
    bridge = _ellipsoid((0, -45, 0), (40, 8, 60))  # anterior junction: 16 mm high, from lung to lung
    windpipe = _ellipsoid((50, 30, 0), (45, 9, 9))
    bronchi = _ellipsoid((10, 30, 0), (7, 7, 60))
    hu[bridge] = -850
    hu[windpipe | bronchi] = -990
    ct = CT.from_array(hu, spacing_mm=SPACING)
    sides = lungs(ct)
    x = np.broadcast_to(_grid()[2], SHAPE)
    assert (sides[_ellipsoid(*RIGHT_LUNG)] == 1).mean() > 0.99
    assert (sides[_ellipsoid(*LEFT_LUNG)] == 2).mean() > 0.99
    # The bridge is cut near its middle.
    assert (sides[bridge & (x < -20)] == 1).mean() > 0.95
    assert (sides[bridge & (x > 20)] == 2).mean() > 0.95


@pytest.mark.parametrize("side", [1, 2])
def test_a_single_lung_has_the_right_side(side):
    hu = _body()
    part = (RIGHT_LUNG, LEFT_LUNG)[side - 1]
    hu[_ellipsoid(*part)] = -850
    found = lungs(CT.from_array(hu, spacing_mm=SPACING))
    assert set(np.unique(found)) == {0, side}


@pytest.mark.parametrize("side", [1, 2])
def test_half_a_chest_has_the_right_side(side):
    # Cut between the lungs: the body's middle lies at the end of the volume, not in its middle.
    half = (slice(None), slice(None), slice(0, 84) if side == 1 else slice(76, None))
    found = lungs(CT.from_array(_chest()[half], spacing_mm=SPACING))
    assert set(np.unique(found)) == {0, side}


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_sides_are_the_patients_in_any_orientation(axes, flips):
    ct = CT.from_array(_chest(), spacing_mm=SPACING)
    sides, mask = lungs(ct), lung_mask(ct)

    def turned(array):
        return array.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]

    # Index of the turned array -> index of the original one, both (k, j, i, 1).
    back = np.zeros((4, 4))
    back[3, 3] = 1
    for axis, (of, flip) in enumerate(zip(axes, flips)):
        back[of, axis] = flip
        back[of, 3] = 0 if flip == 1 else SHAPE[of] - 1
    reverse = np.eye(4)[[2, 1, 0, 3]]
    other = CT.from_array(turned(ct.hu), ijk_to_ras=ct.ijk_to_ras @ reverse @ back @ reverse)
    assert _dice(lung_mask(other), turned(mask)) > 0.995
    assert _dice(lungs(other) == 1, turned(sides == 1)) > 0.98
    assert _dice(lungs(other) == 2, turned(sides == 2)) > 0.98


def test_a_ct_cropped_into_the_lungs():
    hu = _chest()
    crop = (slice(5, 45), slice(46, 84), slice(30, 130))  # lung touches all four sides of the planes
    whole = CT.from_array(hu, spacing_mm=SPACING)
    part = CT.from_array(hu[crop], spacing_mm=SPACING)
    assert _dice(lung_mask(part), lung_mask(whole)[crop]) > 0.98
    # The closing does not know what is beyond the border, so the lungs come out a little thick there.
    assert _dice(lungs(part) == 1, _ellipsoid(*RIGHT_LUNG)[crop]) > 0.93
    assert _dice(lungs(part) == 2, _ellipsoid(*LEFT_LUNG)[crop]) > 0.93


def test_bowel_gas_is_no_lung():
    hu = _chest()
    hu[:10] = _body()[:10]
    gas = _ellipsoid((-86, -40, 20), (12, 25, 40))
    hu[gas] = -990
    ct = CT.from_array(hu, spacing_mm=SPACING)
    assert not lungs(ct)[gas].any()


def _water() -> np.ndarray:
    return np.zeros(SHAPE)


def _air() -> np.ndarray:
    return np.full(SHAPE, -1000.0) + np.random.default_rng(0).normal(0, 20, SHAPE)


def _abdomen() -> np.ndarray:
    hu = _body()
    for centre in ((0, -60, 0), (30, -50, 60), (-40, -50, -60)):
        hu[_ellipsoid(centre, (25, 20, 40))] = -995
    return hu


def _head() -> np.ndarray:
    hu = np.full(SHAPE, -1000.0)
    skull, brain = _ellipsoid((0, 0, 0), (95, 95, 75)), _ellipsoid((0, 0, 0), (88, 88, 68))
    hu[skull], hu[brain] = 900, 35
    for x in (-12, 12):
        hu[_ellipsoid((-30, -60, x), (25, 20, 9))] = -980  # sinuses
    hu[_ellipsoid((-40, 20, 55), (14, 14, 8))] = -600  # mastoid cells
    return hu


@pytest.mark.parametrize("image", [_water, _air, _abdomen, _head, _body])
def test_no_lung_is_said(image):
    ct = CT.from_array(image(), spacing_mm=SPACING)
    for function in (lung_mask, lungs):
        with pytest.raises(InputError, match="no lung found") as caught:
            function(ct)
        assert caught.value.remedy


def test_tiny_volumes_end_in_the_same_message():
    for shape in ((1, 1, 1), (1, 5, 5), (2, 3, 400)):
        with pytest.raises(InputError, match="no lung"):
            lung_mask(CT.from_array(np.full(shape, 40)))


@pytest.mark.parametrize("steps", [(1, 1, 1), (2, 3, 4), (1, 4, 4), (3, 1, 2), (7, 9, 11)])
def test_block_means(steps):
    hu = np.random.default_rng(0).integers(-1024, 3000, (7, 13, 22)).astype(np.int16)
    means = block_means(hu, steps)
    kk, jj, ii = steps
    for index in ((0, 0, 0), tuple(n - 1 for n in means.shape)):
        k, j, i = (n * step for n, step in zip(index, steps))
        block = hu[k : k + kk]
        # What a block lacks at the end of a row or column is its last voxel again.
        rows = [min(j + n, hu.shape[1] - 1) for n in range(jj)]
        columns = [min(i + n, hu.shape[2] - 1) for n in range(ii)]
        assert means[index] == pytest.approx(block[:, rows][:, :, columns].mean(), abs=1e-3)


def test_the_callers_array_is_not_shared_with_the_next_caller():
    ct = CT.from_array(_chest(), spacing_mm=SPACING)
    lung_mask(ct)[:] = False
    assert lung_mask(ct).any()
