"""A place that may be a nodule: its mask, its score and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.regions import tight


@dataclass(frozen=True, eq=False)
class Candidate:
    """One candidate of a search.

    Attributes
    ----------
    offset_kji
        First voxel of ``mask`` in the CT.
    mask
        bool [k, j, i], read-only, on its bounding box.
    probability
        Score 0..1 that a threshold is applied to; what it means is up to the scorer.
    peak
        Highest probability of a voxel in the search's own passes, 0..1.
    centroid_ras
        (x, y, z) in mm.
    diameter_mm
        Of the ball with the mask's volume.
    features
        Everything measured, by name; see :mod:`LungNoduleSegLib.inference.features`, and
        :data:`~LungNoduleSegLib.inference.scorer.STACK` where the false-positive reduction looked at it.
    """

    offset_kji: tuple[int, int, int]
    mask: NDArray[np.bool_]
    probability: float
    peak: float
    centroid_ras: tuple[float, float, float]
    diameter_mm: float
    features: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mask.ndim != 3 or self.mask.dtype != bool or not self.mask.any():
            raise ValueError(f"Expected argument `mask` to be a non-empty bool array [k, j, i], got {self.mask.shape}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"Expected argument `probability` to lie in 0..1, got {self.probability}")
        mask = self.mask.view()
        mask.flags.writeable = False
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "offset_kji", tuple(int(o) for o in self.offset_kji))
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where the mask lies in the CT."""
        k, j, i = (slice(o, o + n) for o, n in zip(self.offset_kji, self.mask.shape, strict=True))
        return k, j, i

    def __reduce__(self):
        # A mapping proxy cannot be pickled, and worker processes send candidates back.
        args = (self.offset_kji, self.mask, self.probability, self.peak, self.centroid_ras, self.diameter_mm)
        return type(self), (*args, dict(self.features))


def overlap(a: Candidate, b: Candidate) -> float:
    """Common voxels, as a fraction of the smaller mask."""
    low = [max(x.start, y.start) for x, y in zip(a.box, b.box)]
    high = [min(x.stop, y.stop) for x, y in zip(a.box, b.box)]
    if any(x >= y for x, y in zip(low, high)):
        return 0.0
    part = [
        c.mask[tuple(slice(x - o, y - o) for x, y, o in zip(low, high, c.offset_kji))] for c in (a, b)
    ]
    return float((part[0] & part[1]).sum() / min(a.mask.sum(), b.mask.sum()))


def share_inside(voxels: NDArray[np.int64], candidate: Candidate) -> float:
    """Share of voxels (n, 3) of the CT that lie in a candidate's mask."""
    local = voxels - candidate.offset_kji
    local = local[((local >= 0) & (local < candidate.mask.shape)).all(axis=1)]
    return float(candidate.mask[tuple(local.T)].sum() / len(voxels))


def without_doubles(candidates: list[Candidate], limit: float = 0.3) -> list[Candidate]:
    """By falling probability, without doubles, and no voxel in two masks.

    Two parts of one nodule may both have grown to the whole when they were segmented anew: a candidate that shares more
    than ``limit`` of the smaller mask with one of higher probability is dropped; what it shares else goes to the other.
    """
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.probability, c.offset_kji)):
        shares = [overlap(candidate, other) for other in kept]
        if max(shares, default=0.0) > limit:
            continue
        for other, share in zip(list(kept), shares):
            candidate = _less(candidate, other) if share else candidate
        kept.append(candidate)
    return kept


def _less(candidate: Candidate, other: Candidate) -> Candidate:
    mask = candidate.mask.copy()
    low = np.subtract(other.offset_kji, candidate.offset_kji)
    for voxel in np.argwhere(other.mask) + low:
        if (voxel >= 0).all() and (voxel < mask.shape).all():
            mask[tuple(voxel)] = False
    box = tight(mask)
    assert box is not None  # it shared at most a third
    offset = tuple(o + s.start for o, s in zip(candidate.offset_kji, box))
    return replace(candidate, offset_kji=offset, mask=np.ascontiguousarray(mask[box]))
