"""DICOM series to HU and geometry, on series written with pydicom."""

from __future__ import annotations

import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from LungNoduleSegLib.ct import pixels, read_ct

COMPRESSED = {
    "rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg2000": JPEG2000Lossless, "jpeg-lossless": JPEGLosslessSV1,
}  # fmt: skip


def test_values_geometry_and_facts(tmp_path, make_series, phantom):
    paths = make_series(tmp_path, phantom)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom)
    np.testing.assert_allclose(ct.spacing_mm, (2.5, 0.7, 0.8))
    # LPS (-100, -120, -300) of the first voxel is RAS (100, 120, -300).
    np.testing.assert_allclose(ct.kji_to_ras((0, 0, 0)), (100, 120, -300))
    np.testing.assert_allclose(ct.kji_to_ras((7, 2, 3)), (100 - 3 * 0.8, 120 - 2 * 0.7, -300 + 7 * 2.5))
    assert ct.source == tuple(paths)  # slice order, which is not the order of the names
    assert ct.series_uid == pydicom.dcmread(paths[0]).SeriesInstanceUID
    assert ct.info["patient_id"] == "TEST-1" and ct.info["kernel"] == "STANDARD" and ct.info["modality"] == "CT"
    assert ct.warnings == ()


def test_every_way_to_name_a_series_gives_the_same(tmp_path, make_series, phantom):
    folder = tmp_path / "Röntgen 肺 folder" / "deep" / "er"
    paths = make_series(folder, phantom)
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "picture").write_bytes(b"\x89PNG\r\n" + bytes(300))
    archive = tmp_path / "série ü.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in paths:
            opened.write(path, f"../unsafe/{path.name}")
        opened.writestr("readme.txt", "no DICOM")
    whole = read_ct(tmp_path / "Röntgen 肺 folder")
    for way in (str(folder), paths, paths[::-1], [str(path) for path in paths] + [str(paths[0])], archive, [folder]):
        ct = read_ct(way)
        np.testing.assert_array_equal(ct.hu, whole.hu)
        np.testing.assert_array_equal(ct.ijk_to_ras, whole.ijk_to_ras)
    assert read_ct(archive).source == (archive,)
    assert not (tmp_path.parent / "unsafe").exists() and not (tmp_path / "unsafe").exists()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [(16, 16), (16, 12)])
@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED)
@pytest.mark.parametrize("decoder", ["pydicom", "simpleitk"])
def test_lossless_compression(tmp_path, make_series, phantom, monkeypatch, syntax, bits, signed, decoder):
    hu = phantom.copy()
    hu[0, 0, 0] = -1024
    make_series(tmp_path, hu, syntax=syntax, bits=bits, signed=signed, intercept=-2.0 if signed else -1024.0)
    if decoder == "simpleitk":
        # What happens in a Python whose pydicom has no plugins.
        def no_plugin(*_):
            raise RuntimeError("no plugin")

        monkeypatch.setattr(pixels, "_by_pydicom", no_plugin)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, hu)


@pytest.mark.parametrize("decoder", ["pydicom", "simpleitk"])
def test_baseline_jpeg(tmp_path, make_series, monkeypatch, decoder):
    ramp = np.linspace(-1000, 900, 32)
    hu = np.broadcast_to(ramp, (4, 32, 32))
    make_series(tmp_path, hu, syntax=JPEGBaseline8Bit, bits=(8, 8), slope=8.0, intercept=-1024.0)
    if decoder == "simpleitk":
        monkeypatch.setattr(pixels, "_by_pydicom", lambda *_: 1 / 0)
    ct = read_ct(tmp_path)
    # Three grey values of lossy coding, half a grey value of rounding. A second rescaling would be off by thousands.
    assert np.abs(ct.hu - hu).max() <= 8 * 3.5


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *COMPRESSED.values()])
def test_rescaling_is_done_once_and_per_slice(tmp_path, make_series, phantom, monkeypatch, syntax):
    slope = [0.5, 1.0, 2.0, 1.0, 0.25, 1.0, 1.0, 1.0]
    intercept = [-1024.0, -1000.0, -1024.0, -2000.0, -1024.0, -1024.5, -1030.0, -1024.0]
    make_series(tmp_path, phantom, slope=slope, intercept=intercept, syntax=syntax)
    expected = read_ct(tmp_path).hu
    # Stored values are whole numbers: a slice of slope s and intercept b holds HU on the grid b + s n.
    for k, (s, b) in enumerate(zip(slope, intercept)):
        on_grid = np.rint(np.rint((phantom[k] - b) / s) * s + b)
        np.testing.assert_array_equal(expected[k], on_grid)
    if syntax != ExplicitVRLittleEndian:
        monkeypatch.setattr(pixels, "_by_pydicom", lambda *_: 1 / 0)
        np.testing.assert_array_equal(read_ct(tmp_path).hu, expected)


