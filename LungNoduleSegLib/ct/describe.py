"""What a CT is and what is wrong with it, in sentences, before it is searched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from LungNoduleSegLib.ct.plausible import DARKEST_HU
from LungNoduleSegLib.ct.volume import CT

THICK_MM = 3.0
"""Slices further apart blur nodules of the size that matters; most of LIDC-IDRI is at 2.5 mm and below."""

PIXEL_MM = (0.4, 1.0)
"""In-plane spacings that the models were trained on, with a little room (LIDC-IDRI: 0.461 to 0.977 mm)."""

FEWEST_SLICES = 20
SMALLEST_EXTENT_MM = 100.0
"""Less than this along the body is no thorax."""

_SAMPLES = (32, 64, 64)


@dataclass(frozen=True)
class InputCheck:
    """What was found.

    Attributes
    ----------
    sentences
        What the CT is: its size, spacing, orientation and range of HU.
    problems
        What is wrong with it, each with what follows from that; empty for a usual chest CT.
    ok
        False where the values cannot be a chest CT in HU: a run would be refused.
    """

    sentences: tuple[str, ...]
    problems: tuple[str, ...]
    ok: bool


def describe_ct(ct: CT) -> InputCheck:
    """Look at a CT; about 130,000 of its voxels are sampled. Raises nothing for a CT that makes no sense."""
    steps = (max(1, n // most) for n, most in zip(ct.shape, _SAMPLES, strict=True))
    sample = ct.hu[tuple(slice(None, None, step) for step in steps)]
    low, dark, high = (float(v) for v in np.percentile(sample, (0, 1, 100)))
    apart, *plane = ct.spacing_mm
    k, j, i = ct.shape
    sentences = [
        f"{k} {ct.slice_orientation} slices of {i} x {j} pixels.",
        f"Pixels {plane[1]:.2f} x {plane[0]:.2f} mm, slices {apart:.2f} mm apart{_thickness(ct)}.",
        f"About {low:.0f} to {high:.0f} HU.",
    ]
    problems = []
    ok = low < high and dark <= DARKEST_HU
    if low == high:
        problems.append("Every voxel has the same value: the image is empty.")
    elif not ok:
        problems.append("There is no air (about -1000 HU) in it: these are no Hounsfield units of a chest CT.")
    if ct.slice_orientation != "axial":
        problems.append(
            f"The slices are {ct.slice_orientation}; it is searched in axial planes, whose resolution is lower then."
        )
    if apart > THICK_MM:
        problems.append(f"Slices {apart:.1f} mm apart: small nodules can be missed, and volumes are rough.")
    if min(plane) < PIXEL_MM[0] or max(plane) > PIXEL_MM[1]:
        problems.append(f"The models were trained on pixels of {PIXEL_MM[0]} to {PIXEL_MM[1]} mm.")
    if k < FEWEST_SLICES or k * apart < SMALLEST_EXTENT_MM:
        problems.append(f"It covers {k * apart:.0f} mm in {k} slices: is it the whole thorax?")
    return InputCheck(tuple(sentences), (*problems, *ct.warnings), ok)


def _thickness(ct: CT) -> str:
    thickness = ct.info.get("slice_thickness_mm", "")
    return f" and {float(thickness):.2f} mm thick" if _is_number(thickness) else ""


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
