"""What the user typed, checked against the CT before minutes of work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LungNoduleSegLib.errors import InputError

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT

Point = tuple[float, float, float]


def parse_points(texts: Sequence[str] | None, option: str) -> list[Point]:
    """Points of an option that was given as "X Y Z" or "X,Y,Z", RAS mm.

    Raises
    ------
    InputError
        If one of them is not three finite numbers.
    """
    points = []
    for text in texts or ():
        try:
            x, y, z = (float(part) for part in text.replace(",", " ").split())
        except ValueError:
            raise InputError(f"Expected {option} to be three numbers X Y Z (RAS, mm), got {text!r}") from None
        if not np.isfinite([x, y, z]).all():
            raise InputError(f"Expected {option} to be three finite numbers, got {text!r}")
        points.append((x, y, z))
    return points


def bounds_ras(ct: CT) -> tuple[Point, Point]:
    """Lowest and highest RAS coordinates of the CT's voxel edges, mm."""
    ends = [(-0.5, n - 0.5) for n in ct.shape]
    corners = ct.kji_to_ras(np.array([[k, j, i] for k in ends[0] for j in ends[1] for i in ends[2]]))
    low, high = corners.min(0).tolist(), corners.max(0).tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def extent_text(ct: CT) -> str:
    """``X -180.0 to 180.0, Y ... mm`` of the CT."""
    low, high = bounds_ras(ct)
    return ", ".join(f"{name} {a:.1f} to {b:.1f}" for name, a, b in zip("XYZ", low, high)) + " mm"


def check_inside(ct: CT, points: Sequence[Point], option: str) -> None:
    """Raises InputError that names the first point outside the CT's voxels, and where the CT is."""
    for point in points:
        kji = ct.ras_to_kji(np.asarray(point, dtype=float))
        if np.any(kji < -0.5) or np.any(kji > np.asarray(ct.shape) - 0.5):
            text = " ".join(f"{value:g}" for value in point)
            raise InputError(
                f"{option} {text} lies outside the CT, which spans {extent_text(ct)} (RAS)",
                remedy="RAS counts to the patient's right, front and head; DICOM's own coordinates (LPS) have x and y "
                "negated.",
            )


def roi_box(ct: CT, roi: tuple[float, ...] | None) -> tuple[Point, Point] | None:
    """The region as ((low x, y, z), (high x, y, z)), RAS mm; its two corners may come in any order.

    Raises
    ------
    InputError
        If it is empty or does not meet the CT.
    """
    if roi is None:
        return None
    first, second = np.array(roi[:3], dtype=float), np.array(roi[3:], dtype=float)
    low, high = np.minimum(first, second), np.maximum(first, second)
    if not np.isfinite([low, high]).all() or np.any(high <= low):
        raise InputError(f"Expected --roi to be two opposite corners X0 Y0 Z0 X1 Y1 Z1 of a box, got {roi}")
    ct_low, ct_high = bounds_ras(ct)
    if np.any(high <= ct_low) or np.any(low >= ct_high):
        raise InputError(f"--roi lies outside the CT, which spans {extent_text(ct)} (RAS)")
    return (low[0].item(), low[1].item(), low[2].item()), (high[0].item(), high[1].item(), high[2].item())


def display_name(path: str | Path) -> str:
    """A short name of a CT for titles: the file's or folder's own."""
    resolved = Path(path).absolute()
    return resolved.name or str(resolved)
