"""Prepared scans, with the truth that a candidate is judged by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from LungNoduleSegLib.ct import CT
from training.data.crops import IGNORE
from training.evaluate.whole_scans import Truth
from training.lidc.consensus import ConsensusNodule
from training.prepare.arrays import open_array
from training.prepare.store import StoredScan

UNKNOWN_READERS = 1
"""Of a nodule none of whose crops was prepared: it counts among those of any reader."""


def open_stored(scan: StoredScan) -> tuple[CT, Truth, np.ndarray]:
    """The CT, its nodules, and where a candidate is neither right nor wrong.

    Returns
    -------
    The third is bool [k, j, i]: within 5 mm of a mark of a nodule under 3 mm. Marks of what is no nodule are not kept
    in the cache: candidates there count as false.
    """
    ct = CT.from_array(np.ascontiguousarray(scan.hu), spacing_mm=scan.spacing_mm, series_uid=_uid(scan.series))
    nodules: list[ConsensusNodule] = []
    z_mm = np.arange(scan.hu.shape[0]) * scan.spacing_mm[0]
    boxes = ndimage.find_objects(scan.nodules)
    readers = _readers(scan, sum(box is not None for box in boxes))
    for number, box in enumerate(boxes, start=1):
        if box is None:
            continue
        own = scan.nodules[box] == number
        count = readers[len(nodules)]
        # Votes are not kept, only who has the half of them.
        votes = np.where(own & (scan.labels[box] == 1), count, 0).astype(np.uint8)
        if count > 2:
            votes[own & (votes == 0)] = 1
        nodules.append(ConsensusNodule((), tuple(s.start for s in box), votes, count))
    found = tuple(n for n in nodules if n.mask.any())
    return ct, Truth(scan.patient, found, np.zeros((0, 3)), (0, 0), z_mm, scan.spacing_mm), scan.labels == IGNORE


def evenly(scans: Sequence[StoredScan], most: int) -> list[StoredScan]:
    """At most so many of the scans, spread over all; 0 takes all."""
    if not most or len(scans) <= most:
        return list(scans)
    return [scans[n] for n in np.linspace(0, len(scans) - 1, most).round().astype(int)]


def _readers(scan: StoredScan, nodules: int) -> list[int]:
    """Readers of each nodule of the volume, as its crops say it."""
    rows = open_array(scan.folder / "crop-rows.npy")
    numbers, first = np.unique(rows["nodule"], return_index=True)
    if len(numbers) != nodules:  # a scan cropped to the lungs, which cuts crops off
        return [UNKNOWN_READERS] * nodules
    return [max(int(n), UNKNOWN_READERS) for n in rows["readers"][first]]


def _uid(series: str) -> str:
    return series if series.replace(".", "").isdigit() else ""
