"""Tiles of complete scans: with a nodule, just beyond its ends, where a network was wrong, or anywhere in the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.cavities import with_shell
from training.data.sampling_config import SamplingConfig
from training.data.scans import TrainingScan, tile_start

LUNG_HU = (-950, -650)
"""Lung that holds air, and not the air of the large airways: cavities are drawn there."""

BEYOND_MM = 5.0
"""About how far beyond a nodule's last slice a tile shows what is no longer nodule; one slice at least."""

THICK_MM = 5.0
"""Slices are averaged to about this thickness."""

_ROOM = 1.04  # to turn a tile without reflecting it, except at the extremes
_LEAST_SCALE = 0.8  # there is always room for


@dataclass(frozen=True, eq=False)
class NodulePlaces:
    """Where a scan's consensus lies.

    ``voxels`` int64 (n,): flat indices, ascending; ``ends``: for every nodule and each of its two ends its outermost
    slice k, the step (-1 or 1) that leads out of it, and the voxels (m, 2) [j, i] of that slice. What ends with the
    scan is no end.
    """

    voxels: np.ndarray
    ends: list[tuple[int, int, np.ndarray]]

    @classmethod
    def of(cls, scan: TrainingScan) -> NodulePlaces:
        """Found once, in memory of the consensus alone."""
        voxels = scan.positive_index
        places = np.stack(np.unravel_index(voxels, scan.hu.shape), axis=1).reshape(-1, 3)
        numbers = scan.nodules.ravel()[voxels]
        ends = []
        for number in np.unique(numbers):
            own = places[numbers == number]
            for k, step in ((own[:, 0].min(), -1), (own[:, 0].max(), 1)):
                if 0 <= k + step < scan.hu.shape[0]:
                    ends.append((int(k), step, own[own[:, 0] == k, 1:]))
        return cls(voxels, ends)


def scan_tile(
    scan: TrainingScan,
    nodules: NodulePlaces,
    hard: np.ndarray | None,
    config: SamplingConfig,
    slices: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """HU float32 (slices, n, n) and labels uint8 (n, n) of its middle slice; n leaves room to turn and scale.

    Parameters
    ----------
    nodules
        Those of this scan.
    hard
        int (m, 3) [k, j, i]: centres of mined false positives, or None.
    slices
        Neighbouring slices that the network looks at, an odd number; thick ones are means of several of the scan's.
    """
    least = config.scan_least_scale or min(config.scale[0], _LEAST_SCALE)
    size = round(config.tile_px * _ROOM / least) // 2 * 2
    if rng.random() < config.scan_positive_share and len(nodules.voxels):
        # Nothing is drawn for a share of zero, so that a run without them stays what it was.
        if config.ends_share and nodules.ends and rng.random() < config.ends_share:
            centre = _beyond(scan, nodules, rng)
        else:
            centre = np.array(np.unravel_index(rng.choice(nodules.voxels), scan.hu.shape))
        centre[1:] += rng.integers(-config.tile_px // 2 + 12, config.tile_px // 2 - 11, size=2)
    elif hard is not None and rng.random() < config.hard_share:
        centre = hard[rng.integers(len(hard))].copy()
        centre[1:] += rng.integers(-config.tile_px // 3, config.tile_px // 3 + 1, size=2)
    else:
        centre = np.array(scan.lung_place(int(rng.choice(scan.lung_voxels))))
    together = 1
    if config.thick_share and rng.random() < config.thick_share:
        together = max(round(THICK_MM / scan.spacing_mm[0]), 1)
    image, label = scan.tile(tuple(centre), size, slices, together)
    image = image.astype(np.float32)
    if config.shell_share and rng.random() < config.shell_share:
        image = _shell(scan, tuple(int(c) for c in centre), image, label, config, together, rng)
    return image, label


def _beyond(scan: TrainingScan, nodules: NodulePlaces, rng: np.random.Generator) -> np.ndarray:
    """A voxel [k, j, i] about 5 mm or less beyond an end of a nodule, above or below what is there."""
    k, step, places = nodules.ends[rng.integers(len(nodules.ends))]
    furthest = max(round(BEYOND_MM / scan.spacing_mm[0]), 1)
    level = k + step * int(rng.integers(1, furthest + 1))
    return np.array([min(max(level, 0), scan.hu.shape[0] - 1), *places[rng.integers(len(places))]])


def _shell(
    scan: TrainingScan,
    centre: tuple[int, ...],
    image: np.ndarray,
    label: np.ndarray,
    config: SamplingConfig,
    together: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The tile with a thin-walled cavity in its lung, if there is lung in its middle part.

    Each of its slices is the mean of ``together`` of the scan's.
    """
    size = image.shape[-1]
    start = [tile_start(c, size, n) for c, n in zip(centre[1:], scan.hu.shape[1:])]
    reach = config.tile_px // 2 - 8
    j0, i0 = (max(s + size // 2 - reach, 0) for s in start)
    j1, i1 = (s + size // 2 + reach for s in start)
    hu = scan.hu[centre[0], j0:j1, i0:i1]
    places = np.argwhere(scan.lung[centre[0], j0:j1, i0:i1] & (hu > LUNG_HU[0]) & (hu < LUNG_HU[1]))
    if not len(places):
        return image
    j, i = places[rng.integers(len(places))] + (j0 - start[0], i0 - start[1])
    spacing_mm = (together * scan.spacing_mm[0], *scan.spacing_mm[1:])
    return with_shell(image, label, (int(j), int(i)), spacing_mm, rng)
