"""One nodule with its measurements, the value that every later floor passes on."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any
from uuid import uuid4

ATTENUATIONS = ("solid", "part-solid", "ground-glass", "calcified")
"""The types of attenuation, from MacMahon et al. (Fleischner Society, Radiology 284:228, 2017) plus calcified."""

SIDES = ("left", "right", "")
"""Side of the patient; empty where the scan does not tell."""

LENGTH_TOLERANCE_MM = 1e-6
"""Rounding that the order of long and short axis may carry."""

_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_UID_LENGTH = 64

Point = tuple[float, float, float]
Index = tuple[int, int, int]


def new_uid() -> str:
    """A new DICOM UID under the root for UUIDs, ``2.25.<UUID as integer>`` (DICOM PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"


def is_uid(text: object) -> bool:
    """Whether ``text`` is a valid DICOM UID (PS3.5 9.1): digits and points, no leading zeros, at most 64 characters."""
    return isinstance(text, str) and len(text) <= _UID_LENGTH and _UID.fullmatch(text) is not None


@dataclass(frozen=True)
class Nodule:
    """A nodule as it is measured on the CT's own grid.

    Parameters
    ----------
    uid
        DICOM UID that stays with the nodule through edits, saving and loading.
    label
        Its value in the label volume, from 1.
    centroid_ras
        Mean of the voxel centres (x, y, z), RAS, mm.
    volume_mm3
        Number of voxels times the voxel's volume.
    long_axis_mm, short_axis_mm
        Largest in-plane extent on an axial slice between pixel outer edges, and the longest line perpendicular to it on
        the same slice (see :mod:`LungNoduleSegLib.nodules.axes`).
    mean_diameter_mm
        Mean of the two axes, the size that Fleischner guidelines use (Bankier et al., Radiology 285:584, 2017).
    mean_hu
        Mean CT number in HU over all voxels of the nodule, a filled cavity included.
    attenuation
        One of :data:`ATTENUATIONS`.
    solid_diameter_mm
        Largest diameter of the solid part of a part-solid nodule; None for other types, and where none was measured.
    probability
        Score of the nodule, 0..1.
    side
        One of :data:`SIDES`.
    long_axis_ras, short_axis_ras
        End points of the axes, ((x, y, z), (x, y, z)), RAS, mm.
    bounds_kji
        Half-open bounding box ((k0, j0, i0), (k1, j1, i1)) in voxels of the CT.

    Raises
    ------
    ValueError
        If a value is out of its range or not finite.
    """

    uid: str
    label: int
    centroid_ras: Point
    volume_mm3: float
    long_axis_mm: float
    short_axis_mm: float
    mean_diameter_mm: float
    mean_hu: float
    attenuation: str
    solid_diameter_mm: float | None
    probability: float
    side: str
    long_axis_ras: tuple[Point, Point]
    short_axis_ras: tuple[Point, Point]
    bounds_kji: tuple[Index, Index]

    def __post_init__(self) -> None:
        # numpy scalars and arrays become plain Python values, so that equality, hashing and JSON just work.
        for name in ("volume_mm3", "long_axis_mm", "short_axis_mm", "mean_diameter_mm", "mean_hu", "probability"):
            self._set(name, _number(name, getattr(self, name)))
        if self.solid_diameter_mm is not None:
            self._set("solid_diameter_mm", _number("solid_diameter_mm", self.solid_diameter_mm))
        self._set("label", _integer("label", self.label))
        self._set("centroid_ras", _point("centroid_ras", self.centroid_ras))
        self._set("long_axis_ras", _pair("long_axis_ras", self.long_axis_ras, _point))
        self._set("short_axis_ras", _pair("short_axis_ras", self.short_axis_ras, _point))
        self._set("bounds_kji", _pair("bounds_kji", self.bounds_kji, _index))
        self._validate()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _validate(self) -> None:
        _expect(is_uid(self.uid), "uid", "a DICOM UID", self.uid)
        _expect(self.label >= 1, "label", "at least 1", self.label)
        _expect(self.attenuation in ATTENUATIONS, "attenuation", f"one of {ATTENUATIONS}", self.attenuation)
        _expect(self.side in SIDES, "side", f"one of {SIDES}", self.side)
        _expect(0.0 <= self.probability <= 1.0, "probability", "between 0 and 1", self.probability)
        for name in ("volume_mm3", "long_axis_mm", "short_axis_mm", "mean_diameter_mm"):
            _expect(getattr(self, name) > 0, name, "positive", getattr(self, name))
        longest = self.long_axis_mm + LENGTH_TOLERANCE_MM
        _expect(self.short_axis_mm <= longest, "short_axis_mm", "at most `long_axis_mm`", self.short_axis_mm)
        if self.solid_diameter_mm is not None:
            _expect(self.solid_diameter_mm > 0, "solid_diameter_mm", "positive", self.solid_diameter_mm)
            part_solid = self.attenuation == "part-solid"
            _expect(part_solid, "solid_diameter_mm", "None unless the nodule is part-solid", self.solid_diameter_mm)
        low, high = self.bounds_kji
        ordered = all(0 <= a < b for a, b in zip(low, high, strict=True))
        _expect(ordered, "bounds_kji", "a non-empty half-open box from voxel 0 on", self.bounds_kji)

    @property
    def name(self) -> str:
        """Name shown in tables and as the segment's name."""
        return f"Nodule {self.label}"

    @property
    def equivalent_diameter_mm(self) -> float:
        """Diameter in mm of the sphere with the nodule's volume."""
        return equivalent_diameter_mm(self.volume_mm3)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, field by field (points as lists); :meth:`from_dict` reads them back equal."""
        return {field.name: _listed(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Nodule:
        """The inverse of :meth:`to_dict`; raises ValueError as the constructor does."""
        return cls(**data)


def equivalent_diameter_mm(volume_mm3: float) -> float:
    """Diameter in mm of a sphere of ``volume_mm3``."""
    return math.cbrt(6.0 * volume_mm3 / math.pi) if hasattr(math, "cbrt") else (6.0 * volume_mm3 / math.pi) ** (1 / 3)


def sphere_volume_mm3(diameter_mm: float) -> float:
    """Volume in mm3 of a sphere, the inverse of :func:`equivalent_diameter_mm`."""
    return math.pi / 6.0 * diameter_mm**3


def _expect(condition: bool, name: str, expected: str, value: object) -> None:
    if not condition:
        raise ValueError(f"Expected argument `{name}` to be {expected}, got {value!r}")


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    _expect(math.isfinite(number), name, "a finite number", value)
    return number


def _integer(name: str, value: Any) -> int:
    try:
        number = int(value)
        whole = number == value
    except (TypeError, ValueError, OverflowError):
        number, whole = 0, False
    _expect(bool(whole), name, "a whole number", value)
    return number


def _three(name: str, value: Any) -> tuple[Any, Any, Any]:
    try:
        items = tuple(value)
    except TypeError:
        items = ()
    _expect(len(items) == 3, name, "three numbers", value)
    return items


def _point(name: str, value: Any) -> Point:
    x, y, z = _three(name, value)
    return _number(name, x), _number(name, y), _number(name, z)


def _index(name: str, value: Any) -> Index:
    k, j, i = _three(name, value)
    return _integer(name, k), _integer(name, j), _integer(name, i)


def _pair(name: str, value: Any, item: Any) -> tuple[Any, Any]:
    try:
        items = tuple(value)
    except TypeError:
        items = ()
    _expect(len(items) == 2, name, "a pair", value)
    return item(name, items[0]), item(name, items[1])


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value
