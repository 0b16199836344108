"""What may be asked of a prepared data set: which images, how large, where, and which negatives.

Each is a function of the cache's contents and a seed; none of them writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.data.convention import CROP_PX
from training.data.crops import Crops
from training.data.negatives import lung_places
from training.data.scans import TrainingScan
from training.lidc.consensus import MIN_PIXELS

SIZES = (512, 256, 128, 64)
UNITS = ("nodule", "slice")


def positives(
    crops: Crops, unit: str = "nodule", *, more_than_px: int = MIN_PIXELS, min_readers: int = 1
) -> np.ndarray:
    """Indices of the crops that are positive images.

    Parameters
    ----------
    unit
        "nodule": each slice of each nodule. "slice": of nodules that lie on the same slice of a scan, only the crop of
        the largest; the prepared cache knows the slices (crops without a known place are all kept).

    Raises
    ------
    InputError
        No such unit, or ``slice`` asked of crops that do not know their slices.
    """
    if unit not in UNITS:
        raise InputError(f"no image is one a {unit!r}", remedy=f"Choose one of: {', '.join(UNITS)}.")
    area = crops.consensus_px
    index = np.flatnonzero((area > more_than_px) & (crops.readers >= min_readers))
    if unit == "nodule":
        return index
    rows = getattr(crops, "rows", None)
    if rows is None:
        raise InputError(
            "these crops do not know which slice they show",
            remedy="Prepare the data with `python -m training prepare`; the crops of the prepared cache know it.",
        )
    largest: dict[Any, int] = {}
    for i in index.tolist():
        k = int(rows["k"][i])
        key = (str(crops.series[i]), k) if k >= 0 else i
        if key not in largest or area[i] > area[largest[key]]:
            largest[key] = i
    return np.array(sorted(largest.values()), dtype=np.int64)


def centred(crops: Crops, index: Sequence[int] | np.ndarray, size: int = CROP_PX) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels uint8 (n, size, size) of crops, the nodule's centre at pixel (size/2, size/2).

    Raises
    ------
    InputError
        ``size`` is none of ``SIZES``, or larger than the crops: that needs complete scans.
    """
    check_size(size)
    if size > CROP_PX:
        raise InputError(
            f"{size} px needs complete scans: the crops have {CROP_PX} px",
            remedy="Prepare LIDC-IDRI from its DICOM files, and take the images from its scans.",
        )
    first = (CROP_PX - size) // 2
    window = np.s_[first : first + size, first : first + size]
    index = np.asarray(index)
    return crops.images[index][:, window[0], window[1]], crops.labels[index][:, window[0], window[1]]


def from_scan(
    scan: TrainingScan, centre_kji: tuple[int, int, int], size: int, *, slices: int = 1, shift: tuple[int, int] = (0, 0)
) -> tuple[np.ndarray, np.ndarray]:
    """HU (slices, size, size) int16 and labels (size, size) around a voxel of a scan, moved by ``shift`` pixels.

    Raises
    ------
    InputError
        ``size`` is none of ``SIZES``, or the scan is cropped to the lungs and smaller.
    """
    check_size(size)
    if any(extent < size for extent in scan.hu.shape[1:]) and size > CROP_PX:
        shown = " x ".join(str(n) for n in scan.hu.shape[1:])
        raise InputError(
            f"{size} px needs complete scans: {scan.patient} is here as {shown} px, cropped to the lungs",
            remedy="Prepare this patient from DICOM.",
        )
    k, j, i = centre_kji
    return scan.tile((k, j + shift[0], i + shift[1]), size, slices)


def nodule_centres(scan: TrainingScan, unit: str = "nodule", more_than_px: int = MIN_PIXELS) -> np.ndarray:
    """int (n, 3) [k, j, i]: centre of the consensus of each image of a scan, slices ascending."""
    if unit not in UNITS:
        raise InputError(f"no image is one a {unit!r}", remedy=f"Choose one of: {', '.join(UNITS)}.")
    k, j, i = np.unravel_index(scan.positive_index, scan.labels.shape)
    owner = np.asarray(scan.nodules)[k, j, i] if unit == "nodule" else np.zeros(len(k), np.int16)
    centres = []
    for level, number in sorted(set(zip(k.tolist(), owner.tolist()))):
        here = (k == level) & (owner == number)
        if here.sum() > more_than_px:
            centres.append((level, int(j[here].mean()), int(i[here].mean())))
    return np.array(centres, dtype=np.int64).reshape(-1, 3)


def shifts(count: int, most_px: int, seed: int) -> np.ndarray:
    """int (count, 2): by how many rows and columns each crop is moved, evenly in [-most_px, most_px]."""
    return np.random.default_rng(seed).integers(-most_px, most_px + 1, size=(count, 2))


def lung_negatives(
    scan: TrainingScan, count: int, size: int = CROP_PX, *, seed: int = 0, slices: int = 1
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tiles of a scan without nodule, at most ``count``: at the places of `training.data.negatives.lung_places`."""
    return [from_scan(scan, tuple(c), size, slices=slices) for c in lung_places(scan, count, size, seed=seed)]


def check_size(size: int) -> int:
    """``size`` itself; InputError where it is none of ``SIZES``."""
    if size not in SIZES:
        raise InputError(f"no crop has {size} px", remedy=f"Choose one of: {', '.join(map(str, SIZES))}.")
    return size
