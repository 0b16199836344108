"""The size band that a guideline puts a single nodule in; a way to sort a list, for research use, not a diagnosis.

Sources: MacMahon et al. (Fleischner Society), Radiology 284:228 (2017), for nodules found by chance; ACR Lung-RADS
v2022, baseline screening CT. Both branch on the type of attenuation, so that without a type there is no band. What they
recommend depends on the patient, on earlier scans and on other nodules, none of which is known here: it is not said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from LungNoduleSegLib.nodules.nodule import ATTENUATIONS, Nodule

NOT_A_DIAGNOSIS = "research use, not a diagnosis"

FLEISCHNER_SMALL_MM, FLEISCHNER_LARGE_MM = 6.0, 8.0
FLEISCHNER_SMALL_MM3, FLEISCHNER_LARGE_MM3 = 100.0, 250.0
"""Below the small ones, and above the large ones; mean of long and short axis, rounded to whole mm (table 1)."""

FLEISCHNER_SOLID_PART_MM = 6.0
"""From here on the solid part of a part-solid nodule sets it apart (recommendation 5)."""

LUNG_RADS_SOLID_MM = (6.0, 8.0, 15.0)
"""Lower ends of categories 3, 4A and 4B; the mean diameter is reported to one decimal."""

LUNG_RADS_PART_SOLID_MM = 6.0
"""Total mean diameter below which a part-solid nodule is category 2, whatever its solid part."""

LUNG_RADS_SOLID_PART_MM = (6.0, 8.0)
"""Lower ends of categories 4A and 4B for the solid part."""

LUNG_RADS_GROUND_GLASS_MM = 30.0
"""Lower end of category 3."""


@dataclass(frozen=True)
class SizeBand:
    """Where a guideline puts a nodule by type and size alone.

    Attributes
    ----------
    guideline
        Its short name.
    category
        The band, short enough for a table: a range in mm, or the guideline's own category.
    sentence
        The same in words, with what it was taken from; ends in :data:`NOT_A_DIAGNOSIS`.
    """

    guideline: str
    category: str
    sentence: str


def fleischner_2017(nodule: Nodule, attenuation: str) -> SizeBand | None:
    """Band of the Fleischner Society's guidelines for a single nodule.

    The diameter decides; that of the solid part is its longest axis. Where the volume of a solid or ground-glass nodule
    lies in another band (they meet at 100 and 250 mm3), the sentence says so.

    Parameters
    ----------
    nodule
        Its mean diameter, its volume and the diameter of its solid part are used.
    attenuation
        One of :data:`LungNoduleSegLib.nodules.nodule.ATTENUATIONS` or ``""``.

    Returns
    -------
    SizeBand or None
        None without a type, and for calcified nodules, which the guidelines have no size band for.

    Raises
    ------
    ValueError
        If `attenuation` is neither a type nor empty.
    """
    _check(attenuation)
    if attenuation in ("", "calcified"):
        return None
    size_mm = _rounded(nodule.mean_diameter_mm, 0)
    if attenuation == "solid":
        category = _solid_band(size_mm, FLEISCHNER_SMALL_MM, FLEISCHNER_LARGE_MM)
        by_volume = _solid_band(nodule.volume_mm3, FLEISCHNER_SMALL_MM3, FLEISCHNER_LARGE_MM3)
    else:
        category = "<6 mm" if size_mm < FLEISCHNER_SMALL_MM else ">=6 mm"
        by_volume = "<6 mm" if nodule.volume_mm3 < FLEISCHNER_SMALL_MM3 else ">=6 mm"
    finding = f"{attenuation}, mean diameter {size_mm:.0f} mm, volume {_rounded(nodule.volume_mm3, 0):.0f} mm3"
    if attenuation == "part-solid":
        by_volume = category  # the guidelines give no volume for it
        if size_mm >= FLEISCHNER_SMALL_MM:
            solid_mm = _rounded(nodule.solid_diameter_mm or 0.0, 0)
            category += f", solid part {'<6 mm' if solid_mm < FLEISCHNER_SOLID_PART_MM else '>=6 mm'}"
            by_volume = category
            finding += _solid_part(nodule, 0)
    other = "" if by_volume == category else f"; by its volume {by_volume}"
    return _band("Fleischner 2017", category, f"{finding}: band {category} for a single nodule{other}")


def lung_rads_2022(nodule: Nodule, attenuation: str) -> SizeBand | None:
    """Category of Lung-RADS v2022 by type and size at a baseline screening CT: "1", "2", "3", "4A" or "4B".

    What else the categories look at (growth, a new nodule, place on the pleura or in an airway, cysts, suspicious
    features) is not known here. The solid part counts by its longest axis, which is at least its mean diameter. A
    calcified nodule is category 1 by a benign pattern of its calcium, which is not told apart here either; the sentence
    says so.

    Parameters and errors are those of :func:`fleischner_2017`; None without a type.
    """
    _check(attenuation)
    if not attenuation:
        return None
    size_mm = _rounded(nodule.mean_diameter_mm, 1)
    finding = f"{attenuation}, mean diameter {size_mm:.1f} mm"
    if attenuation == "solid":
        category = _step(size_mm, LUNG_RADS_SOLID_MM, ("2", "3", "4A", "4B"))
    elif attenuation == "ground-glass":
        category = "2" if size_mm < LUNG_RADS_GROUND_GLASS_MM else "3"
    elif attenuation == "part-solid":
        category = "2"
        if size_mm >= LUNG_RADS_PART_SOLID_MM:
            solid_mm = _rounded(nodule.solid_diameter_mm or 0.0, 1)
            category = _step(solid_mm, LUNG_RADS_SOLID_PART_MM, ("3", "4A", "4B"))
        finding += _solid_part(nodule, 1)
    else:
        category = "1"
        finding += ", if the calcium's pattern is a benign one"
    return _band("Lung-RADS v2022", category, f"{finding}: category {category} of a baseline screening CT")


GUIDELINES: dict[str, Callable[[Nodule, str], SizeBand | None]] = {
    "fleischner-2017": fleischner_2017,
    "lung-rads-2022": lung_rads_2022,
}
"""The guidelines by the names that settings and scripts use."""


def _check(attenuation: str) -> None:
    if attenuation and attenuation not in ATTENUATIONS:
        raise ValueError(f"Expected argument `attenuation` to be one of {ATTENUATIONS} or '', got {attenuation!r}")


def _rounded(value: float, decimals: int) -> float:
    """Half up, as people round; Python rounds 8.5 to 8."""
    scale = 10**decimals
    return math.floor(value * scale + 0.5 + 1e-9) / scale  # the last term: 5.95 is stored as 5.9500000000000002 or less


def _solid_band(size: float, small: float, large: float) -> str:
    return "<6 mm" if size < small else "6-8 mm" if size <= large else ">8 mm"


def _step(size_mm: float, lower_ends_mm: tuple[float, ...], categories: tuple[str, ...]) -> str:
    return categories[sum(size_mm >= end for end in lower_ends_mm)]


def _solid_part(nodule: Nodule, decimals: int) -> str:
    if nodule.solid_diameter_mm is None:
        return ", no solid part measured"
    return f", solid part {_rounded(nodule.solid_diameter_mm, decimals):.{decimals}f} mm"


def _band(guideline: str, category: str, text: str) -> SizeBand:
    return SizeBand(guideline, category, f"{guideline}: {text} ({NOT_A_DIAGNOSIS}).")
