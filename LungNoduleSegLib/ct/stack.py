"""Slices in the order of their positions, and the one regular grid that they must form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.headers import SliceHeader
from LungNoduleSegLib.ct.volume import LPS_TO_RAS
from LungNoduleSegLib.errors import InputError

POSITION_TOLERANCE_MM = 0.1
"""A slice may lie this far (or RELATIVE_TOLERANCE of the slice distance) off the regular grid: positions are often
written with one decimal, so that two slices are wrong by 0.05 mm each, and a result is then wrong by no more."""

RELATIVE_TOLERANCE = 0.01
"""Gaps that differ by less than this from the median need no word."""

DIRECTION_TOLERANCE = 1e-3
"""Largest difference between two slices' direction cosines: 0.06 degrees, half a pixel over 512 pixels."""

TILT_TOLERANCE_DEGREES = 0.1
"""Angle between slice normal and the line of the positions: at most half a pixel over 300 mm; beyond it, a tilt."""


@dataclass(frozen=True)
class Stack:
    """Slices in ascending order along their normal, and their grid (RAS, mm; columns i, j, k)."""

    slices: tuple[SliceHeader, ...]
    ijk_to_ras: NDArray[np.float64]
    warnings: tuple[str, ...]


def stack(slices: Sequence[SliceHeader], place: Path | str) -> Stack:
    """Sort slices by position along row x column and check that they form a rectangular grid.

    Raises
    ------
    InputError
        Fewer than two slices, missing geometry, slices of different size, spacing or direction, repeated or missing
        slices, uneven gaps, a tilted gantry. The message names the files.
    """
    first = slices[0]
    if len(slices) == 1:
        raise InputError(
            "a single slice, not a volume", path=first.shown, remedy="Give the folder with all slices of the series."
        )
    grids = [_grid_of(one) for one in slices]
    for one, grid in zip(slices, grids, strict=True):
        _check_alike(one, grid, first, grids[0])
    grid = grids[0]
    normal = np.cross(grid.row, grid.column)
    places = np.array([one.position for one in grids])
    heights = places @ normal
    order = np.argsort(heights, kind="stable")
    ordered = [slices[index] for index in order]
    places, heights = places[order], heights[order]
    warnings = _check_gaps(ordered, heights, place)
    step = (heights[-1] - heights[0]) / (len(ordered) - 1)
    warnings += _check_line(ordered, places, normal, place)
    return Stack(tuple(ordered), _affine(grid, places[0], normal * step), tuple(warnings))


class _Grid(NamedTuple):
    """The geometry of a slice that has one."""

    position: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    pixel_spacing: tuple[float, float]


def _grid_of(one: SliceHeader) -> _Grid:
    missing = [
        tag
        for tag, value in (
            ("ImagePositionPatient", one.position),
            ("ImageOrientationPatient", one.row),
            ("PixelSpacing", one.pixel_spacing),
        )
        if value is None
    ]
    if one.position is None or one.row is None or one.column is None or one.pixel_spacing is None:
        raise InputError(
            f"no {' and no '.join(missing)}, so the slice has no place in the patient",
            path=one.shown,
            remedy="Export the original axial CT series; screen captures and secondary images do not carry it.",
        )
    return _Grid(one.position, one.row, one.column, one.pixel_spacing)


def _check_alike(one: SliceHeader, grid: _Grid, first: SliceHeader, expected: _Grid) -> None:
    for name, here, there, tolerance in (
        ("size (rows, columns)", one.shape, first.shape, 0.0),
        ("PixelSpacing", grid.pixel_spacing, expected.pixel_spacing, 1e-4),
        (
            "ImageOrientationPatient",
            (*grid.row, *grid.column),
            (*expected.row, *expected.column),
            DIRECTION_TOLERANCE,
        ),
    ):
        if np.abs(np.subtract(here, there)).max() > tolerance:
            raise InputError(
                f"{name} {_plain(here)} differs from {_plain(there)} of {first.shown}",
                path=one.shown,
                remedy="Put the slices of one reconstruction into a folder of their own.",
            )


