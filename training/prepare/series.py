"""Is what was found of a series all of it? The database knows where every slice of it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.lidc.database import Scan
from training.prepare.finding import Header

SAME_PLACE_MM = 0.05
"""Positions are written with few decimals; slices lie at least ten times further apart."""


@dataclass(frozen=True)
class Checked:
    """The files of one series to read; or, in ``fault``, why it cannot be used. ``remarks`` are for the summary."""

    files: tuple[Path, ...]
    fault: str = ""
    remarks: tuple[str, ...] = ()


def check_series(headers: Sequence[Header], scan: Scan) -> Checked:
    """Compare the files of one series with the slices that were annotated.

    Copies of a file (the same SOPInstanceUID: a series that was downloaded twice) are used once, with a remark. Several
    different images at one place, or places without an image, are a fault.
    """
    unique: dict[str, Header] = {}
    copies: list[Header] = []
    for header in headers:
        if header.instance in unique:
            copies.append(header)
        else:
            unique[header.instance] = header
    remarks = []
    if copies:
        places = sorted({str(h.path.parent) for h in copies})
        remarks.append(f"given twice: {len(copies)} copies passed over in {', '.join(places)}")
    placed = [h for h in unique.values() if h.z_mm is not None]
    if len(placed) < len(unique):
        return Checked((), f"{len(unique) - len(placed)} images without a position", tuple(remarks))
    z_mm = np.array([h.z_mm for h in placed])
    lacking = [z for z in scan.z_mm if np.abs(z_mm - z).min(initial=np.inf) > SAME_PLACE_MM]
    if lacking:
        shown = ", ".join(f"{z:g}" for z in lacking[:4]) + (", ..." if len(lacking) > 4 else "")
        return Checked(
            (), f"incomplete: {len(lacking)} of {len(scan.z_mm)} slices are missing (z = {shown} mm)", tuple(remarks)
        )
    repeated = int((np.diff(np.sort(z_mm)) <= SAME_PLACE_MM).sum())
    if repeated:
        return Checked((), f"repeated: {repeated} places have more than one image", tuple(remarks))
    return Checked(tuple(h.path for h in placed), "", tuple(remarks))
