"""Measurements of one nodule on the CT's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from LungNoduleSegLib.nodules.attenuation import classify
from LungNoduleSegLib.nodules.axes import nodule_axes
from LungNoduleSegLib.nodules.components import crop
from LungNoduleSegLib.nodules.nodule import Nodule, Point, new_uid

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT


def centroid_ras(mask: NDArray[np.bool_], offset_kji: ArrayLike, ijk_to_ras: ArrayLike) -> Point:
    """Mean of the voxel centres of a bool crop [k, j, i] at ``offset_kji``, RAS mm; any orientation of the grid."""
    matrix = np.asarray(ijk_to_ras, dtype=np.float64)
    voxels = np.argwhere(mask)
    if len(voxels) == 0:
        raise ValueError("Expected argument `mask` to hold at least one voxel, got an empty mask")
    kji = voxels.mean(axis=0) + np.asarray(offset_kji, dtype=np.float64)
    x, y, z = (matrix[:3, :3] @ kji[::-1] + matrix[:3, 3]).tolist()
    return x, y, z


def voxel_volume_mm3(ijk_to_ras: ArrayLike) -> float:
    """Volume of one voxel in mm3: the determinant, so that sheared grids count right too."""
    return float(abs(np.linalg.det(np.asarray(ijk_to_ras, dtype=np.float64)[:3, :3])))


def volume_mm3(mask: NDArray[np.bool_], ijk_to_ras: ArrayLike) -> float:
    """Volume in mm3: the number of voxels times the volume of one."""
    return int(np.count_nonzero(mask)) * voxel_volume_mm3(ijk_to_ras)


def mean_hu(mask: NDArray[np.bool_], hu: NDArray) -> float:
    """Mean CT number in HU over the mask; ``hu`` is a crop of the mask's shape."""
    return float(hu[mask].mean(dtype=np.float64))


def measure_nodule(
    mask: NDArray[np.bool_],
    offset_kji: ArrayLike,
    ct: CT,
    *,
    label: int,
    probability: float,
    uid: str | None = None,
    side: str = "",
    attenuation: str | None = None,
) -> Nodule:
    """Measure one nodule.

    Parameters
    ----------
    mask
        bool [k, j, i], the nodule on a box of any size around it; taken as it is (holes are the caller's to fill).
    offset_kji
        First voxel of the box in the CT.
    ct
        The CT; only the box around the nodule is read.
    label, probability, uid, side
        As in :class:`Nodule`; a new UID is made where none is given.
    attenuation
        A type that a user has set by hand, instead of the one measured.

    Raises
    ------
    ValueError
        If the mask is empty, not three-dimensional, or reaches out of the CT.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 3:
        raise ValueError(f"Expected argument `mask` to have three axes [k, j, i], got {mask.shape}")
    mask, (k, j, i) = crop(mask, offset_kji)
    stop = (k + mask.shape[0], j + mask.shape[1], i + mask.shape[2])
    if min(k, j, i) < 0 or any(s > n for s, n in zip(stop, ct.hu.shape, strict=True)):
        raise ValueError(
            f"Expected argument `mask` to lie inside the CT of {ct.hu.shape} voxels, got voxels {(k, j, i)} to {stop}"
        )
    hu = ct.hu[k : stop[0], j : stop[1], i : stop[2]]
    axes = nodule_axes(mask, (k, j, i), ct.ijk_to_ras)
    attenuation, solid_diameter_mm = classify(hu, mask, ct.ijk_to_ras, attenuation=attenuation)
    return Nodule(
        uid=uid or new_uid(),
        label=label,
        centroid_ras=centroid_ras(mask, (k, j, i), ct.ijk_to_ras),
        volume_mm3=volume_mm3(mask, ct.ijk_to_ras),
        long_axis_mm=axes.long_mm,
        short_axis_mm=axes.short_mm,
        mean_diameter_mm=axes.mean_mm,
        mean_hu=mean_hu(mask, hu),
        attenuation=attenuation,
        solid_diameter_mm=solid_diameter_mm,
        probability=probability,
        side=side,
        long_axis_ras=axes.long_ras,
        short_axis_ras=axes.short_ras,
        bounds_kji=((k, j, i), stop),
    )
