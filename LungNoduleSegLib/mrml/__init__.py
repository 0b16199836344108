"""The MRML scene: the only place of the library that knows Slicer's nodes.

Everything is resolved on first use: ``seg_nrrd`` and ``dicom_seg`` need no Slicer, and importing this package imports
neither Slicer nor VTK.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "NoduleHistory": "history",
    "PublishedNodules": "publishing",
    "SceneNodules": "read",
    "ct_from_volume": "volume",
    "publish": "publishing",
    "read_dicom_seg": "dicom_seg",
    "read_nodules": "read",
    "rebuild": "publishing",
    "scene_records": "read",
    "volume_from_ct": "volume",
    "write_dicom_seg": "dicom_seg",
    "write_scene_mrb": "bundle",
    "write_seg_nrrd": "seg_nrrd",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
