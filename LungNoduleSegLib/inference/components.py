"""Components of the search's probabilities: smoothed across slices, hysteresis, 26-connected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.passes import hits, smoothed
from LungNoduleSegLib.inference.regions import equivalent_diameter, sparse_components
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.tiles import ProbabilityVolume


@dataclass(frozen=True, eq=False)
class Component:
    """A connected group of voxels of the CT.

    Attributes
    ----------
    voxels
        int64 (n, 3) [k, j, i] in the CT.
    values
        float32 (n,): smoothed probability of each.
    """

    voxels: NDArray[np.int64]
    values: NDArray[np.float32]

    @property
    def peak(self) -> float:
        return float(self.values.max())

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def best_slice(self) -> int:
        """Slice with the largest sum of probability."""
        first = int(self.voxels[:, 0].min())
        return first + int(np.bincount(self.voxels[:, 0] - first, weights=self.values).argmax())

    def above(self, threshold: float) -> Component:
        """Its voxels of at least this probability, no higher than its peak; they may lie apart."""
        high = self.values >= threshold
        return Component(self.voxels[high], self.values[high])

    def without(self, offset_kji: tuple[int, int, int], mask: NDArray[np.bool_]) -> Component | None:
        """Its largest connected piece outside of a mask, bool [k, j, i] at ``offset_kji``; None if there is none."""
        local = self.voxels - offset_kji
        held = ((local >= 0) & (local < mask.shape)).all(axis=1)
        held[held] = mask[tuple(local[held].T)]
        if held.all():
            return None
        voxels, values = self.voxels[~held], self.values[~held]
        low = voxels.min(axis=0)
        labels = sparse_components(voxels - low, tuple(voxels.max(axis=0) - low + 1))
        largest = labels == int(np.bincount(labels).argmax())
        return Component(voxels[largest], values[largest])

    def diameter_mm(self, voxel_mm3: float) -> float:
        """Of the ball with its volume."""
        return equivalent_diameter(len(self.voxels) * voxel_mm3)

    def on_slice(self, k: int) -> NDArray[np.int64]:
        """(m, 2) rows and columns on a slice."""
        return self.voxels[self.voxels[:, 0] == k, 1:]

    @property
    def middle_ji(self) -> tuple[int, int]:
        """Middle of the bounding box in the plane."""
        plane = self.voxels[:, 1:]
        j, i = ((plane.min(axis=0) + plane.max(axis=0) + 1) // 2).tolist()
        return int(j), int(i)

    @property
    def extent_px(self) -> tuple[int, int]:
        """Height and width of the bounding box."""
        plane = self.voxels[:, 1:]
        j, i = (plane.max(axis=0) - plane.min(axis=0) + 1).tolist()
        return int(j), int(i)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool [k, j, i] on the bounding box."""
        low = self.voxels.min(axis=0)
        mask = np.zeros(self.voxels.max(axis=0) - low + 1, bool)
        mask[tuple((self.voxels - low).T)] = True
        return mask

    @property
    def slices(self) -> range:
        """Slices from the first to the last."""
        return range(int(self.voxels[:, 0].min()), int(self.voxels[:, 0].max()) + 1)

    @property
    def summit(self) -> tuple[int, int, int]:
        """Voxel of the highest probability."""
        k, j, i = self.voxels[int(self.values.argmax())].tolist()
        return int(k), int(j), int(i)


def components(
    volume: ProbabilityVolume,
    lung: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    settings: SearchSettings,
) -> list[Component]:
    """Components with a voxel >= ``settings.high`` of voxels >= ``settings.low`` after smoothing across slices.

    Parameters
    ----------
    volume
        Probabilities on a box of the CT.
    lung
        bool on the same box.

    Returns
    -------
    By falling peak; those under ``settings.min_mm`` equivalent diameter are left out.
    """
    # Smoothing across slices cannot lift a column of low values, so only columns with a seen voxel are smoothed.
    seeds = hits(volume, lung, settings.low * 0.5, 1)
    if len(seeds) == 0:
        return []
    columns = np.unique(seeds[:, 1:], axis=0)
    values = _columns(volume, columns, settings.smoothing_mm, spacing_mm[0])
    inside = lung[:, columns[:, 0], columns[:, 1]]
    k, column = np.nonzero((values >= settings.low) & inside)
    voxels = np.column_stack([k, columns[column]]).astype(np.int64)
    strength = values[k, column]
    labels = sparse_components(voxels, volume.mean.shape)
    found = []
    order = np.argsort(labels, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(part) == 0 or strength[part].max() < settings.high:
            continue
        if equivalent_diameter(len(part) * float(np.prod(spacing_mm))) < settings.min_mm:
            continue
        found.append(Component(voxels[part] + volume.offset_kji, strength[part].astype(np.float32)))
    return sorted(found, key=lambda c: (-c.peak, c.summit))


def _columns(volume: ProbabilityVolume, columns: NDArray, sigma_mm: float, step_mm: float) -> NDArray[np.float32]:
    """Smoothed probabilities (k, n) of columns (n, 2), a few at a time: all slices of many columns are a lot."""
    out = np.empty((volume.mean.shape[0], len(columns)), np.float32)
    for start in range(0, len(columns), 4096):
        part = columns[start : start + 4096]
        small = ProbabilityVolume((0, 0, 0), (volume.mean.shape[0], len(part), 1))
        small.mean[:, :, 0] = volume.mean[:, part[:, 0], part[:, 1]]
        small.weight[:, :, 0] = volume.weight[:, part[:, 0], part[:, 1]]
        out[:, start : start + len(part)] = smoothed(small, np.s_[:, :, :], sigma_mm, step_mm)[:, :, 0]
    return out
