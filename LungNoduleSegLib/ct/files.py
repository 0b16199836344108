"""A CT volume from a single image file: NRRD, NIfTI or MetaImage, read by SimpleITK."""

from __future__ import annotations

from pathlib import Path

from LungNoduleSegLib.ct.plausible import check_values
from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError

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


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else "unknown reason"
    if "orthonormal" in str(error).lower():
        return InputError(
            "a sheared grid (its axes are not at right angles)", path=path,
            remedy="Resample it to a rectangular grid first, for example with Slicer's Resample Scalar Volume.",
        )  # fmt: skip
    return InputError(
        f"damaged, truncated, or not the format that its name says ({reason.rstrip('.')})", path=path,
        remedy="Save or copy it again from its source.",
    )  # fmt: skip
