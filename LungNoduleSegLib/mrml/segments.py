"""What a segment of a nodule says about itself: name, colour, terminology and tags. No Slicer needed."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from LungNoduleSegLib import __version__

if TYPE_CHECKING:
    from LungNoduleSegLib.nodules import Nodule
    from LungNoduleSegLib.segmenter import Result

UID_TAG = "LungNoduleSeg.UID"
LABEL_TAG = "LungNoduleSeg.Label"
PROBABILITY_TAG = "LungNoduleSeg.Probability"
MODEL_TAG = "LungNoduleSeg.Model"
# What the user said of a nodule: "accepted" or "rejected" (no tag: pending), a type of attenuation, "1" once edited.
STATUS_TAG = "LungNoduleSeg.Status"
TYPE_TAG = "LungNoduleSeg.Type"
EDITED_TAG = "LungNoduleSeg.Edited"
# vtkSlicerSegmentationsModuleLogic::GetStatusTagName(), and what it keeps for each status of ours
SLICER_STATUS_TAG = "Segmentation.Status"
SLICER_STATUSES = {"pending": "notstarted", "accepted": "completed", "rejected": "flagged"}
# Slicer's DICOM export reads these two; without them it writes MANUAL.
ALGORITHM_TYPE_TAG = "DICOM.SegmentAlgorithmType"
ALGORITHM_NAME_TAG = "DICOM.SegmentAlgorithmName"
# vtkSegment::GetTerminologyEntryTagName()
TERMINOLOGY_TAG = "TerminologyEntry"

TAGS = (
    UID_TAG,
    LABEL_TAG,
    PROBABILITY_TAG,
    MODEL_TAG,
    ALGORITHM_TYPE_TAG,
    ALGORITHM_NAME_TAG,
    TERMINOLOGY_TAG,
    STATUS_TAG,
    TYPE_TAG,
    EDITED_TAG,
    SLICER_STATUS_TAG,
)

ALGORITHM_TYPES = ("AUTOMATIC", "SEMIAUTOMATIC")
_NODULE = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^27925004^Nodule~^^"
)
_LUNG = "~Anatomic codes - DICOM master list~SCT^39607008^Lung"
_SIDES = {"right": "SCT^24028007^Right", "left": "SCT^7771000^Left", "": "^^"}
_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class SegmentRecord:
    """One segment, independent of the file or scene that holds it.

    Attributes
    ----------
    segment_id
        Unique in its segmentation; the nodule's UID.
    name
        What the user sees.
    color
        Red, green, blue in 0..1.
    label
        Value of the nodule's voxels in the labels array, at least 1.
    tags
        Slicer's segment tags, terminology included.
    """

    segment_id: str
    name: str
    color: tuple[float, float, float]
    label: int
    tags: Mapping[str, str]


def terminology_entry(side: str) -> str:
    """Slicer's serialised terminology of a nodule in the ``"left"``, ``"right"`` or (``""``) unknown lung.

    Codes: SNOMED CT as in DICOM PS3.16 CID 7159 (nodule), 4031 (lung) and 244 (laterality).
    """
    if side not in _SIDES:
        raise ValueError(f"Expected argument `side` to be one of {sorted(_SIDES)}, got {side!r}.")
    return f"{_NODULE}{_LUNG}~{_SIDES[side]}"


@dataclass(frozen=True)
class Terminology:
    """The codes of one segment, each (value, scheme, meaning) or None."""

    category: tuple[str, str, str] | None
    kind: tuple[str, str, str] | None
    region: tuple[str, str, str] | None
    region_modifier: tuple[str, str, str] | None


def parse_terminology(entry: str) -> Terminology:
    """The codes in Slicer's serialised terminology; what is missing in it is None."""
    parts = entry.rstrip("|").split("~")
    codes: list[tuple[str, str, str] | None] = []
    for part in parts + [""] * (7 - len(parts)):
        scheme, _, rest = part.partition("^")
        value, _, meaning = rest.partition("^")
        codes.append((value, scheme, meaning) if scheme and value and meaning else None)
    return Terminology(codes[1], codes[2], codes[5], codes[6])


def side_of_terminology(entry: str) -> str:
    """``"left"``, ``"right"`` or ``""``: the inverse of :func:`terminology_entry`, for any lung terminology."""
    modifier = parse_terminology(entry).region_modifier
    return {"24028007": "right", "7771000": "left"}.get(modifier[0] if modifier else "", "")


def segment_color(index: int) -> tuple[float, float, float]:
    """Colour of the segment number `index` (from 0): neighbours in the list are far apart in hue and lightness.

    Hues advance by the golden ratio, so that any number of them spreads over the circle; saturation and value cycle
    with periods that share no factor, so that hues which come close again still differ. Starts at amber, which stands
    out on a grey CT. The constants were searched for the largest least distance in CIELAB among the first 20 (24).
    """
    hue = (0.12 + index * _GOLDEN_RATIO) % 1.0
    return colorsys.hsv_to_rgb(hue, (0.8, 0.6)[index % 2], (1.0, 0.65, 0.95)[index % 3])


def segment_name(label: int | str) -> str:
    """The name that a nodule has until the user gives it another."""
    return f"Nodule {label}"


def algorithm_name(model: str) -> str:
    """What DICOM calls the algorithm: product, model and version, in one string of at most 64 characters."""
    return f"LungNoduleSeg {model} {__version__}"[:64]


def nodule_mask(result: Result, nodule: Nodule) -> np.ndarray:
    """The voxels of one nodule in the labels of its result, bool [k, j, i] on the nodule's box."""
    (k0, j0, i0), (k1, j1, i1) = nodule.bounds_kji
    return np.asarray(result.labels[k0:k1, j0:j1, i0:i1]) == nodule.label


def segment_records(result: Result, *, first_label: int = 1) -> list[SegmentRecord]:
    """One record per nodule of `result` that has voxels in its labels, in its order.

    Parameters
    ----------
    result
        Its nodules, model and kind are used, not its labels.
    first_label
        Label of the first nodule: above 1 where the nodules join others. The label in the record is then
        ``first_label - 1`` higher than the nodule's.
    """
    kind = str(result.kind)
    if kind not in ALGORITHM_TYPES:
        raise ValueError(f"Expected argument `result.kind` to be one of {ALGORITHM_TYPES}, got {kind!r}.")
    return [
        segment_record(result, nodule, nodule.label + first_label - 1)
        for nodule in result.nodules
        # Where candidates overlap, a more probable nodule may cover another one wholly.
        if nodule_mask(result, nodule).any()
    ]


def segment_record(result: Result, nodule: Nodule, label: int) -> SegmentRecord:
    """The record of one nodule of `result` under a label that may differ from the nodule's own."""
    tags = {
        UID_TAG: nodule.uid,
        LABEL_TAG: str(label),
        PROBABILITY_TAG: repr(float(nodule.probability)),
        MODEL_TAG: result.model,
        ALGORITHM_TYPE_TAG: str(result.kind),
        ALGORITHM_NAME_TAG: algorithm_name(result.model),
        TERMINOLOGY_TAG: terminology_entry(nodule.side),
    }
    return SegmentRecord(nodule.uid, segment_name(label), segment_color(label - 1), label, tags)
