"""Slices through a CT along its own anatomical planes, sampled at a chosen scale.

Radiological convention: the patient's right is on the left of axial and coronal pictures, anterior is at the top of
axial ones and on the left of sagittal ones, superior is at the top of coronal and sagittal ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy import ndimage

AIR_HU = -1024.0
VIEWS = ("axial", "coronal", "sagittal")


def anatomical_axes(ijk_to_ras: np.ndarray) -> np.ndarray:
    """Unit vectors of the voxel axes that lie nearest to R, A and S.

    Parameters
    ----------
    ijk_to_ras
        (4, 4), columns i, j, k; mm.

    Returns
    -------
    numpy.ndarray
        (3, 3): rows are the voxel-axis directions nearest to right, anterior, superior, each pointing that way. For an
        oblique CT they follow the voxels, so that pictures show what was measured and nothing is resampled across
        slices.
    """
    columns = np.asarray(ijk_to_ras, dtype=float)[:3, :3]
    units = columns / np.linalg.norm(columns, axis=0)
    order = max(permutations(range(3)), key=lambda p: sum(abs(units[row, p[row]]) for row in range(3)))
    return np.array([units[:, column] * (1.0 if units[row, column] >= 0 else -1.0) for row, column in enumerate(order)])


@dataclass(frozen=True)
class Plane:
    """A rectangle in patient space and the pixel grid on it.

    ``centre_ras`` in mm; ``across`` and ``down`` are unit vectors (RAS) along the picture's x and y; ``size_px`` is
    (width, height); ``mm_per_px`` the scale; ``letters`` what stands at the left, right, top and bottom edge.
    """

    centre_ras: tuple[float, float, float]
    across: tuple[float, float, float]
    down: tuple[float, float, float]
    size_px: tuple[int, int]
    mm_per_px: float
    letters: tuple[str, str, str, str]

    def points(self) -> np.ndarray:
        """RAS of every pixel centre, (height, width, 3), mm."""
        width, height = self.size_px
        x = (np.arange(width) - (width - 1) / 2) * self.mm_per_px
        y = (np.arange(height) - (height - 1) / 2) * self.mm_per_px
        return (
            np.asarray(self.centre_ras)
            + x[None, :, None] * np.asarray(self.across)
            + y[:, None, None] * np.asarray(self.down)
        )

    def to_pixel(self, ras) -> tuple[float, float]:
        """(x, y) pixel of a point's projection onto the plane."""
        offset = np.asarray(ras, dtype=float) - np.asarray(self.centre_ras)
        width, height = self.size_px
        return (
            float(offset @ np.asarray(self.across)) / self.mm_per_px + (width - 1) / 2,
            float(offset @ np.asarray(self.down)) / self.mm_per_px + (height - 1) / 2,
        )

    def distance_mm(self, ras) -> float:
        """Distance of a point from the plane, mm."""
        normal = np.cross(self.across, self.down)
        return float(abs((np.asarray(ras, dtype=float) - np.asarray(self.centre_ras)) @ normal))


def plane(view: str, axes: np.ndarray, centre_ras, size_px: tuple[int, int], mm_per_px: float) -> Plane:
    """The ``view`` ("axial", "coronal" or "sagittal") plane through a point.

    ``axes`` are those of :func:`anatomical_axes`.
    """
    right, anterior, superior = np.asarray(axes, dtype=float)
    if view == "axial":
        across, down, letters = -right, -anterior, ("R", "L", "A", "P")
    elif view == "coronal":
        across, down, letters = -right, -superior, ("R", "L", "S", "I")
    elif view == "sagittal":
        across, down, letters = -anterior, -superior, ("A", "P", "S", "I")
    else:
        raise ValueError(f"Expected argument `view` to be one of {VIEWS}, got {view!r}")
    x, y, z = (float(value) for value in centre_ras)
    return Plane((x, y, z), tuple(across.tolist()), tuple(down.tolist()), size_px, float(mm_per_px), letters)


def sample(volume: np.ndarray, offset_kji, ct, where: Plane, *, order: int = 1, outside: float = AIR_HU) -> np.ndarray:
    """Values of a volume on a plane.

    Parameters
    ----------
    volume
        [k, j, i], any dtype: the CT's voxels or a box of them.
    offset_kji
        Index of the box's first voxel in the CT; (0, 0, 0) for the whole volume.
    ct
        Gives ``ras_to_kji``.
    where
        The plane.
    order
        1 linear, 3 cubic spline.
    outside
        Value beyond the volume.

    Returns
    -------
    numpy.ndarray
        (height, width) float32.
    """
    at = ct.ras_to_kji(where.points()) - np.asarray(offset_kji, dtype=float)
    shape = np.array(volume.shape)
    # Only the box that the plane crosses is turned to float: a whole CT would be four times its int16 size.
    low = np.clip(np.floor(at.reshape(-1, 3).min(0)).astype(int) - 4, 0, shape)
    high = np.clip(np.ceil(at.reshape(-1, 3).max(0)).astype(int) + 5, 0, shape)
    if np.any(high <= low):
        return np.full(where.size_px[::-1], outside, dtype=np.float32)
    box = volume[tuple(slice(a, b) for a, b in zip(low, high))].astype(np.float32)
    # Mode "nearest" holds the last voxel's value to that voxel's outer edge; beyond half a voxel it is outside.
    values = ndimage.map_coordinates(box, np.moveaxis(at - low, -1, 0), order=order, mode="nearest", output=np.float32)
    inside = np.all((at >= -0.5) & (at <= shape - 0.5), axis=-1)
    return np.where(inside, values, np.float32(outside))
