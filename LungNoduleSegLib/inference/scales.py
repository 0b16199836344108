"""A CT looked at in one size of pixels: two passes, components, screening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.coarse import CoarseEngine, native_px
from LungNoduleSegLib.inference.components import Component, components
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.monitor import Clock, Monitor
from LungNoduleSegLib.inference.passes import first_places, hits, run_tiles, second_places
from LungNoduleSegLib.inference.rescore import screen
from LungNoduleSegLib.inference.scorer import CandidateScorer
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.tiles import ProbabilityVolume

MIN_HIT_MM3 = 4.0
"""Hits of the first pass in smaller groups (a ball of 2 mm) are not looked at again."""


@dataclass(frozen=True, eq=False)
class Scale:
    """One size of pixels.

    Attributes
    ----------
    first, engine
        What computes its first pass, and everything after.
    step_mm
        Slices of the first pass lie at most so far apart.
    progress
        Its share of the whole run, from and to, 0..1.
    """

    first: Engine
    engine: Engine
    step_mm: float
    progress: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Place:
    """What is searched.

    Attributes
    ----------
    ct
        With axial slices.
    lung
        bool [k, j, i] on its grid.
    box
        Bounding box of ``lung``.
    rim_mm
        Width of the rim of ``lung`` that needs no tile of its own.
    """

    ct: CT
    lung: NDArray[np.bool_]
    box: tuple[slice, slice, slice]
    rim_mm: float


@dataclass(frozen=True, eq=False)
class Look:
    """What one size of pixels saw: probabilities on the box, components that a few views keep, tiles at each stage."""

    scale: Scale
    volume: ProbabilityVolume
    kept: list[Component]
    counts: dict[str, int]


def scales(engine: Engine, spacing_mm: tuple[float, float, float], settings: SearchSettings) -> list[Scale]:
    """The CT's own pixels, and larger ones where the settings ask for them and the CT's are smaller.

    ``spacing_mm`` is (k, j, i).
    """
    px = engine.tile_px
    first, coarse = (native_px(px, spacing_mm[2], mm) for mm in (settings.first_pixel_mm, settings.coarse_pixel_mm))
    one = _at(engine, first)
    if coarse <= first:
        return [Scale(one, engine, settings.first_step_mm, (0.06, 0.75))]
    other = _at(engine, coarse)
    return [
        Scale(one, engine, settings.first_step_mm, (0.06, 0.55)),
        Scale(other, other, settings.coarse_step_mm, (0.55, 0.75)),
    ]


def _at(engine: Engine, px: int) -> Engine:
    return engine if px == engine.tile_px else CoarseEngine(engine, px)


def look(
    scale: Scale,
    place: Place,
    settings: SearchSettings,
    monitor: Monitor,
    clock: Clock,
    scorer: CandidateScorer | None = None,
) -> Look:
    """Two passes at one size of pixels, and a few views of each component. Raises `Cancelled` between batches."""
    ct, box = place.ct, place.box
    volume = ProbabilityVolume(tuple(s.start for s in box), tuple(s.stop - s.start for s in box))  # type: ignore[arg-type]
    inner, spacing = place.lung[box], ct.spacing_mm
    start, end = scale.progress

    def part(low: float, high: float, message: str) -> None:
        monitor.stage(start + low * (end - start), start + high * (end - start), message)

    part(0.0, 0.75, "Searching the lungs")
    px = scale.first.tile_px
    places = first_places(inner, spacing, settings, px, step_mm=scale.step_mm, rim_mm=place.rim_mm) + volume.offset_kji
    run_tiles(scale.first, ct.hu, places, volume, monitor)
    clock.lap("first_pass")

    part(0.75, 0.92, "Looking closer")
    voxels = hits(volume, inner, settings.first_threshold, _min_voxels(spacing))
    closer = second_places(voxels, volume, settings, scale.engine.tile_px)
    run_tiles(scale.engine, ct.hu, closer, volume, monitor)
    clock.lap("second_pass")

    found = components(volume, inner, spacing, settings)
    part(0.92, 1.0, "Screening candidates")
    kept = [component for _, component in screen(scale.engine, ct, found, settings, monitor, scorer)]
    clock.lap("screening")
    counts = {
        "first_tiles": len(places), "second_tiles": len(closer), "components": len(found), "screened": len(kept),
    }  # fmt: skip
    return Look(scale, volume, kept, counts)


def _min_voxels(spacing: tuple[float, float, float]) -> int:
    return max(1, round(MIN_HIT_MM3 / float(np.prod(spacing))))
