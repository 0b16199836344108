"""Whether voxel values can be a CT in HU at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.errors import InputError

DARKEST_HU = -200
"""Every CT with lung or any air around the patient has 1 % of its voxels below this; MR, label maps, images in
0..255 and CT stored with an offset of 1024 have none."""


def check_values(hu: NDArray[np.int16], path: Path | str) -> None:
    """Refuse values that are no HU.

    Parameters
    ----------
    hu
        int16 [k, j, i].

    Raises
    ------
    InputError
        Constant, or without air.
    """
    sample = hu[:: max(1, hu.shape[0] // 64), :: max(1, hu.shape[1] // 128), :: max(1, hu.shape[2] // 128)]
    low, dark, high = np.percentile(sample, (0, 1, 100))
    if low == high:
        raise InputError(f"every voxel is {low:.0f}: an empty image", path=path, remedy="Give a chest CT.")
    if dark > DARKEST_HU:
        raise InputError(
            f"values from {low:.0f} to {high:.0f} without air (about -1000 HU): not a chest CT in Hounsfield units",
            path=path,
            remedy="Give a CT whose values are HU; subtract 1024 if they were stored with that offset.",
        )
