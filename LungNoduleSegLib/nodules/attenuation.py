"""Type of attenuation of a nodule from the CT numbers inside it: solid, part-solid, ground-glass or calcified."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from LungNoduleSegLib.nodules.axes import nodule_axes
from LungNoduleSegLib.nodules.components import CONNECTIVITY_26

SOLID_HU = -300.0
CALCIFIED_HU = 200.0


def classify(
    hu: NDArray, mask: NDArray[np.bool_], ijk_to_ras: ArrayLike, *, attenuation: str | None = None
) -> tuple[str, float | None]:
    """Type and, for a part-solid nodule, the diameter of the solid part in mm; ``hu`` and ``mask`` are equal crops."""
    core = ndimage.binary_erosion(mask, np.ones((1, 3, 3), dtype=bool))
    if np.count_nonzero(core) < 8:
        core = mask
    solid = mask & (hu > SOLID_HU)
    share = float(solid[core].mean())
    if attenuation is None:
        if float((hu[core] > CALCIFIED_HU).mean()) > 0.1:
            attenuation = "calcified"
        else:
            attenuation = "ground-glass" if share < 0.06 else "solid" if share > 0.6 else "part-solid"
    if attenuation != "part-solid":
        return attenuation, None
    labels, _ = ndimage.label(solid if solid.any() else mask, structure=CONNECTIVITY_26)
    largest = int(np.argmax(np.bincount(labels.ravel())[1:])) + 1
    return attenuation, nodule_axes(labels == largest, (0, 0, 0), ijk_to_ras).long_mm
