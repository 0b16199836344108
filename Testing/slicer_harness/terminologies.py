"""Small terminology files: with them under the names of the application's large ones, its logic stays silent."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

_SCHEMA = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/"
_SEGMENT_LISTS = {
    "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy": (
        "Segmentation category and type - 3D Slicer General Anatomy list"
    ),
    "SegmentationCategoryTypeModifier-DICOM-Master": "Segmentation category and type - DICOM master list",
}


def _code(value: str, meaning: str, **more) -> dict:
    return {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning, **more}


def small_terminologies() -> str:
    """Write the files to a new folder and return it."""
    folder = Path(tempfile.mkdtemp(prefix="terminologies-"))
    nodule = _code("27925004", "Nodule", recommendedDisplayRGBValue=[230, 158, 140])
    tissue = _code("85756007", "Tissue", recommendedDisplayRGBValue=[128, 174, 128])
    categories = [
        _code("49755003", "Morphologically Altered Structure", Type=[nodule]),
        _code("85756007", "Tissue", Type=[tissue]),
    ]
    for stem, context in _SEGMENT_LISTS.items():
        content = {
            "@schema": _SCHEMA + "segment-context-schema.json#",
            "SegmentationCategoryTypeContextName": context,
            "SegmentationCodes": {"Category": categories},
        }
        (folder / f"{stem}.term.json").write_text(json.dumps(content), encoding="utf-8")
    lung = _code("39607008", "Lung", Modifier=[_code("24028007", "Right"), _code("7771000", "Left")])
    content = {
        "@schema": _SCHEMA + "anatomic-context-schema.json#",
        "AnatomicContextName": "Anatomic codes - DICOM master list",
        "AnatomicCodes": {"AnatomicRegion": [lung]},
    }
    (folder / "AnatomicRegionAndModifier-DICOM-Master.term.json").write_text(json.dumps(content), encoding="utf-8")
    return str(folder)