@pytest.mark.parametrize(
    ("signed", "stored", "written", "vr"),
    [
        (True, -2000, -2000, "SS"),
        (True, -2000, 63536, "US"),  # a negative number written as unsigned, as GE does
        (False, 63536, 63536, "US"),
        (False, 63536, -2000, "SS"),
    ],
)
def test_padding_reads_as_air(tmp_path, make_series, phantom, signed, stored, written, vr):
    def pad(ds, k):
        pixels = np.frombuffer(ds.PixelData, np.int16 if signed else np.uint16).reshape(ds.Rows, ds.Columns).copy()
        pixels[0, :5] = stored
        ds.PixelData = pixels.tobytes()
        ds.add(pydicom.DataElement("PixelPaddingValue", vr, written))

    make_series(tmp_path, phantom, signed=signed, modify=pad)
    hu = read_ct(tmp_path).hu
    assert (hu[:, 0, :5] == -1024).all()
    np.testing.assert_array_equal(hu[:, 1:], phantom[:, 1:])


def test_a_range_of_padding_and_a_padding_value_that_looks_like_tissue(tmp_path, make_series, phantom):
    def pad(ds, k):
        ds.add(pydicom.DataElement("PixelPaddingValue", "US", 1024 + 100))
        ds.add(pydicom.DataElement("PixelPaddingRangeLimit", "US", 1024 + 110))

    make_series(tmp_path / "range", phantom, modify=pad)
    hu = read_ct(tmp_path / "range").hu
    padded = (phantom >= 100) & (phantom <= 110)
    assert padded.any()
    np.testing.assert_array_equal(hu, np.where(padded, -1024, phantom))

    make_series(
        tmp_path / "one", phantom, modify=lambda ds, k: ds.add(pydicom.DataElement("PixelPaddingValue", "US", 1064))
    )
    assert any("padding is marked by 40 HU" in warning for warning in read_ct(tmp_path / "one").warnings)


def test_signed_values_without_padding_tag_are_limited(tmp_path, make_series, phantom):
    hu = phantom.astype(int)
    hu[:, 0] = -3024
    make_series(tmp_path, hu, signed=True)
    assert (read_ct(tmp_path).hu[:, 0] == -1024).all()


def test_bits_above_the_stored_ones_are_ignored(tmp_path, make_series, phantom):
    def overlay(ds, k):
        pixels = np.frombuffer(ds.PixelData, np.uint16).copy()
        pixels |= 0xF000  # old scanners keep overlays there
        ds.PixelData = pixels.tobytes()

    make_series(tmp_path, phantom, bits=(16, 12), modify=overlay)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, phantom)


def _turned(*angles: float) -> tuple:
    x, y, z = angles
    rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    r = rx @ ry @ rz
    return tuple(r[:, 0]), tuple(r[:, 1])


@pytest.mark.parametrize(
    "orientation",
    [
        ((1, 0, 0), (0, 1, 0)),
        ((-1, 0, 0), (0, 1, 0)),  # mirrored: the normal points to the feet
        ((-1, 0, 0), (0, -1, 0)),  # prone
        ((0, 1, 0), (-1, 0, 0)),  # lying on the side
        ((1, 0, 0), (0, 0, -1)),  # coronal
        ((0, 1, 0), (0, 0, -1)),  # sagittal
        _turned(0.3, 0, 0),
        _turned(0.2, -0.4, 1.0),
    ],
)
def test_a_known_voxel_lands_at_its_place(tmp_path, make_series, phantom, orientation):
    origin, spacing = np.array((-30.0, 40.0, -250.0)), (3.0, 0.5, 0.75)
    paths = make_series(tmp_path, phantom, orientation=orientation, origin=tuple(origin), spacing=spacing)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom)
    k, j, i = 5, 7, 11
    # PS3.3 C.7.6.2.1.1, by hand: position of the slice + i x column spacing x row direction + j x row spacing x column.
    slice_k = np.array(pydicom.dcmread(paths[k]).ImagePositionPatient, float)
    lps = slice_k + i * spacing[2] * np.array(orientation[0]) + j * spacing[1] * np.array(orientation[1])
    np.testing.assert_allclose(ct.kji_to_ras((k, j, i)), lps * (-1, -1, 1), atol=1e-4)
    np.testing.assert_allclose(ct.spacing_mm, spacing, atol=1e-6)
    # ITK's own series reader agrees on the place of every corner.
    image = sitk.ReadImage([str(path) for path in paths])
    for corner in ((0, 0, 0), (7, 19, 23), (7, 0, 23)):
        x, y, z = image.TransformIndexToPhysicalPoint(corner[::-1])
        np.testing.assert_allclose(ct.kji_to_ras(corner), (-x, -y, z), atol=1e-3)


def test_slices_that_are_not_axial_are_mentioned(tmp_path, make_series, phantom):
    make_series(tmp_path, phantom, orientation=((1, 0, 0), (0, 0, -1)))
    ct = read_ct(tmp_path)
    assert ct.slice_orientation == "coronal"
    assert any("coronal" in warning for warning in ct.warnings)


