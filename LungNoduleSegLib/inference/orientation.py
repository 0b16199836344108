"""The CT as the network knows it: axial slices, rows to the back, columns to the left, slices to the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT


@dataclass(frozen=True, eq=False)
class AxialView:
    """A CT turned to the nearest usual axial orientation, without resampling, and the way back.

    Attributes
    ----------
    ct
        The turned CT; the given one itself if it lies so already.
    order
        Axis of the given CT that became axis 0, 1 and 2.
    flips
        Whether that axis was reversed.
    shape
        Of the given CT.
    """

    ct: CT
    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    shape: tuple[int, int, int]

    @property
    def same(self) -> bool:
        """Whether nothing had to be turned."""
        return self.order == (0, 1, 2) and not any(self.flips)

    def turn(self, volume: NDArray) -> NDArray:
        """A volume on the given CT's grid, turned; shares memory."""
        turned = volume.transpose(self.order)
        return turned[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]

    def back(self, volume: NDArray) -> NDArray:
        """The inverse of :meth:`turn`, also for a box cut out of the volume; shares memory."""
        volume = volume[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]
        return volume.transpose(tuple(int(a) for a in np.argsort(self.order)))

    def box_back(self, offset: tuple[int, int, int], mask: NDArray) -> tuple[tuple[int, int, int], NDArray]:
        """A box of the turned CT as offset and array of the given one."""
        start = [0, 0, 0]
        for axis, (o, n) in enumerate(zip(offset, mask.shape)):
            source = self.order[axis]
            start[source] = self.shape[source] - o - n if self.flips[axis] else o
        return (start[0], start[1], start[2]), np.ascontiguousarray(self.back(mask))

    def voxel(self, kji: NDArray) -> NDArray:
        """Indices (..., 3) in the given CT as indices in the turned one."""
        kji = np.asarray(kji)
        out = kji[..., list(self.order)].copy()
        for axis, flipped in enumerate(self.flips):
            if flipped:
                out[..., axis] = self.shape[self.order[axis]] - 1 - out[..., axis]
        return out


def axial_view(ct: CT) -> AxialView:
    """Turn a CT so that axis 0 runs to the head, axis 1 to the back and axis 2 to the left, each as near as can be."""
    along_x, along_y, along_z = ct.anatomical_axes
    order = (along_z, along_y, along_x)
    cosines = ct.ijk_to_ras[:3, :3][:, ::-1]  # columns k, j, i
    wanted = (1.0, -1.0, -1.0)  # superior is +z; posterior is -y, left is -x in RAS
    flips = tuple(bool(cosines[2 - n, axis] * wanted[n] < 0) for n, axis in enumerate(order))
    view = AxialView(ct, order, flips, ct.shape)  # type: ignore[arg-type]
    if view.same:
        return view
    # Column n of the new matrix is the old column of its axis, reversed where flipped; the origin moves to that end.
    affine = np.array(ct.ijk_to_ras)
    for axis, flipped in enumerate(flips):
        source = 2 - order[axis]
        column = ct.ijk_to_ras[:3, source]
        affine[:3, 2 - axis] = -column if flipped else column
        if flipped:
            affine[:3, 3] += column * (ct.shape[order[axis]] - 1)
    turned = CT.from_array(
        view.turn(ct.hu), ijk_to_ras=affine, series_uid=ct.series_uid, study_uid=ct.study_uid, info=dict(ct.info)
    )
    return AxialView(turned, order, flips, ct.shape)  # type: ignore[arg-type]
