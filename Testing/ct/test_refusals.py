"""Every input that cannot be used ends in an InputError that names file, finding and remedy."""

from __future__ import annotations

import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from LungNoduleSegLib.ct import read_ct
from LungNoduleSegLib.errors import InputError


def refused(path, *words: str, **options) -> InputError:
    """The error of reading ``path``, after checking that it names a file, has a remedy and holds all words."""
    with pytest.raises(InputError) as caught:
        read_ct(path, **options)
    error = caught.value
    assert error.exit_code == 2
    assert error.path and error.finding and error.remedy
    text = str(error)
    assert text.startswith(error.path) and text.endswith(".") and "\n" not in text
    for word in words:
        assert word in text, f"{word!r} not in {text!r}"
    return error


def test_missing_path(tmp_path):
    refused(tmp_path / "nowhere", "nowhere", "no such file")
    refused([tmp_path / "a.dcm", tmp_path / "b.dcm"], "a.dcm", "no such file")
    with pytest.raises(InputError, match="empty list"):
        read_ct([])


def test_empty_folder(tmp_path):
    refused(tmp_path, "empty")


def test_folder_without_dicom(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").write_text("text")
    refused(tmp_path, "no DICOM", "2 other files")


def test_folder_with_an_image_file(tmp_path):
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD")
    refused(tmp_path, "scan.nrrd", "Give the path of the image file")


@pytest.mark.parametrize("name", ["scan.png", "scan", "scan.dcm", "scan.nrrd", "scan.nii.gz", "scan.mha"])
def test_files_that_are_something_else(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"this is no image at all " * 30)
    refused(path, name)
    path.write_bytes(b"")
    refused(path, name, "0 bytes")


def test_two_series_are_listed(tmp_path, make_series, phantom):
    make_series(tmp_path / "a", phantom, series_uid="1.2.3.4")
    make_series(tmp_path / "b", phantom[:5], series_uid="1.2.9.4")
    refused(tmp_path, "2 CT series", "1.2.3.4", "1.2.9.4", "Chest 2.5", "8 slices", "5 slices", "--series")
    refused(tmp_path, "no series", "'1.3'", "1.2.9.4", "--series", series="1.3")
    refused(tmp_path, "2 series", "'1.2'", "--series", series="1.2")
    refused(tmp_path, "--series", series="")
    assert read_ct(tmp_path, series="1.2.9").shape[0] == 5


@pytest.mark.parametrize("k", [0, 3, 7])
def test_repeated_slice(tmp_path, make_series, phantom, k):
    paths = make_series(tmp_path, phantom)
    (tmp_path / "copy.dcm").write_bytes(paths[k].read_bytes())
    error = refused(tmp_path, "repeated", "copy.dcm", paths[k].name)
    assert error.path == str(tmp_path)


def test_two_phases_at_the_same_places(tmp_path, make_series, phantom):
    make_series(tmp_path / "a", phantom, series_uid="1.2.3.4")
    make_series(tmp_path / "b", phantom, series_uid="1.2.3.4", prefix="late")
    refused(tmp_path, "8 repeated positions")


@pytest.mark.parametrize("missing", [[3], [1, 5], [3, 4, 5]])
def test_missing_slices(tmp_path, make_series, phantom, missing):
    paths = make_series(tmp_path, phantom)
    for k in missing:
        paths[k].unlink()
    refused(tmp_path, f"about {len(missing)} missing", "2.50 mm elsewhere", paths[min(missing) - 1].name)


@pytest.mark.parametrize(("k", "shift"), [(4, 0.5), (7, 0.6), (7, -0.5), (1, -0.3)])
def test_uneven_gaps(tmp_path, make_series, phantom, k, shift):
    heights = np.arange(8) * 2.5
    heights[k] += shift
    paths = make_series(tmp_path, phantom, positions=np.c_[np.zeros(8), np.zeros(8), heights])
    refused(tmp_path, "uneven gaps", paths[k].name, "2.500 mm typically")


def test_two_slice_distances_in_one_series(tmp_path, make_series, phantom):
    heights = np.array([0, 2, 4, 6, 8, 10.5, 13, 15.5])
    make_series(tmp_path, phantom, positions=np.c_[np.zeros(8), np.zeros(8), heights])
    refused(tmp_path, "uneven gaps")


def test_tilted_gantry(tmp_path, make_series, phantom):
    # Row along x, column tilted by 15 degrees, but the table moves along z.
    tilt = np.radians(15)
    orientation = ((1.0, 0.0, 0.0), (0.0, np.cos(tilt), np.sin(tilt)))
    make_series(
        tmp_path, phantom, orientation=orientation, positions=np.c_[np.zeros(8), np.zeros(8), np.arange(8) * 5.0]
    )
    refused(tmp_path, "tilted gantry", "15.0 degrees", "regularization")


def test_a_slice_beside_the_others(tmp_path, make_series, phantom):
    positions = np.c_[np.zeros(8), np.zeros(8), np.arange(8) * 2.5]
    positions[3, 0] = 4
    paths = make_series(tmp_path, phantom, positions=positions)
    refused(tmp_path, paths[3].name, "4.00 mm beside")


@pytest.mark.parametrize(
    ("modality", "image_type", "word"),
    [("MR", "AXIAL", "modality MR"), ("CT", "LOCALIZER", "localizer"), ("", "AXIAL", "modality not given")],
)
def test_wrong_kind_of_image(tmp_path, make_series, phantom, modality, image_type, word):
    def change(ds, k):
        ds.Modality, ds.ImageType = modality, ["ORIGINAL", "PRIMARY", image_type]

    make_series(tmp_path, phantom, modify=change)
    refused(tmp_path, word)


def test_several_series_none_of_them_ct(tmp_path, make_series, phantom):
    make_series(tmp_path / "a", phantom, modify=lambda ds, k: setattr(ds, "Modality", "MR"))
    make_series(tmp_path / "b", phantom, modify=lambda ds, k: setattr(ds, "Modality", "PT"))
    refused(tmp_path, "no CT series", "modality MR", "modality PT")


def test_choosing_an_mr_series_is_refused(tmp_path, make_series, phantom):
    make_series(tmp_path / "a", phantom)
    make_series(tmp_path / "b", phantom, series_uid="1.9.9", modify=lambda ds, k: setattr(ds, "Modality", "MR"))
    refused(tmp_path, "modality MR", series="1.9.9")


def test_screen_captures(tmp_path, make_series, phantom):
    make_series(tmp_path, phantom, modify=lambda ds, k: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"))
    refused(tmp_path, "screen captures")


def test_colour_images(tmp_path, make_series, phantom):
    def colour(ds, k):
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        ds.PixelData = bytes(ds.Rows * ds.Columns * 3)

    make_series(tmp_path, phantom, modify=colour)
    refused(tmp_path, "colour")


def test_a_report_is_no_ct(tmp_path, make_series, phantom):
    def strip(ds, k):
        ds.Modality, ds.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.11"
        for name in ("Rows", "Columns", "PixelData"):
            del ds[name]

    make_series(tmp_path, phantom[:1], modify=strip)
    refused(tmp_path, "no images", "SR")


def test_one_slice_alone(tmp_path, make_series, phantom):
    paths = make_series(tmp_path, phantom)
    refused(paths[3], "single slice", "folder")


def test_no_pixel_data(tmp_path, make_series, phantom):
    def drop(ds, k):
        if k == 4:
            del ds.PixelData

    paths = make_series(tmp_path, phantom, modify=drop)
    assert refused(tmp_path, "no pixel data").path == str(paths[4])


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_no_geometry(tmp_path, make_series, phantom, tag):
    def drop(ds, k):
        if k == 2:
            del ds[tag]

    paths = make_series(tmp_path, phantom, modify=drop)
    assert refused(tmp_path, f"no {tag}").path == str(paths[2])


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        ("Rows", 10, ["size"]),
        ("PixelSpacing", [0.7, 0.9], ["PixelSpacing", "0.9"]),
        ("PixelSpacing", [0.7, 0], ["PixelSpacing", "not positive"]),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0.8, 0.6], ["ImageOrientationPatient"]),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], ["right angles"]),
        ("ImagePositionPatient", [1, 2], ["ImagePositionPatient", "expected 3 numbers"]),
        ("RescaleSlope", 0, ["RescaleSlope is 0"]),
        ("RescaleType", "MGML", ["MGML", "not HU"]),
    ],
)
def test_one_slice_with_another_header(tmp_path, make_series, phantom, tag, value, words):
    paths = make_series(tmp_path, phantom, modify=lambda ds, k: setattr(ds, tag, value) if k == 5 else None)
    assert refused(tmp_path, *words).path == str(paths[5])