def test_rounded_positions_are_tolerated_with_a_word(tmp_path, make_series, phantom):
    exact = np.arange(8) * 0.625
    positions = np.c_[np.full(8, -10.0), np.full(8, -20.0), np.round(exact, 1)]
    make_series(tmp_path, phantom, positions=positions)
    ct = read_ct(tmp_path)
    assert ct.spacing_mm[0] == pytest.approx(0.625, abs=0.02)
    assert any("gaps between slices vary" in warning for warning in ct.warnings)


def test_a_localizer_in_the_series_is_left_out(tmp_path, make_series, phantom):
    paths = make_series(tmp_path, phantom)
    scout = pydicom.dcmread(paths[0])
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient, scout.SOPInstanceUID = [1, 0, 0, 0, 0, -1], generate_uid()
    scout.save_as(tmp_path / "aaa.dcm")
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom)
    assert any("localizer" in warning and "aaa.dcm" in warning for warning in ct.warnings)


def test_other_modalities_beside_the_one_ct_do_not_disturb(tmp_path, make_series, phantom):
    make_series(tmp_path / "ct", phantom)
    for modality in ("MR", "PT", "SEG"):
        make_series(tmp_path / modality, phantom, modify=lambda ds, k, m=modality: setattr(ds, "Modality", m))
    np.testing.assert_array_equal(read_ct(tmp_path).hu, phantom)


def test_a_series_is_chosen_by_uid_or_its_beginning(tmp_path, make_series, phantom):
    make_series(tmp_path / "a", phantom, series_uid="1.2.3.44.1")
    make_series(tmp_path / "b", phantom + 1, series_uid="1.2.3.45.1")
    make_series(tmp_path / "c", phantom + 2, series_uid="1.2.3.45")
    np.testing.assert_array_equal(read_ct(tmp_path, series="1.2.3.45.1").hu, phantom + 1)
    np.testing.assert_array_equal(read_ct(tmp_path, series="1.2.3.44").hu, phantom)
    # The whole UID wins over the one that it begins.
    np.testing.assert_array_equal(read_ct(tmp_path, series="1.2.3.45").hu, phantom + 2)


def test_files_without_preamble_are_read(tmp_path, make_series, phantom):
    for path in make_series(tmp_path, phantom):
        ds = pydicom.dcmread(path)
        data = path.read_bytes()
        # Cut away preamble and meta header: what is left is the bare data set that old scanners wrote.
        start = 132 + 12 + ds.file_meta.FileMetaInformationGroupLength
        path.write_bytes(data[start:])
    np.testing.assert_array_equal(read_ct(tmp_path).hu, phantom)


def test_enhanced_multi_frame_ct(tmp_path, make_series, phantom):
    paths = make_series(tmp_path / "single", phantom)
    first = pydicom.dcmread(paths[0])
    ds = pydicom.Dataset()
    copied = (
        "StudyInstanceUID SeriesInstanceUID Modality PatientID Rows Columns SamplesPerPixel PhotometricInterpretation "
        "BitsAllocated BitsStored HighBit PixelRepresentation"
    )
    for name in copied.split():
        ds[name] = first[name]
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2.1", generate_uid()
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared, measures, orientation = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = first.PixelSpacing, 2.5
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    ds.SharedFunctionalGroupsSequence = [shared]
    frames, planes = [], []
    for number, k in enumerate((3, 0, 7, 1, 6, 2, 5, 4)):  # frames need not be in the order of their places
        single = pydicom.dcmread(paths[k])
        frame, place, rescale = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = single.ImagePositionPatient
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1024 - number, "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [rescale]
        frames.append(frame)
        planes.append(single.pixel_array + number)
    ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = frames, 8
    ds.PixelData = np.stack(planes).astype(np.uint16).tobytes()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    (tmp_path / "multi").mkdir()
    ds.save_as(tmp_path / "multi" / "enhanced.dcm", enforce_file_format=True)
    single, multi = read_ct(tmp_path / "single"), read_ct(tmp_path / "multi" / "enhanced.dcm")
    np.testing.assert_array_equal(multi.hu, single.hu)
    np.testing.assert_allclose(multi.ijk_to_ras, single.ijk_to_ras)


def test_dicomdir_is_passed_over(tmp_path, make_series, phantom):
    make_series(tmp_path, phantom)
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.FileSetID = "DISC"
    ds.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, phantom)


def test_missing_rescale_is_read_as_hu_with_a_word(tmp_path, make_series, phantom):
    def drop(ds, k):
        del ds.RescaleSlope, ds.RescaleIntercept

    make_series(tmp_path, phantom, signed=True, intercept=0.0, modify=drop)
    ct = read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, phantom)
    assert any("RescaleSlope" in warning for warning in ct.warnings)
