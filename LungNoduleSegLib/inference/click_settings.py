"""Every number of a click, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from LungNoduleSegLib.inference.views import VIEWS


@dataclass(frozen=True)
class ClickSettings:
    """How a click is followed.

    Parameters
    ----------
    thresholds
        Probabilities at which a structure is looked for, in this order; the first one cuts the usual mask.
    reach_mm
        A structure that does not hold the seed may lie this far away.
    grid_px
        Crops are centred on this grid, so that seeds in one nodule come to the same crops.
    slab_mm
        Half height of the first slab.
    views
        Views averaged for the final mask.
    large_pixel_mm
        Pixels that the seed's surroundings are looked at in too, where the CT's are smaller; 0 leaves it out. Of what
        is larger than about half a tile a network sees pieces at best: seeds inside a mass of 45 mm gave nothing or a
        few mm at pixels of .63 mm, and the mass at 1.15 mm.
    large_mm, large_gain
        That look counts where it shows at least a disc of this diameter, and this many times the area that the CT's own
        pixels show: on the seed's slice, or beyond an end where what these show breaks off with such a disc.
    """

    thresholds: tuple[float, ...] = (0.5, 0.3, 0.15)
    reach_mm: float = 3.0
    grid_px: int = 4
    slab_mm: float = 4.0
    views: int = 2
    large_pixel_mm: float = 1.15
    large_mm: float = 15.0
    large_gain: float = 1.5

    def __post_init__(self) -> None:
        if self.large_pixel_mm < 0 or self.large_mm <= 0 or self.large_gain < 1:
            raise ValueError(f"Expected a size above 0, pixels from 0 on and a gain from 1 on, got {self}")
        if self.large_pixel_mm > 2.0:
            raise ValueError(f"Expected argument `large_pixel_mm` to be at most 2.0, got {self.large_pixel_mm}")
        if not self.thresholds or not all(0 < t < 1 for t in self.thresholds):
            raise ValueError(f"Expected argument `thresholds` to lie between 0 and 1, got {self.thresholds}")
        if self.grid_px < 1 or self.reach_mm < 0 or self.slab_mm <= 0 or not 1 <= self.views <= len(VIEWS):
            raise ValueError(f"Expected positive click settings with 1 to {len(VIEWS)} views, got {self}")