def test_modality_lut(tmp_path, make_series, phantom):
    def lut(ds, k):
        item = pydicom.Dataset()
        item.LUTDescriptor, item.ModalityLUTType, item.LUTData = [2, 0, 16], "HU", b"\0\0\1\0"
        item["LUTDescriptor"].VR = "US"
        ds.ModalityLUTSequence = [item]

    make_series(tmp_path, phantom, modify=lut)
    refused(tmp_path, "look-up table")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.11, 0.3, 0.6, 0.99])
@pytest.mark.parametrize(
    "syntax",
    ["1.2.840.10008.1.2.1", RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1],
    ids=["native", "rle", "jpeg-ls", "jpeg2000", "jpeg-lossless"],
)
def test_truncated_file(tmp_path, make_series, syntax, share):
    rng = np.random.default_rng(1)
    hu = np.full((4, 64, 64), -1000, np.int16)
    hu[:, 8:56, 8:56] = rng.integers(-900, 1500, (4, 48, 48))
    paths = make_series(tmp_path, hu, syntax=syntax)
    data = paths[2].read_bytes()
    paths[2].write_bytes(data[: int(len(data) * share)])
    assert refused(tmp_path).path == str(paths[2])


@pytest.mark.parametrize("seed", range(40))
def test_scrambled_bytes_never_end_in_another_error(tmp_path, make_series, phantom, seed):
    paths = make_series(tmp_path, phantom, syntax=RLELossless if seed % 2 else "1.2.840.10008.1.2.1")
    rng = np.random.default_rng(seed)
    data = bytearray(paths[3].read_bytes())
    for at in rng.integers(0, 1100, 4):
        data[at] = rng.integers(256)
    paths[3].write_bytes(data)
    try:
        ct = read_ct(tmp_path)
    except InputError as error:
        assert error.finding and error.remedy
    else:
        assert ct.hu.dtype == np.int16


