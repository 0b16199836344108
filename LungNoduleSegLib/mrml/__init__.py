"""The MRML scene: the only place of the library that knows Slicer's nodes.

Everything is resolved on first use: ``seg_nrrd`` and ``dicom_seg`` need no Slicer, and importing this package imports
neither Slicer nor VTK.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "NoduleHistory": "history",
    "NoduleReview": "review",
    "PublishedNodules": "publishing",
    "ReviewRow": "rows",
    "STATUSES": "rows",
    "SceneNodules": "read",
    "copied_text": "export",
    "ct_from_volume": "volume",
    "empty_segmentation": "publishing",
    "export_csv": "export",
    "export_training_pair": "export",
    "hide_probability": "probability",
    "highlight_point": "views",
    "jump_to": "views",
    "publish": "publishing",
    "read_dicom_seg": "dicom_seg",
    "read_nodules": "read",
    "rebuild": "publishing",
    "scene_records": "read",
    "show_3d": "surfaces",
    "show_probability": "probability",
    "show_uncertainty": "uncertainty",
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
