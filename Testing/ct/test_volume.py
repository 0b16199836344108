"""The CT volume: validation, geometry, immutability."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.ct.volume import to_hu
from LungNoduleSegLib.errors import InputError


def test_default_geometry_is_an_axial_scan():
    ct = CT.from_array(np.zeros((3, 4, 5), np.int16), spacing_mm=(2.5, 0.7, 0.8))
    # One column to the right in the picture is the patient's left, one row down the back, one slice up the head.
    np.testing.assert_allclose(ct.kji_to_ras((1, 1, 1)), (-0.8, -0.7, 2.5))
    np.testing.assert_allclose(ct.spacing_mm, (2.5, 0.7, 0.8))
    assert ct.shape == (3, 4, 5)
    assert ct.voxel_volume_mm3 == pytest.approx(2.5 * 0.7 * 0.8)
    assert ct.slice_orientation == "axial"
    assert ct.anatomical_axes == (2, 1, 0)


def test_hand_computed_affine():
    affine = np.array([[0, -0.5, 0, 10], [0, 0, 2.0, 20], [0.25, 0, 0, 30], [0, 0, 0, 1]])
    ct = CT.from_array(np.zeros((3, 4, 5), np.int16), ijk_to_ras=affine)
    # k = 1, j = 2, i = 3: x = 10 - 0.5 j, y = 20 + 2 k, z = 30 + 0.25 i
    np.testing.assert_allclose(ct.kji_to_ras((1, 2, 3)), (9.0, 22.0, 30.75))
    np.testing.assert_allclose(ct.ras_to_kji((9.0, 22.0, 30.75)), (1, 2, 3))
    np.testing.assert_allclose(ct.spacing_mm, (2.0, 0.5, 0.25))
    assert ct.slice_orientation == "coronal"
    assert ct.anatomical_axes == (1, 0, 2)


def _rotation(angles: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [index for index in range(3) if index != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


@settings(max_examples=50, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 5)] * 3),
    flip=st.sampled_from([1, -1]),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    kji=st.tuples(*[st.floats(-3, 8)] * 3),
)
def test_any_grid_goes_to_ras_and_back_and_through_sitk(angles, spacing, flip, origin, kji):
    affine = np.eye(4)
    affine[:3, :3] = _rotation(angles) * spacing
    affine[:3, 0] *= flip
    affine[:3, 3] = origin
    hu = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    ct = CT.from_array(hu, ijk_to_ras=affine)
    np.testing.assert_allclose(ct.ras_to_kji(ct.kji_to_ras(kji)), kji, atol=1e-8)
    image = ct.to_sitk()
    # ITK's own idea of where a voxel lies, turned from LPS to RAS.
    x, y, z = image.TransformContinuousIndexToPhysicalPoint([kji[2], kji[1], kji[0]])
    np.testing.assert_allclose(ct.kji_to_ras(kji), (-x, -y, z), atol=1e-6)
    back = CT.from_sitk(image)
    np.testing.assert_array_equal(back.hu, hu)
    np.testing.assert_allclose(back.ijk_to_ras, affine, atol=1e-9)


def test_many_points_at_once():
    ct = CT.from_array(np.zeros((3, 4, 5), np.int16), spacing_mm=(2, 1, 1))
    points = np.random.default_rng(0).uniform(-9, 9, (2, 7, 3))
    many = ct.ras_to_kji(points)
    assert many.shape == (2, 7, 3)
    np.testing.assert_allclose(many[1, 3], ct.ras_to_kji(points[1, 3]))


def test_the_volume_cannot_be_changed():
    source = np.zeros((2, 3, 4), np.int16)
    info = {"patient_id": "A"}
    ct = CT.from_array(source, info=info)
    source[:], info["patient_id"] = 7, "B"
    assert ct.hu.max() == 0 and ct.info["patient_id"] == "A"
    with pytest.raises(ValueError):
        ct.hu[0, 0, 0] = 1
    with pytest.raises(ValueError):
        ct.ijk_to_ras[0, 0] = 1
    with pytest.raises(TypeError):
        ct.info["patient_id"] = "C"  # type: ignore[index]
    with pytest.raises(AttributeError):
        ct.hu = source  # type: ignore[misc]


def test_memory_is_shared_on_request_only():
    source = np.zeros((2, 3, 4), np.int16)
    assert np.shares_memory(CT.from_array(source, copy=False).hu, source)
    assert not np.shares_memory(CT.from_array(source).hu, source)
    assert source.flags.writeable
    # A low value must not be written into the caller's array.
    source[0, 0, 0] = -2000
    assert CT.from_array(source, copy=False).hu[0, 0, 0] == -1024
    assert source[0, 0, 0] == -2000


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([-3000, -1024, 40, 3071], np.int16), [-1024, -1024, 40, 3071]),
        (np.array([-70000, 70000, 5, 6], np.int32), [-1024, 32767, 5, 6]),
        (np.array([0, 65535, 1, 2], np.uint16), [0, 32767, 1, 2]),
        (np.array([0, 255, 1, 2], np.uint8), [0, 255, 1, 2]),
        (np.array([np.nan, 1.6, -1.6, np.inf], np.float32), [-1024, 2, -2, 32767]),
        (np.array([-5000.0, 0.4, 1e9, -np.inf]), [-1024, 0, 32767, -1024]),
    ],
)
def test_values_are_rounded_and_limited(given, expected):
    hu = to_hu(given.reshape(2, 2, 1))
    assert hu.dtype == np.int16
    assert hu.ravel().tolist() == expected


def test_pickle_keeps_everything():
    ct = CT.from_array(np.arange(24).reshape(2, 3, 4), series_uid="1.2", info={"kernel": "B"}, warnings=("w",))
    back = pickle.loads(pickle.dumps(ct))
    np.testing.assert_array_equal(back.hu, ct.hu)
    np.testing.assert_array_equal(back.ijk_to_ras, ct.ijk_to_ras)
    assert (back.series_uid, dict(back.info), back.warnings) == ("1.2", {"kernel": "B"}, ("w",))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"hu": np.zeros((3, 4))}, "3-D"),
        ({"hu": np.zeros((3, 4, 5), bool)}, "real numbers"),
        ({"hu": np.zeros((3, 4, 5), complex)}, "real numbers"),
        ({"hu": np.zeros((0, 4, 5))}, "at least one voxel"),
        ({"hu": np.zeros((3, 4, 5)), "spacing_mm": (1, 0, 1)}, "positive"),
        ({"hu": np.zeros((3, 4, 5)), "spacing_mm": (1, 1)}, "three positive"),
        ({"hu": np.zeros((3, 4, 5)), "ijk_to_ras": np.eye(3)}, r"\(4, 4\)"),
        ({"hu": np.zeros((3, 4, 5)), "ijk_to_ras": np.full((4, 4), np.nan)}, "finite"),
        ({"hu": np.zeros((3, 4, 5)), "ijk_to_ras": np.diag([1, 0, 1, 1])}, "positive spacing"),
        ({"hu": np.zeros((3, 4, 5)), "ijk_to_ras": np.eye(4), "spacing_mm": (1, 1, 1)}, "only one"),
    ],
)
def test_wrong_arguments_are_named(arguments, word):
    with pytest.raises(InputError, match=word):
        CT.from_array(**arguments)


def test_a_sheared_grid_is_refused():
    affine = np.eye(4)
    affine[0, 2] = 0.2
    with pytest.raises(InputError, match="sheared"):
        CT.from_array(np.zeros((2, 2, 2)), ijk_to_ras=affine)


def test_sitk_images_that_are_no_volume_are_refused():
    with pytest.raises(InputError, match="3-D"):
        CT.from_sitk(sitk.Image([4, 4], sitk.sitkInt16))
    with pytest.raises(InputError, match="one value per voxel"):
        CT.from_sitk(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3))
