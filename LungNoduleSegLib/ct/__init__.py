"""A CT volume with its geometry: reading it, and finding the lungs in it. pydicom and SimpleITK load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from LungNoduleSegLib.ct.lung_regions import lung_mask, lungs
    from LungNoduleSegLib.ct.read import read_ct
    from LungNoduleSegLib.ct.volume import CT

_HOMES = {"CT": "volume", "lung_mask": "lung_regions", "lungs": "lung_regions", "read_ct": "read"}
__all__ = ["CT", "lung_mask", "lungs", "read_ct"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
