"""The MRML scene: the only place of the library that knows Slicer's nodes.

Everything is resolved on first use: ``seg_nrrd`` and ``dicom_seg`` need no Slicer, and importing this package imports
neither Slicer nor VTK.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "NoduleHistory": "history",
    "PublishedNodules": "publish",
    "SceneNodules": "read",
    "ct_from_volume": "volume",
    "publish": "publish",
    "read_dicom_seg": "dicom_seg",
    "read_nodules": "read",
    "rebuild": "publish",
    "volume_from_ct": "volume",
    "write_dicom_seg": "dicom_seg",
    "write_scene_mrb": "bundle",
    "write_seg_nrrd": "seg_nrrd",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    # The function `publish` lives in a sub-module of the same name, which importing it has just bound here.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
