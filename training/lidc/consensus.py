"""The 50 % consensus of the readers, as voxels of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.lidc.clusters import cluster
from training.lidc.database import Annotation, Scan
from training.lidc.rasterise import rasterise

AGREEMENT = 0.5
"""Share of the readers in the cluster that must have marked a pixel."""

MIN_PIXELS = 8
"""A consensus of more than this many pixels makes an image positive; of 1 to 8 it is neither positive nor negative."""


@dataclass(frozen=True, eq=False)
class ConsensusNodule:
    """One nodule of a scan.

    ``votes`` uint8 [k, j, i] counts the readers that marked a voxel, in a box whose first voxel is ``offset_kji`` of
    the scan; ``readers`` is how many are in the cluster.
    """

    annotations: tuple[Annotation, ...]
    offset_kji: tuple[int, int, int]
    votes: np.ndarray
    readers: int

    @property
    def mask(self) -> np.ndarray:
        """bool [k, j, i]: at least half of the readers."""
        return self.votes >= AGREEMENT * self.readers


def consensus_nodules(scan: Scan, z_mm: np.ndarray | None = None) -> list[ConsensusNodule]:
    """Nodules of a scan on its own slices.

    Parameters
    ----------
    z_mm
        Ascending positions of the slices that k counts; default the database's. A contour further than half a
        millimetre from all of them is outside (cropped scans).
    """
    return [n for n in (_agree(group, scan.z_mm if z_mm is None else z_mm) for group in cluster(scan)) if n is not None]


def _agree(group: list[Annotation], z_mm: np.ndarray) -> ConsensusNodule | None:
    pieces = []  # (reader, k, first pixel, mask)
    for reader, annotation in enumerate(group):
        for z, (first, mask) in rasterise(annotation).items():
            k = int(np.abs(z_mm - z).argmin())
            if mask.any() and abs(z_mm[k] - z) <= 0.5:
                pieces.append((reader, k, first, mask))
    if not pieces:
        return None
    low = np.min([(k, *first) for _, k, first, _ in pieces], axis=0)
    high = np.max([(k + 1, first[0] + m.shape[0], first[1] + m.shape[1]) for _, k, first, m in pieces], axis=0)
    votes = np.zeros(tuple(high - low), dtype=np.uint8)
    for _, k, first, mask in pieces:
        j, i = first[0] - low[1], first[1] - low[2]
        votes[k - low[0], j : j + mask.shape[0], i : i + mask.shape[1]] += mask
    readers = len({reader for reader, *_ in pieces})
    return ConsensusNodule(tuple(group), tuple(int(v) for v in low), votes, readers)
