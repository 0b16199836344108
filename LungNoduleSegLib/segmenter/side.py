"""Left or right lung of a place."""

from __future__ import annotations

import numpy as np

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError

SIDES = {0: "", 1: "right", 2: "left"}


def side_of(ct: CT, place_ras: tuple[float, float, float]) -> str:
    """"left" or "right", of the lung that lies nearest to a place in RAS mm; "" where the CT holds no lung."""
    from LungNoduleSegLib.ct.lung_regions import find_lungs

    try:
        found = find_lungs(ct)
    except InputError:
        return ""
    steps = np.asarray(found.steps)
    at = (ct.ras_to_kji(place_ras) + 0.5) / steps - 0.5
    at = np.clip(np.rint(at), 0, np.asarray(found.sides.shape) - 1).astype(int)
    inside = int(found.sides[tuple(at)])
    if inside:
        return SIDES[inside]
    lung = np.argwhere(found.sides > 0)
    far = np.linalg.norm((lung - at) * steps * ct.spacing_mm, axis=1)
    return SIDES[int(found.sides[tuple(lung[int(far.argmin())])])]