def _check_gaps(ordered: list[SliceHeader], heights: NDArray[np.float64], place: Path | str) -> list[str]:
    gaps = np.diff(heights)
    typical = float(np.median(gaps))
    same = int(np.argmin(gaps))
    # A repeated position stands out against the median; where all positions coincide, the median is zero itself.
    if gaps[same] <= max(0.01, 0.1 * typical):
        repeated = int(np.count_nonzero(gaps <= max(0.01, 0.1 * typical)))
        raise InputError(
            f"{repeated} repeated {'position' if repeated == 1 else 'positions'}: {_name(ordered[same])} and "
            f"{_name(ordered[same + 1])} lie at the same place ({heights[same]:.2f} mm along the slice normal)",
            path=place,
            remedy="Remove the copies, or give one phase or reconstruction in a folder of its own.",
        )
    widest = int(np.argmax(gaps))
    if gaps[widest] > 1.5 * typical:
        missing = int(sum(round(gap / typical) - 1 for gap in gaps if gap > 1.5 * typical))
        raise InputError(
            f"about {missing} missing {'slice' if missing == 1 else 'slices'}: {gaps[widest]:.2f} mm between "
            f"{_name(ordered[widest])} and {_name(ordered[widest + 1])}, {typical:.2f} mm elsewhere",
            path=place,
            remedy="Export the series again with all its slices.",
        )
    grid = np.linspace(heights[0], heights[-1], len(heights))
    off = np.abs(heights - grid)
    if off.max() > max(POSITION_TOLERANCE_MM, RELATIVE_TOLERANCE * typical):
        odd = int(np.argmax(np.abs(gaps - typical)))
        raise InputError(
            f"uneven gaps between slices: {gaps[odd]:.3f} mm between {_name(ordered[odd])} and "
            f"{_name(ordered[odd + 1])}, {typical:.3f} mm typically, so that slices lie up to {off.max():.2f} mm "
            "off a regular grid",
            path=place,
            remedy="Export the series again, or resample it to even slices.",
        )
    if np.abs(gaps - typical).max() > RELATIVE_TOLERANCE * typical:
        return [
            f"gaps between slices vary from {gaps.min():.3f} to {gaps.max():.3f} mm; slices lie up to "
            f"{off.max():.3f} mm off the regular grid that is used"
        ]
    return []


def _check_line(
    ordered: list[SliceHeader], places: NDArray[np.float64], normal: NDArray[np.float64], place: Path | str
) -> list[str]:
    """Positions must lie on a straight line along the normal; on a slanted one the gantry was tilted."""
    length = float((places[-1] - places[0]) @ normal)
    drift = (places[-1] - places[0]) - length * normal
    line = places[0] + np.linspace(0, 1, len(places))[:, None] * (places[-1] - places[0])
    aside = (places - line) - ((places - line) @ normal)[:, None] * normal
    distance = np.linalg.norm(aside, axis=1)
    if distance.max() > POSITION_TOLERANCE_MM:
        odd = int(np.argmax(distance))
        raise InputError(
            f"{_name(ordered[odd])} lies {distance[odd]:.2f} mm beside the line of the other slices", path=place,
            remedy="Put the slices of one reconstruction into a folder of their own.",
        )  # fmt: skip
    shift = float(np.linalg.norm(drift))
    tilt = float(np.degrees(np.arctan2(shift, length)))
    if shift > POSITION_TOLERANCE_MM and tilt > TILT_TOLERANCE_DEGREES:
        raise InputError(
            f"tilted gantry: the slices are shifted sideways by {shift:.1f} mm over {length:.0f} mm, "
            f"a tilt of {tilt:.1f} degrees",
            path=place,
            remedy="Load it in Slicer with 'Acquisition geometry regularization: apply regularization transform', "
            "harden the transform, and save it as NRRD.",
        )
    return []


def _affine(grid: _Grid, origin: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    between_rows, between_columns = grid.pixel_spacing
    lps = np.eye(4)
    lps[:3, 0] = grid.row * between_columns
    lps[:3, 1] = grid.column * between_rows
    lps[:3, 2] = step
    lps[:3, 3] = origin
    return LPS_TO_RAS @ lps


def _name(one: SliceHeader) -> str:
    name = Path(one.file.shown).name
    return name if one.frame is None else f"{name} (frame {one.frame + 1})"


def _plain(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{float(value):.6g}" for value in values) + ")"
