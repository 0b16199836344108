"""A segmentation of any of the usual formats, on the grid of its CT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.ct.files import SUFFIXES, is_image_file
from LungNoduleSegLib.ct.headers import looks_like_dicom, quiet_pydicom
from LungNoduleSegLib.ct.sources import SourceFile
from LungNoduleSegLib.errors import InputError

if TYPE_CHECKING:
    import SimpleITK

SAME_VOXEL = 0.1
"""Share of a voxel that two grids may be apart and count as the same."""


def read_segmentation(path: Path, ct: CT) -> tuple[np.ndarray, tuple[str, ...]]:
    """Nodules of a segmentation.

    Parameters
    ----------
    path
        NRRD, Slicer's .seg.nrrd, NIfTI, MetaImage, or DICOM SEG (or a folder that holds one).

    Returns
    -------
    int16 [k, j, i] on the grid of ``ct``: nodules from 1; and remarks. A nodule is one connected part of one label.

    Raises
    ------
    InputError
        Damaged or of another kind, or it does not lie on this CT.
    """
    path = _the_file(path)
    image = _dicom_seg(path) if not is_image_file(path) else _image(path)
    labels, remarks = _onto(image, ct, path)
    nodules = np.zeros(ct.shape, np.int16)
    count = 0
    for value in np.unique(labels[labels > 0]):
        parts, found = ndimage.label(labels == value, np.ones((3, 3, 3)))
        nodules[parts > 0] = parts[parts > 0] + count
        count += found
    if not count:
        remarks = (*remarks, "no nodule in it: the whole CT counts as background")
    return nodules, remarks


def _the_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(p for p in path.iterdir() if p.is_file())
    if len(files) != 1:
        raise InputError(f"{len(files)} files where one is expected", path=path, remedy="Name the segmentation's file.")
    return files[0]


def _image(path: Path) -> SimpleITK.Image:
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError("damaged, or not the format its name says", path=path, remedy="Save it again.") from error
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3:
        raise InputError(f"{image.GetDimension()}-D, not a 3-D segmentation", path=path, remedy="Save one time point.")
    values = sitk.GetArrayFromImage(image)
    if values.ndim == 4:  # layers of overlapping segments, as Slicer writes them
        offsets = np.concatenate([[0], np.cumsum([int(values[..., n].max()) for n in range(values.shape[-1])])])
        layers = [np.where(values[..., n] > 0, values[..., n] + offsets[n], 0) for n in range(values.shape[-1])]
        return _like(_merged(layers), image)
    if not np.array_equal(values, np.rint(values)) or values.min() < 0:
        raise InputError(
            f"values from {values.min():g} to {values.max():g}, not labels", path=path,
            remedy="Give whole numbers: 0 for background, 1 and more for nodules.",
        )  # fmt: skip
    return _like(values.astype(np.int32), image)


def _dicom_seg(path: Path) -> SimpleITK.Image:
    import highdicom
    import SimpleITK as sitk

    if not looks_like_dicom(SourceFile(path, str(path))):
        raise InputError(
            "no segmentation that can be read", path=path,
            remedy=f"Give a file ending in {', '.join(SUFFIXES)}, or a DICOM SEG.",
        )  # fmt: skip
    with quiet_pydicom():
        try:
            volume = highdicom.seg.segread(str(path)).get_volume(combine_segments=False)
        except Exception as error:  # whatever the file leads highdicom to
            raise InputError(f"no DICOM segmentation on a regular grid ({error})", path=path) from error
    layers = [np.where(volume.array[..., n] > 0, n + 1, 0) for n in range(volume.array.shape[-1])]
    affine = np.asarray(volume.affine)[:, [2, 1, 0, 3]]  # columns i, j, k; LPS
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(_merged(layers))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def _merged(layers: list[np.ndarray]) -> np.ndarray:
    """One label a voxel: where segments overlap, the first."""
    merged = np.zeros(layers[0].shape, np.int32)
    for layer in layers:
        merged = np.where(merged > 0, merged, layer)
    return merged.astype(np.int32)


def _like(values: np.ndarray, image: SimpleITK.Image) -> SimpleITK.Image:
    import SimpleITK as sitk

    made = sitk.GetImageFromArray(values)
    made.SetSpacing(image.GetSpacing())
    made.SetDirection(image.GetDirection())
    made.SetOrigin(image.GetOrigin())
    return made


def _onto(image: SimpleITK.Image, ct: CT, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels on the CT's grid, by nearest neighbour; a segmentation of a part of the CT is exact."""
    import SimpleITK as sitk

    target = ct.to_sitk()
    labels = sitk.GetArrayFromImage(
        sitk.Resample(image, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkInt32)
    )
    drawn = sitk.GetArrayViewFromImage(image)
    before, after = int(np.count_nonzero(drawn)), int(np.count_nonzero(labels))
    if before and not after:
        raise InputError(
            "the segmentation lies beside its CT: no voxel of it is inside", path=path,
            remedy="Check that the two belong together and are saved in the same coordinates.",
        )  # fmt: skip
    if _same_lattice(image, target):
        if after != before:
            raise InputError(
                f"{before - after} of {before} marked voxels lie outside its CT", path=path,
                remedy="Check that the two belong together.",
            )  # fmt: skip
        return labels, ()
    spacing = " x ".join(f"{s:.3g}" for s in image.GetSpacing())
    own = " x ".join(f"{s:.3g}" for s in target.GetSpacing())
    return labels, (f"resampled by nearest neighbour from {spacing} mm to the CT's {own} mm",)


def _same_lattice(image: SimpleITK.Image, target: SimpleITK.Image) -> bool:
    """True where every voxel of ``image`` is a voxel of the endless grid of ``target``."""
    corners = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    size = np.array(image.GetSize()) - 1
    for corner in corners:
        index = [int(v) for v in np.array(corner) * size]
        there = np.array(target.TransformPhysicalPointToContinuousIndex(image.TransformIndexToPhysicalPoint(index)))
        if np.abs(there - np.rint(there)).max() > SAME_VOXEL:
            return False
    return bool(np.allclose(image.GetSpacing(), target.GetSpacing(), rtol=1e-3)) or _permuted(image, target)


def _permuted(image: SimpleITK.Image, target: SimpleITK.Image) -> bool:
    return bool(np.allclose(sorted(image.GetSpacing()), sorted(target.GetSpacing()), rtol=1e-3))