def test_unknown_transfer_syntax(tmp_path, make_series, phantom):
    paths = make_series(tmp_path, phantom)
    ds = pydicom.dcmread(paths[1])
    ds.file_meta.TransferSyntaxUID = "1.2.3.4.5"
    ds.save_as(paths[1], implicit_vr=False, little_endian=True)
    assert refused(tmp_path, "transfer syntax").path == str(paths[1])


def test_damaged_neighbour_is_passed_over_once_a_series_is_chosen(tmp_path, make_series, phantom):
    make_series(tmp_path, phantom, series_uid="1.2.3")
    (tmp_path / "broken.dcm").write_bytes(bytes(128) + b"DICM" + bytes(50))
    assert refused(tmp_path).path == str(tmp_path / "broken.dcm")
    ct = read_ct(tmp_path, series="1.2.3")
    np.testing.assert_array_equal(ct.hu, phantom)
    assert any("broken.dcm" in warning for warning in ct.warnings)


def test_zip_faults(tmp_path, make_series, phantom):
    paths = make_series(tmp_path / "ct", phantom)
    good = tmp_path / "good.zip"
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in paths[:3] + paths[4:]:
            opened.write(path, path.name)
    refused(good, "missing", str(good))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good.read_bytes()[:-200])
    refused(cut, "damaged zip")
    wrong = bytearray(good.read_bytes())
    wrong[200] ^= 0xFF
    (tmp_path / "crc.zip").write_bytes(wrong)
    refused(tmp_path / "crc.zip", "damaged zip")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as opened:
        opened.writestr("a.txt", "text")
    refused(tmp_path / "none.zip", "no DICOM")


def test_values_that_are_no_hu(tmp_path, make_series, phantom):
    make_series(tmp_path / "offset", phantom + 1024, intercept=0.0)
    refused(tmp_path / "offset", "without air")
    make_series(tmp_path / "constant", np.full_like(phantom, -1000))
    refused(tmp_path / "constant", "every voxel is -1000")


def test_nothing_is_written(tmp_path, make_series, phantom):
    paths = make_series(tmp_path, phantom)
    paths[3].unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    refused(tmp_path, "missing")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
