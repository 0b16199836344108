"""The CT volume: Hounsfield units on a grid, and where that grid lies in the patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from LungNoduleSegLib.errors import InputError

if TYPE_CHECKING:
    import SimpleITK

AIR_HU = -1024
"""Lowest value kept: padding and reconstruction artefacts below the 12-bit scale's end mean air (HU)."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM and ITK count x to the left and y to the back, Slicer and NIfTI to the right and to the front."""

# Directions written with six decimals, as DICOM and Slicer do, stay well inside; a sheared grid does not.
ORTHOGONALITY_TOLERANCE = 1e-3


def to_hu(values: NDArray[Any], *, copy: bool = True) -> NDArray[np.int16]:
    """Round to whole HU and limit to [-1024, 32767].

    Parameters
    ----------
    values
        HU as any real dtype, any shape; NaN counts as air.
    copy
        False lets the result share memory with ``values`` where nothing has to change.

    Returns
    -------
    int16 array of the same shape, C-contiguous.
    """
    if values.dtype == np.int16:
        if values.size and values.min() < AIR_HU:
            return np.maximum(values, np.int16(AIR_HU), order="C")
        return np.array(values, order="C", copy=True) if copy else np.ascontiguousarray(values)
    if values.dtype == bool or values.dtype.kind not in "iuf":
        raise InputError(f"Expected argument `hu` to be an array of real numbers, got dtype {values.dtype}")
    out = np.empty(values.shape, np.int16)
    for k in range(values.shape[0]):  # slice by slice: no float copy of the whole volume
        part = values[k]
        if part.dtype.kind == "f":
            part = np.nan_to_num(np.rint(part), nan=AIR_HU, posinf=32767, neginf=AIR_HU)
        top = 32767 if part.dtype.kind == "f" else min(32767, np.iinfo(part.dtype).max)
        low = AIR_HU if part.dtype.kind == "f" else max(AIR_HU, int(np.iinfo(part.dtype).min))
        np.clip(part, low, top, out=out[k], casting="unsafe")
    return out


