"""A CT volume from a single image file: NRRD, NIfTI or MetaImage, read by SimpleITK."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from LungNoduleSegLib.ct.plausible import check_values
from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError

if TYPE_CHECKING:
    import SimpleITK

SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")


def is_image_file(path: Path) -> bool:
    """True where the name ends like a file that :func:`read_image` reads."""
    return path.name.lower().endswith(SUFFIXES)


def read_image(path: Path) -> CT:
    """A volume from a file that holds a 3-D image in HU.

    Raises
    ------
    InputError
        Damaged file, not 3-D, several values per voxel, sheared geometry, or values that are no HU.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    remedy = "Save or copy it again from its source."
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    size = reader.GetSize()
    if reader.HasMetaDataKey("Modality") and reader.GetMetaData("Modality") == "MET_MOD_MR":
        raise InputError("an MR image, not a CT", path=path, remedy="Give a chest CT in HU.")
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"{reader.GetNumberOfComponents()} values per voxel (colour, vectors or several phases), not a CT",
            path=path, remedy="Give a volume with one value per voxel, in HU.",
        )  # fmt: skip
    if len(size) != 3 and not (len(size) > 3 and all(length == 1 for length in size[3:])):
        shape = " x ".join(str(length) for length in size)
        raise InputError(
            f"{len(size)}-D image ({shape}), not a 3-D volume", path=path,
            remedy="Save a single volume (one time point, all slices) as a file of its own.",
        )  # fmt: skip
    _check_complete(path, reader)
    try:
        if len(size) > 3:
            reader.SetExtractSize((*size[:3], *(0,) * (len(size) - 3)))
        image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    try:
        ct = CT.from_sitk(image, source=(path,), info={"modality": ""})
    except InputError as error:
        raise InputError(error.finding, path=path, remedy=error.remedy or remedy) from error
    check_values(ct.hu, path)
    return ct


def _check_complete(path: Path, reader: SimpleITK.ImageFileReader) -> None:
    """Refuse a truncated NIfTI file: its reader fills what is missing with zeros (water) and says nothing."""
    if not reader.HasMetaDataKey("bitpix") or not reader.HasMetaDataKey("vox_offset"):
        return
    wanted = int(float(reader.GetMetaData("vox_offset"))) + math.prod(reader.GetSize()) * (
        int(reader.GetMetaData("bitpix")) // 8
    )
    found = 0
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as opened:
                while block := opened.read(2**22):
                    found += len(block)
        else:
            found = path.stat().st_size
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"damaged or truncated ({error})", path=path, remedy="Save or copy it again from its source."
        ) from error
    if found < wanted:
        raise InputError(
            f"truncated: {found:,} bytes instead of {wanted:,}", path=path,
            remedy="Save or copy it again from its source.",
        )  # fmt: skip


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    # ITK reports the last system error, which is usually somebody else's, beside what really happened.
    text = str(error).replace("Reason: No such file or directory", "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = lines[-1] if lines else "unknown reason"
    if "orthonormal" in text.lower():
        return InputError(
            "a sheared grid (its axes are not at right angles)", path=path,
            remedy="Resample it to a rectangular grid first, for example with Slicer's Resample Scalar Volume.",
        )  # fmt: skip
    return InputError(
        f"damaged, truncated, or not the format that its name says ({reason.rstrip('.')})", path=path,
        remedy="Save or copy it again from its source.",
    )  # fmt: skip
