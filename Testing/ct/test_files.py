"""NRRD, NIfTI and MetaImage files."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleSegLib.ct import CT, read_ct
from LungNoduleSegLib.errors import InputError

FORMATS = ("nrrd", "nhdr", "nii", "nii.gz", "mha", "mhd")

OBLIQUE = np.array([[-0.48, 0.6, 0.0, 11.0], [-0.64, -0.45, 0.0, -12.0], [0.0, 0.0, 2.0, -300.0], [0, 0, 0, 1]])


@pytest.fixture
def volume(phantom) -> CT:
    return CT.from_array(phantom, ijk_to_ras=OBLIQUE)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", FORMATS)
def test_round_trip(tmp_path, volume, suffix, compressed):
    folder = tmp_path / "Ein Ordner mit Umlauten ä 肺"
    folder.mkdir()
    path = folder / f"scan ö.{suffix}"
    sitk.WriteImage(volume.to_sitk(), str(path), compressed)
    ct = read_ct(path)
    np.testing.assert_array_equal(ct.hu, volume.hu)
    np.testing.assert_allclose(ct.ijk_to_ras, volume.ijk_to_ras, atol=1e-5)  # NIfTI keeps floats of 32 bits
    assert ct.source == (path,)


def test_nifti_as_nibabel_sees_it(tmp_path, phantom):
    affine = np.array([[0, -2.5, 0, 5.0], [0.75, 0, 0, 3.0], [0, 0, 1.25, 9.0], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(phantom, affine), tmp_path / "a.nii.gz")
    ct = read_ct(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(ct.ijk_to_ras, affine, atol=1e-6)
    np.testing.assert_array_equal(ct.hu, phantom.transpose(2, 1, 0))


def test_scaled_nifti(tmp_path, phantom):
    stored = (phantom + 1000) // 2
    image = nibabel.Nifti1Image(stored, np.diag([1, 1, 2, 1.0]))
    image.header.set_slope_inter(2, -1000)
    nibabel.save(image, tmp_path / "a.nii")
    assert nibabel.load(tmp_path / "a.nii").dataobj.slope == 2
    np.testing.assert_array_equal(read_ct(tmp_path / "a.nii").hu, stored.transpose(2, 1, 0) * 2 - 1000)


def test_float_values_are_rounded_and_limited(tmp_path, phantom):
    values = phantom.astype(np.float32) + 0.3
    values[0, 0, :2] = -3024, np.nan
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "a.nrrd"))
    expected = phantom.copy()
    expected[0, 0, :2] = -1024
    np.testing.assert_array_equal(read_ct(tmp_path / "a.nrrd").hu, expected)


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path, phantom):
    nibabel.save(nibabel.Nifti1Image(phantom[..., None], np.eye(4)), tmp_path / "a.nii")
    np.testing.assert_array_equal(read_ct(tmp_path / "a.nii").hu, phantom.transpose(2, 1, 0))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["nrrd", "nii", "nii.gz", "mha"])
def test_truncated(tmp_path, volume, suffix, share):
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(volume.to_sitk(), str(path))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="truncated") as caught:
        read_ct(path)
    assert caught.value.path == str(path) and caught.value.remedy


def test_header_without_its_data(tmp_path, volume):
    path = tmp_path / "a.mhd"
    sitk.WriteImage(volume.to_sitk(), str(path))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match=r"a\.mhd"):
        read_ct(path)


def _write_4d(path):
    sitk.WriteImage(sitk.JoinSeries([sitk.Image([6, 5, 4], sitk.sitkInt16)] * 3), path)


def _write_2d(path):
    sitk.WriteImage(sitk.Image([6, 5], sitk.sitkInt16), path)


def _write_rgb(path):
    sitk.WriteImage(sitk.Image([6, 5, 4], sitk.sitkVectorUInt8, 3), path)


def _values(array):
    return lambda path: sitk.WriteImage(sitk.GetImageFromArray(array), path)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("write", "word"),
    [
        (_write_4d, "4-D"),
        (_write_2d, "2-D|single"),
        (_write_rgb, "3 values per voxel"),
        (_values(RNG.integers(0, 256, (6, 7, 8)).astype(np.uint8)), "without air"),
        (_values(RNG.normal(size=(6, 7, 8)).astype(np.float32)), "without air"),
        (_values(RNG.integers(0, 1500, (6, 7, 8)).astype(np.int16)), "without air"),
        (_values((RNG.random((6, 7, 8)) > 0.9).astype(np.uint16)), "without air"),
        (_values(np.zeros((6, 7, 8), np.int16)), "every voxel is 0"),
    ],
)
@pytest.mark.parametrize("suffix", ["nrrd", "nii.gz", "mha"])
def test_no_ct_in_it(tmp_path, suffix, write, word):
    path = tmp_path / f"a.{suffix}"
    write(str(path))
    with pytest.raises(InputError, match=word) as caught:
        read_ct(path)
    assert caught.value.path == str(path) and caught.value.remedy and caught.value.exit_code == 2


def test_sheared_nifti(tmp_path, phantom):
    affine = np.diag([1, 1, 2, 1.0])
    affine[0, 2] = 0.4
    image = nibabel.Nifti1Image(phantom, affine)
    image.set_sform(affine, 1)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(InputError, match="sheared"):
        read_ct(tmp_path / "a.nii")