@dataclass(frozen=True, eq=False)
class CT:
    """An immutable CT volume.

    Attributes
    ----------
    hu
        int16 [k, j, i], C-contiguous, read-only, in HU; nothing below -1024. k counts slices, j rows, i columns.
        Read from DICOM, k ascends along the slice normal (row x column cosines): towards the head in a usual axial
        scan.
    ijk_to_ras
        float64 (4, 4), read-only; maps (i, j, k, 1) to RAS coordinates in mm (x to the patient's right, y to the front,
        z to the head). Its columns are orthogonal; either handedness is allowed.
    series_uid, study_uid
        DICOM UIDs, empty where the file has none.
    info
        Facts about the scan as text: patient_id, modality, kernel, slice_thickness_mm, manufacturer, ...
    source
        Files that it was read from, in slice order for DICOM.
    warnings
        Sentences about what was found and tolerated while reading.

    Raises
    ------
    InputError
        Wrong dtype, shape or geometry.
    """

    hu: NDArray[np.int16]
    ijk_to_ras: NDArray[np.float64]
    series_uid: str = ""
    study_uid: str = ""
    info: Mapping[str, str] = field(default_factory=dict)
    source: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        hu = self.hu
        if not isinstance(hu, np.ndarray) or hu.dtype != np.int16 or hu.ndim != 3:
            found = f"{hu.ndim}-D {hu.dtype}" if isinstance(hu, np.ndarray) else type(hu).__name__
            raise InputError(f"Expected argument `hu` to be a 3-D int16 array [k, j, i] in HU, got {found}")
        if 0 in hu.shape:
            raise InputError(f"Expected argument `hu` to hold at least one voxel, got shape {hu.shape}")
        hu = np.ascontiguousarray(hu).view()
        hu.flags.writeable = False
        affine = _checked_affine(self.ijk_to_ras)
        object.__setattr__(self, "hu", hu)
        object.__setattr__(self, "ijk_to_ras", affine)
        object.__setattr__(self, "info", MappingProxyType(dict(self.info)))
        object.__setattr__(self, "source", tuple(Path(path) for path in self.source))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    def __reduce__(self):
        # A mapping proxy cannot be pickled, and worker processes receive volumes pickled.
        fields = (self.hu, self.ijk_to_ras, self.series_uid, self.study_uid, dict(self.info))
        return (type(self), (*fields, self.source, self.warnings))

    @classmethod
    def from_array(
        cls,
        hu: ArrayLike,
        *,
        ijk_to_ras: ArrayLike | None = None,
        spacing_mm: Sequence[float] | None = None,
        copy: bool = True,
        **fields: Any,
    ) -> CT:
        """A volume from HU in memory.

        Parameters
        ----------
        hu
            [k, j, i], any real dtype, in HU; rounded, limited to [-1024, 32767], NaN becomes air.
        ijk_to_ras
            (4, 4) in mm. Without it the volume is a usual axial scan: i towards the patient's left, j to the back,
            k to the head, the first voxel at the origin, with ``spacing_mm``.
        spacing_mm
            (k, j, i) in mm; default 1 mm. Give either this or ``ijk_to_ras``.
        copy
            False shares the memory of a C-contiguous int16 array; the caller must then leave it unchanged.
        fields
            ``series_uid``, ``study_uid``, ``info``, ``source``, ``warnings``.
        """
        array = np.asarray(hu)
        if array.ndim != 3:
            raise InputError(f"Expected argument `hu` to be 3-D [k, j, i], got shape {array.shape}")
        if ijk_to_ras is not None and spacing_mm is not None:
            raise InputError("Expected only one of the arguments `ijk_to_ras` and `spacing_mm`, got both")
        if ijk_to_ras is None:
            spacing = np.asarray((1.0, 1.0, 1.0) if spacing_mm is None else spacing_mm, dtype=np.float64)
            if spacing.shape != (3,) or not np.all(np.isfinite(spacing)) or np.any(spacing <= 0):
                raise InputError(f"Expected argument `spacing_mm` to be three positive lengths, got {spacing_mm}")
            ijk_to_ras = LPS_TO_RAS @ np.diag([*spacing[::-1], 1.0])
        return cls(to_hu(array, copy=copy), np.asarray(ijk_to_ras, dtype=np.float64), **fields)

    @classmethod
    def from_sitk(cls, image: SimpleITK.Image, **fields: Any) -> CT:
        """A volume from a 3-D scalar SimpleITK image whose values are HU; its geometry is kept, its pixels copied."""
        import SimpleITK as sitk

        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(
                "Expected argument `image` to be 3-D with one value per voxel, "
                f"got {image.GetDimension()}-D with {image.GetNumberOfComponentsPerPixel()}"
            )
        lps = np.eye(4)
        lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
        lps[:3, 3] = image.GetOrigin()
        return cls.from_array(sitk.GetArrayViewFromImage(image), ijk_to_ras=LPS_TO_RAS @ lps, **fields)

    def to_sitk(self) -> SimpleITK.Image:
        """The volume as an int16 SimpleITK image on the same grid (LPS, as ITK counts)."""
        import SimpleITK as sitk

        lps = LPS_TO_RAS @ self.ijk_to_ras
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        image = sitk.GetImageFromArray(self.hu)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        return image

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (k, j, i)."""
        return self.hu.shape  # type: ignore[return-value]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (k, j, i) in mm."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(k), float(j), float(i)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of a voxel in mm3."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3])))

    def kji_to_ras(self, kji: ArrayLike) -> NDArray[np.float64]:
        """RAS coordinates in mm, (..., 3), of voxel indices (..., 3) in the order (k, j, i); fractions are allowed."""
        index = _triples(kji, "kji")
        return index[..., ::-1] @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def ras_to_kji(self, ras: ArrayLike) -> NDArray[np.float64]:
        """Voxel indices (..., 3), in the order (k, j, i), with fractions, of RAS coordinates (..., 3) in mm.

        A voxel's centre has whole indices; a place outside the volume has indices below -0.5 or beyond shape - 0.5.
        """
        place = _triples(ras, "ras") - self.ijk_to_ras[:3, 3]
        return (place @ np.linalg.inv(self.ijk_to_ras[:3, :3]).T)[..., ::-1]

    @property
    def anatomical_axes(self) -> tuple[int, int, int]:
        """Which array axis (0 = k, 1 = j, 2 = i) runs closest to the patient's x, y and z axis.

        (2, 1, 0) in a volume of axial slices.
        """
        cosines = np.abs(self.ijk_to_ras[:3, :3] / np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0))
        best = max(_PERMUTATIONS, key=lambda order: sum(cosines[x, i] for x, i in enumerate(order)))
        return tuple(2 - i for i in best)  # type: ignore[return-value]

    @property
    def slice_orientation(self) -> str:
        """ "axial", "coronal" or "sagittal": the plane that a slice ``hu[k]`` lies closest to."""
        return ("sagittal", "coronal", "axial")[self.anatomical_axes.index(0)]


_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def _triples(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != 3:
        raise InputError(f"Expected argument `{name}` to have shape (..., 3), got {array.shape}")
    return array


def _checked_affine(ijk_to_ras: ArrayLike) -> NDArray[np.float64]:
    affine = np.array(ijk_to_ras, dtype=np.float64)
    if affine.shape != (4, 4) or not np.all(np.isfinite(affine)) or not np.allclose(affine[3], (0, 0, 0, 1)):
        raise InputError(
            f"Expected argument `ijk_to_ras` to be a finite (4, 4) matrix with last row 0 0 0 1, got {affine.tolist()}"
        )
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if np.any(lengths <= 0):
        raise InputError(f"Expected argument `ijk_to_ras` to have positive spacing, got {lengths.tolist()}")
    unit = affine[:3, :3] / lengths
    if np.abs(unit.T @ unit - np.eye(3)).max() > ORTHOGONALITY_TOLERANCE:
        raise InputError(
            "Expected argument `ijk_to_ras` to have orthogonal axes, got a sheared grid",
            remedy="Resample the volume to a rectangular grid first.",
        )
    affine.flags.writeable = False
    return affine
