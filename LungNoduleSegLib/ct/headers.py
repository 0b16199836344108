"""The DICOM header of each slice, as far as a CT volume needs it. One frame of a multi-frame file counts as a slice."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.sources import SourceFile
from LungNoduleSegLib.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
DICOM_DIRECTORY = "1.2.840.10008.1.3.10"

DAMAGED = "Copy or export this file again from its source, or remove it."

TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality", "ImageType", "Rows",
    "Columns", "SamplesPerPixel", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "SeriesDescription",
    "SeriesNumber", "StudyDate", "StudyDescription", "PatientID", "ConvolutionKernel", "Manufacturer",
    "ManufacturerModelName", "KVP", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


@dataclass(frozen=True)
class SliceHeader:
    """Where a slice lies and how its stored values become HU (PS3.3 C.7.6.2, C.11.1).

    ``position`` (mm) and the unit vectors ``row`` and ``column`` are DICOM's LPS; ``row`` is the direction in which the
    column index grows. ``pixel_spacing`` is (between rows, between columns) in mm. What the file lacks is None.
    ``frame`` counts from 0 in a multi-frame file and is None elsewhere.
    """

    file: SourceFile
    frame: int | None
    shape: tuple[int, int]
    position: NDArray[np.float64] | None
    row: NDArray[np.float64] | None
    column: NDArray[np.float64] | None
    pixel_spacing: tuple[float, float] | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    image_type: tuple[str, ...]

    @property
    def shown(self) -> str:
        """Name for messages."""
        return self.file.shown if self.frame is None else f"{self.file.shown} (frame {self.frame + 1})"

    @property
    def is_localizer(self) -> bool:
        """True for a scout view."""
        return any(value in ("LOCALIZER", "SCOUT", "TOPOGRAM", "SCANOGRAM") for value in self.image_type)


@dataclass(frozen=True)
class FileHeader:
    """One DICOM file: the series it belongs to and its slices (none where it is no image)."""

    file: SourceFile
    series_uid: str
    study_uid: str
    sop_class: str
    modality: str
    description: str
    samples_per_pixel: int
    info: dict[str, str]
    slices: tuple[SliceHeader, ...]


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's remarks about harmless irregularities from the user's console; what matters raises."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def looks_like_dicom(file: SourceFile) -> bool:
    """True for a DICOM file: the DICM mark, or a bare data set beginning with group 2 or 8 (files of old scanners)."""
    try:
        with file.path.open("rb") as opened:
            head = opened.read(132)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", path=file.shown, remedy="Check that you may read this file."
        ) from error
    return head[128:132] == b"DICM" or head[:4] in (b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x02\x00\x00\x00")


def read_header(file: SourceFile) -> FileHeader | None:
    """The header of one DICOM file; None for a DICOMDIR.

    Raises
    ------
    InputError
        Damaged header, or geometry that cannot be understood.
    """
    import pydicom

    with quiet_pydicom():
        try:
            dataset = pydicom.dcmread(file.path, stop_before_pixels=True, force=True, specific_tags=TAGS)
            uid = str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) if hasattr(dataset, "file_meta") else ""
            if uid == DICOM_DIRECTORY:
                return None
            return _header(dataset, file)
        except InputError:
            raise
        except Exception as error:  # pydicom raises whatever the damage leads to
            raise InputError(f"damaged DICOM header ({error})", path=file.shown, remedy=DAMAGED) from error


def _header(dataset: Dataset, file: SourceFile) -> FileHeader:
    if not dataset.get("SeriesInstanceUID") or not dataset.get("SOPClassUID"):
        raise InputError("damaged or truncated DICOM header (no SeriesInstanceUID)", path=file.shown, remedy=DAMAGED)
    is_image = bool(dataset.get("Rows")) and bool(dataset.get("Columns"))
    if not is_image and dataset.SOPClassUID in (CT_IMAGE, *ENHANCED_CT_IMAGES):
        # Were it passed over like a report, the last slice of a series could be lost without a word.
        raise InputError("damaged or truncated DICOM header (no Rows or Columns)", path=file.shown, remedy=DAMAGED)
    return FileHeader(
        file=file,
        series_uid=str(dataset.SeriesInstanceUID),
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        sop_class=str(dataset.SOPClassUID),
        modality=str(dataset.get("Modality") or ""),
        description=str(dataset.get("SeriesDescription") or ""),
        samples_per_pixel=int(dataset.get("SamplesPerPixel") or 1),
        info=_info(dataset),
        slices=tuple(_slices(dataset, file)) if is_image else (),
    )


def _slices(dataset: Dataset, file: SourceFile) -> Iterator[SliceHeader]:
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        frames = int(dataset.get("NumberOfFrames") or 1)
        for frame in range(frames):
            yield _slice(file, None if frames == 1 else frame, dataset, dataset, dataset, dataset, dataset, dataset)
        return
    for number, groups in enumerate(per_frame):

        def group(name: str, own=groups) -> Any:
            return _first(own, name) or _first(shared, name) or {}

        frame_type = group("CTImageFrameTypeSequence").get("FrameType") or dataset.get("ImageType")
        yield _slice(
            file, number, dataset, group("PlanePositionSequence"), group("PlaneOrientationSequence"),
            group("PixelMeasuresSequence"), group("PixelValueTransformationSequence"), {"ImageType": frame_type},
        )  # fmt: skip


def _slice(
    file: SourceFile,
    frame: int | None,
    image: Any,
    position: Any,
    orientation: Any,
    measures: Any,
    rescale: Any,
    kind: Any,
) -> SliceHeader:
    place = _numbers(position, "ImagePositionPatient", 3, file)
    cosines = _numbers(orientation, "ImageOrientationPatient", 6, file)
    spacing = _numbers(measures, "PixelSpacing", 2, file)
    if spacing is not None and spacing.min() <= 0:
        raise InputError(f"PixelSpacing is {spacing.tolist()}, not positive", path=file.shown, remedy=DAMAGED)
    row, column = _unit_vectors(cosines, file) if cosines is not None else (None, None)
    slope, intercept = _numbers(rescale, "RescaleSlope", 1, file), _numbers(rescale, "RescaleIntercept", 1, file)
    if slope is not None and slope[0] == 0:
        raise InputError("RescaleSlope is 0", path=file.shown, remedy=DAMAGED)
    if image.get("ModalityLUTSequence"):
        raise InputError(
            "a modality look-up table instead of RescaleSlope and RescaleIntercept", path=file.shown,
            remedy="Export the series with linear rescaling to HU.",
        )  # fmt: skip
    image_type = kind.get("ImageType") or ()
    return SliceHeader(
        file=file,
        frame=frame,
        shape=(int(image.Rows), int(image.Columns)),
        position=place,
        row=row,
        column=column,
        pixel_spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        slope=None if slope is None else float(slope[0]),
        intercept=None if intercept is None else float(intercept[0]),
        rescale_type=str(rescale.get("RescaleType") or "").strip().upper(),
        image_type=tuple(str(value).upper() for value in ([image_type] if isinstance(image_type, str) else image_type)),
    )


def _numbers(source: Any, name: str, count: int, file: SourceFile) -> NDArray[np.float64] | None:
    value = source.get(name)
    if value is None or value == "":
        return None
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.all(np.isfinite(numbers)):
        raise InputError(f"{name} is {value!s}, expected {count} numbers", path=file.shown, remedy=DAMAGED)
    return numbers


def _unit_vectors(cosines: NDArray[np.float64], file: SourceFile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column direction without the rounding of decimal strings: unit length, at right angles."""
    row, column = cosines[:3], cosines[3:]
    if np.abs([row @ row - 1, column @ column - 1, row @ column]).max() > 1e-2:
        raise InputError(
            f"ImageOrientationPatient is {cosines.tolist()}, not two unit vectors at right angles",
            path=file.shown, remedy=DAMAGED,
        )  # fmt: skip
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _first(source: Any, name: str) -> Any:
    sequence = source.get(name) if source is not None else None
    return sequence[0] if sequence else None


def _info(dataset: Dataset) -> dict[str, str]:
    names = {
        "patient_id": "PatientID", "modality": "Modality", "kernel": "ConvolutionKernel",
        "slice_thickness_mm": "SliceThickness", "manufacturer": "Manufacturer",
        "scanner": "ManufacturerModelName", "kvp": "KVP", "series_number": "SeriesNumber",
        "series_description": "SeriesDescription", "study_description": "StudyDescription", "study_date": "StudyDate",
    }  # fmt: skip
    found = {}
    for key, tag in names.items():
        value = dataset.get(tag)
        if value not in (None, "", []):
            found[key] = value if isinstance(value, str) else _as_text(value)
    return {key: str(value) for key, value in found.items()}


def _as_text(value: Any) -> str:
    from pydicom.multival import MultiValue

    return "\\".join(str(part) for part in value) if isinstance(value, (MultiValue, list, tuple)) else str(value)
