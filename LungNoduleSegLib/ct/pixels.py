"""Stored DICOM pixel values to HU, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.headers import DAMAGED, SliceHeader, quiet_pydicom
from LungNoduleSegLib.ct.sources import SourceFile
from LungNoduleSegLib.ct.volume import AIR_HU
from LungNoduleSegLib.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

TISSUE_HU = (-200.0, 3071.0)
"""Padding inside this range is suspicious: real voxels have such values too."""


def read_hu(slices: tuple[SliceHeader, ...]) -> tuple[NDArray[np.int16], list[str]]:
    """The HU of slices that all have the same size.

    Returns
    -------
    int16 [k, j, i] in the order of ``slices``, nothing below -1024, padding at -1024; and warnings.

    Raises
    ------
    InputError
        No pixel data, truncated or damaged pixel data, or a compression that no installed package decodes.
    """
    volume = np.empty((len(slices), *slices[0].shape), np.int16)
    by_file: dict[Path, list[int]] = {}
    for k, one in enumerate(slices):
        by_file.setdefault(one.file.path, []).append(k)
    warnings: set[str] = set()
    with quiet_pydicom():
        for indices in by_file.values():
            dataset = _opened(slices[indices[0]].file)
            padding = _padding(dataset)
            for k, stored in zip(indices, _stored(dataset, slices, indices), strict=True):
                slope, intercept = slices[k].slope, slices[k].intercept
                if slope is None or intercept is None:
                    slope, intercept = 1.0, 0.0
                    warnings.add("no RescaleSlope or RescaleIntercept: the stored values are taken as HU")
                if padding is not None and padding[0] == padding[1]:
                    at = padding[0] * slope + intercept
                    if TISSUE_HU[0] <= at <= TISSUE_HU[1]:
                        warnings.add(f"padding is marked by {at:.0f} HU, a value that tissue has too; it reads as air")
                _write_hu(stored, slope, intercept, padding, volume[k])
    return volume, sorted(warnings)


def _write_hu(
    stored: NDArray[Any], slope: float, intercept: float, padding: tuple[int, int] | None, out: NDArray[np.int16]
) -> None:
    exact = slope == 1 and float(intercept).is_integer() and abs(intercept) < 2**30 and stored.dtype.itemsize <= 2
    hu = stored.astype(np.int32 if exact else np.float64)
    if exact:
        hu += int(intercept)
    else:
        hu *= slope
        hu += intercept
        np.rint(hu, out=hu)
    if padding is not None:
        hu[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
    np.clip(hu, AIR_HU, 32767, out=out, casting="unsafe")


def _opened(file: SourceFile) -> Dataset:
    import pydicom

    try:
        dataset = pydicom.dcmread(file.path, force=True)
    except Exception as error:  # pydicom raises whatever the damage leads to
        raise InputError(f"damaged DICOM file ({error})", path=file.shown, remedy=DAMAGED) from error
    if "PixelData" not in dataset:
        raise InputError("no pixel data in it, or a truncated file", path=file.shown, remedy=DAMAGED)
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    uid = dataset.file_meta.get("TransferSyntaxUID")
    if uid is None:
        # Files of old scanners have no meta header; pydicom has found out the encoding while reading.
        implicit, little = dataset.original_encoding
        native = pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = native if little else pydicom.uid.ExplicitVRBigEndian
    elif not pydicom.uid.UID(uid).is_transfer_syntax:
        raise InputError(f"unknown transfer syntax {uid}", path=file.shown, remedy=DAMAGED)
    return dataset


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    """Smallest and largest stored value that mean "no pixel here" (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None or value == "":
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    bits, signed = int(dataset.BitsAllocated), int(dataset.get("PixelRepresentation", 0)) == 1

    def stored(number: int) -> int:
        # Often written as unsigned in a signed image, or the other way round: 63536 is -2000.
        number = int(number) % 2**bits
        return number - 2**bits if signed and number >= 2 ** (bits - 1) else number

    ends = (stored(value), stored(value if limit in (None, "") else limit))
    return min(ends), max(ends)


def _stored(dataset: Dataset, slices: tuple[SliceHeader, ...], indices: list[int]) -> Iterator[NDArray[Any]]:
    """Stored values of each wanted frame of one file, decoded and with their sign."""
    first = slices[indices[0]]
    try:
        frames = _by_pydicom(dataset, first)
    except Exception as error:  # plugins raise many kinds
        if not dataset.file_meta.TransferSyntaxUID.is_compressed:
            raise InputError(f"damaged or truncated pixel data ({_short(error)})", path=first.file.shown,
                             remedy=DAMAGED) from error  # fmt: skip
        try:
            frames = _by_simpleitk(dataset, first)
        except Exception as second:
            raise InputError(
                f"pixel data that cannot be decoded ({dataset.file_meta.TransferSyntaxUID.name}: {_short(error)}; "
                f"SimpleITK: {_short(second)})",
                path=first.file.shown,
                remedy="Copy or export the file again; if it is sound, export it uncompressed or install "
                "pylibjpeg with its plugins.",
            ) from second
    for k in indices:
        yield frames[slices[k].frame or 0]


def _by_pydicom(dataset: Dataset, header: SliceHeader) -> NDArray[Any]:
    array = dataset.pixel_array
    return _checked(array, dataset, header)


def _by_simpleitk(dataset: Dataset, header: SliceHeader) -> NDArray[Any]:
    """Decode with GDCM inside SimpleITK, which Slicer always has.

    GDCM would apply the rescaling of the header; a bare copy of the image without it yields the stored values, so that
    they go the same way as those that pydicom decodes. The copy also has a path that every system can open.
    """
    import pydicom
    import SimpleITK as sitk

    bare = pydicom.Dataset()
    for name in ("SOPInstanceUID", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
                 "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames", "PixelData"):  # fmt: skip
        if name in dataset:
            bare[name] = dataset[name]
    bare.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    bare.Modality = "CT"
    bare.RescaleSlope, bare.RescaleIntercept = 1, 0
    bare.file_meta = pydicom.dataset.FileMetaDataset()
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with TemporaryDirectory(prefix="lungnoduleseg-") as folder:
        path = Path(folder, "slice.dcm")
        pydicom.dcmwrite(path, bare, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        array = sitk.GetArrayFromImage(reader.Execute())
    return _checked(array, dataset, header)


def _checked(array: NDArray[Any], dataset: Dataset, header: SliceHeader) -> NDArray[Any]:
    """[frame, row, column], or an error where the decoder returned something else than the header promises."""
    frames = array.reshape((-1, *array.shape[-2:])) if array.ndim in (2, 3) else array
    if frames.ndim != 3 or frames.shape[1:] != header.shape or len(frames) < int(dataset.get("NumberOfFrames") or 1):
        raise ValueError(f"decoded to shape {array.shape}, expected {header.shape}")
    return frames


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300].rstrip(".")
