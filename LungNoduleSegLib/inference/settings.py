"""Every number of a search, in one place, with its unit and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class SearchSettings:
    """How a whole CT is searched.

    Parameters
    ----------
    first_margin_px
        Border of a first-pass tile that does not count; tiles lie 128 - 2 x this apart. 16 found nothing more on
        LIDC-IDRI-0181 and 0001, with 12 to 17 % more tiles.
    first_step_mm
        Slices of the first pass lie at most this far apart; with thin slices it leaves some out. Every second slice of
        2.5 mm lost two of the 13 nodules of LIDC-IDRI-0181, 0001 and 0006, one of 4.6 mm and a faint one.
    first_pixel_mm
        Pixels of the first pass are enlarged to this where they are smaller, so that fewer tiles cover the lungs.
    coarse_pixel_mm, coarse_step_mm
        Pixels and distance of slices of a second search, which sees more of the surroundings of each place; 0 leaves it
        out, as do pixels that are about as large already.
    first_rim_mm
        Width of the rim of the lung mask that needs no tile of its own: the mask is 10 mm larger than the lungs, and
        what sits on them reaches further in.
    first_threshold
        Probability from which on a pixel of the first pass is looked at again.
    second_margin_px
        A second tile is placed where a hit lies nearer than this to the border of every second tile.
    smoothing_mm
        Standard deviation of the smoothing across slices.
    high, low
        Hysteresis: a component has a voxel >= high and consists of voxels >= low.
    screen_views, screen_threshold
        Views of a component's best slice, and the mean probability inside that it must keep.
    least_screened
        Probability that a fitted scorer gives a component as it is, with those views, below which it is not outlined.
    views
        Views a slice of a candidate is looked at with, at most 8; they give the final mask and the score.
    max_candidates
        Components that are segmented anew at each size of pixels, the best of the screening; what one outline leaves of
        its component comes on top.
    least_score
        Plain score below which a candidate is dropped after the first view.
    least_probability
        The same for the probability that a fitted scorer gives after the first view.
    mask_threshold
        Probability at which the final mask is cut.
    min_mm
        Smallest diameter of a component before it is segmented anew (mm), and of a candidate.
    """

    first_margin_px: int = 8
    first_step_mm: float = 2.5
    first_pixel_mm: float = 0.8
    coarse_pixel_mm: float = 1.15
    coarse_step_mm: float = 5.0
    first_rim_mm: float = 6.0
    first_threshold: float = 0.15
    second_margin_px: int = 40
    smoothing_mm: float = 1.0
    high: float = 0.3
    low: float = 0.15
    screen_views: int = 2
    screen_threshold: float = 0.1
    least_screened: float = 0.01
    views: int = 4
    max_candidates: int = 40
    least_score: float = 0.03
    least_probability: float = 0.05
    mask_threshold: float = 0.5
    min_mm: float = 2.0

    def __post_init__(self) -> None:
        def expect(ok: bool, name: str, what: str) -> None:
            if not ok:
                raise ValueError(f"Expected argument `{name}` to be {what}, got {getattr(self, name)}")

        for name in ("first_threshold", "high", "low", "mask_threshold", "screen_threshold"):
            expect(0.0 < getattr(self, name) < 1.0, name, "between 0 and 1")
        expect(self.low <= self.high, "low", "at most `high`")
        for name in ("first_margin_px", "second_margin_px"):
            expect(0 <= getattr(self, name) < 60, name, "in 0..59")
        for name in ("views", "screen_views"):
            expect(1 <= getattr(self, name) <= 8, name, "in 1..8")
        for name in ("first_step_mm", "coarse_step_mm", "min_mm"):
            expect(getattr(self, name) > 0, name, "positive")
        for name in ("first_pixel_mm", "coarse_pixel_mm"):
            expect(0 <= getattr(self, name) <= 2.0, name, "in 0..2")
        expect(0 <= self.first_rim_mm < 10, "first_rim_mm", "in 0..10")
        expect(self.smoothing_mm >= 0, "smoothing_mm", "at least 0")
        for name in ("least_screened", "least_score", "least_probability"):
            expect(0.0 <= getattr(self, name) < 1.0, name, "in 0..1")
        expect(self.max_candidates >= 1, "max_candidates", "at least 1")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchSettings:
        """Inverse of :meth:`to_dict`; ValueError for keys that this version does not know."""
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"Expected settings out of {[f.name for f in fields(cls)]}, got {sorted(unknown)}")
        return cls(**data)
