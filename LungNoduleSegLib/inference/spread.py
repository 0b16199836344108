"""How far the views of a place disagree: small boxes of it, and the volume that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # results are read where there is no network
    from LungNoduleSegLib.inference.orientation import AxialView
    from LungNoduleSegLib.inference.slab import Slab


@dataclass(frozen=True, eq=False)
class SpreadBox:
    """The disagreement around one candidate.

    Attributes
    ----------
    offset_kji
        First voxel of the box in the CT.
    values
        float16 [k, j, i], 0..0.5: standard deviation of the views' probabilities; NaN where fewer than two looked.
    """

    offset_kji: tuple[int, int, int]
    values: NDArray[np.float16]


def spread_box(view: AxialView, slab: Slab) -> SpreadBox:
    """The disagreement of a slab's views, on the grid of the CT that was given."""
    from LungNoduleSegLib.inference.slab import inside

    offset, values = inside(view.ct.shape, slab.offset_kji, slab.spread)
    offset, values = view.box_back(offset, values)
    return SpreadBox(offset, values.astype(np.float16))


def spread_volume(boxes: Iterable[SpreadBox], shape: tuple[int, int, int]) -> NDArray[np.float16]:
    """All boxes on the CT's grid, float16 [k, j, i]: the largest where several lie, NaN where none does."""
    out = np.full(shape, np.nan, np.float16)
    for box in boxes:
        part = tuple(slice(o, o + n) for o, n in zip(box.offset_kji, box.values.shape))
        out[part] = np.fmax(out[part], box.values)
    return out
