"""Matrices and voxels between numpy and VTK: arrays are [k, j, i], matrices 4x4 acting on (i, j, k, 1) or RAS mm."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from LungNoduleSegLib.errors import InputError


def vtk_matrix(matrix: np.ndarray) -> vtk.vtkMatrix4x4:
    """A new vtkMatrix4x4 with the values of `matrix` (4, 4)."""
    made = vtk.vtkMatrix4x4()
    made.DeepCopy(np.asarray(matrix, dtype=np.float64).ravel().tolist())
    return made


def numpy_matrix(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """The values of `matrix` as float64 (4, 4)."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def to_world(node) -> np.ndarray:
    """What the parent transforms of `node` do to its coordinates: float64 (4, 4), the identity without any.

    Raises
    ------
    InputError
        If one of them is not linear: a voxel grid cannot follow it.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            f"{node.GetName()!r} is under the transform {transform.GetName()!r}, which is not linear",
            remedy="Harden the transform in the Transforms module, or take the node out of it.",
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return numpy_matrix(matrix)


def volume_to_world(volume_node) -> np.ndarray:
    """IJK to world RAS mm of a volume, parent transforms included: float64 (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return to_world(volume_node) @ numpy_matrix(matrix)


def voxels(image: vtk.vtkImageData) -> np.ndarray:
    """The scalars of `image` as [k, j, i], a view of its memory."""
    extent = image.GetExtent()
    shape = tuple(extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0))
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape)


def set_voxels(image: vtk.vtkImageData, array: np.ndarray, offset_kji: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Give `image` a copy of `array` [k, j, i], its first voxel at `offset_kji` of the image's index space."""
    k, j, i = (int(start) for start in offset_kji)
    nk, nj, ni = array.shape
    image.SetExtent(i, i + ni - 1, j, j + nj - 1, k, k + nk - 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))


def labelmap(mask: np.ndarray, offset_kji: tuple[int, int, int], ijk_to_local: np.ndarray):
    """A segment's voxels as Slicer keeps them: only their box, placed in the CT's index space.

    Keeping the CT's own indices and matrix, instead of moving the origin to the box, makes the geometry of every
    segment equal to the CT's bit by bit; nothing is ever resampled.
    """
    image = slicer.vtkOrientedImageData()
    set_voxels(image, mask.astype(np.uint8), offset_kji)
    image.SetImageToWorldMatrix(vtk_matrix(ijk_to_local))
    return image
