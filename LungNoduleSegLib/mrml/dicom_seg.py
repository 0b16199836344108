"""A DICOM Segmentation object that says which algorithm made it, written and read with highdicom; no Slicer needed.

Standard: DICOM PS3.3 A.51 (Segmentation IOD). Segments are binary, one per nodule; the tracking UID is the nodule's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from LungNoduleSegLib import __version__
from LungNoduleSegLib.errors import InputError

from .files import written_beside
from .segments import (
    ALGORITHM_NAME_TAG,
    ALGORITHM_TYPE_TAG,
    MODEL_TAG,
    TERMINOLOGY_TAG,
    UID_TAG,
    SegmentRecord,
    parse_terminology,
    segment_records,
    terminology_entry,
)

if TYPE_CHECKING:
    from pydicom import Dataset

    from LungNoduleSegLib.ct import CT
    from LungNoduleSegLib.segmenter import Result

# Positions and directions in DICOM are decimal strings of at most 16 characters; slices are far further apart.
_SAME_PLACE_MM = 1e-2
_SERIES_NUMBER = 900  # beyond the numbers that scanners give
_MANUFACTURER = "LungNoduleSeg"


def write_dicom_seg(
    path: str | os.PathLike[str], result: Result, sources: Iterable[str | os.PathLike[str]] | None = None
) -> None:
    """Write the nodules of `result` as one DICOM SEG; complete or not at all.

    Parameters
    ----------
    sources
        The files of the CT series; default: those that the CT was read from.

    Raises
    ------
    InputError
        As :func:`make_dicom_seg` says.
    """
    files = list(result.ct.source if sources is None else sources)
    dataset = make_dicom_seg(
        result.labels, segment_records(result), result.ct, files, serial=getattr(result, "model_sha256", "") or ""
    )
    with written_beside(path) as partial:
        dataset.save_as(partial)


def make_dicom_seg(
    labels: np.ndarray,
    records: Sequence[SegmentRecord],
    ct: CT,
    sources: Iterable[str | os.PathLike[str]],
    *,
    serial: str = "",
):
    """A DICOM SEG dataset of segments on a CT's grid.

    Parameters
    ----------
    labels
        Label values [k, j, i]; frames are written for slices with voxels only.
    records
        The segments, from a result or from the scene; their terminology and algorithm tags are what is written.
    ct
        Its geometry decides which source each slice belongs to.
    sources
        Files of the CT series, in any order.
    serial
        Stands for the device's serial number: the SHA-256 of the weights, where there is one.

    Raises
    ------
    InputError
        If there is no segment, one has no voxel, or a slice with voxels has no source at its place.
    """
    from highdicom.seg import Segmentation

    from LungNoduleSegLib.nodules import new_uid

    if not records:
        raise InputError("there is no nodule, and a DICOM segmentation cannot be empty")
    labels = np.asarray(labels)
    frames = np.zeros(labels.shape, np.uint16)  # segment numbers must follow each other; labels need not
    for number, record in enumerate(records, start=1):
        frames[labels == record.label] = number
    present = np.bincount(frames.ravel(), minlength=len(records) + 1)[1:]
    if not present.all():
        raise InputError(f"the segment {records[int(np.argmin(present))].name!r} has no voxel")
    slices = np.flatnonzero(frames.any(axis=(1, 2)))
    datasets = _sources_of(slices, ct, sources)
    model = records[0].tags.get(MODEL_TAG, "")
    dataset = Segmentation(
        source_images=datasets,
        pixel_array=frames[slices].astype(np.uint8 if len(records) < 256 else np.uint16),
        segmentation_type="BINARY",
        segment_descriptions=[_description(number, record) for number, record in enumerate(records, start=1)],
        series_instance_uid=new_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=_MANUFACTURER,
        manufacturer_model_name=model or _MANUFACTURER,
        software_versions=__version__,
        device_serial_number=serial[:64] or "0",
        content_description="Lung nodules",
        content_label="LUNG_NODULES",
        series_description=f"Lung nodules {model}".strip()[:64],
    )
    _add_sides(dataset, records)
    return dataset


def read_dicom_seg(path: str | os.PathLike[str], ct: CT) -> tuple[np.ndarray, list[SegmentRecord]]:
    """Read a DICOM SEG onto the grid of `ct`.

    Returns
    -------
    labels, records
        uint16 [k, j, i] with the segment numbers, and what the file says of each segment.

    Raises
    ------
    InputError
        If the frames do not lie on the CT's voxels.
    """
    import highdicom

    dataset = highdicom.seg.segread(os.fspath(path))
    volume = dataset.get_volume(combine_segments=True)
    labels = np.zeros(ct.shape, np.uint16)
    to_ct = np.linalg.inv(_kji_to_lps(ct)) @ np.asarray(volume.affine)
    turned = np.rint(to_ct)
    size = max(volume.array.shape)
    if np.abs(to_ct[:3, :3] - turned[:3, :3]).max() * size > 0.1 or np.abs(to_ct[:3, 3] - turned[:3, 3]).max() > 0.1:
        raise InputError("its frames do not lie on the voxels of this CT", path=path)
    voxels = np.argwhere(volume.array)
    places = (voxels @ turned[:3, :3].T + turned[:3, 3]).astype(int)
    if ((places < 0) | (places >= labels.shape)).any():
        raise InputError("it reaches beyond this CT", path=path)
    labels[tuple(places.T)] = volume.array[tuple(voxels.T)]
    return labels, [_record(item) for item in dataset.SegmentSequence]


def _kji_to_lps(ct: CT) -> np.ndarray:
    from LungNoduleSegLib.ct.volume import LPS_TO_RAS

    lps = LPS_TO_RAS @ np.asarray(ct.ijk_to_ras)
    return lps[:, [2, 1, 0, 3]]


def _sources_of(slices: np.ndarray, ct: CT, sources: Iterable[str | os.PathLike[str]]) -> list[Dataset]:
    """The header of the image at the place of each slice; by position, never by file name or instance number."""
    import pydicom

    geometry = _kji_to_lps(ct)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sources]
    headers = [header for header in headers if "ImagePositionPatient" in header and "ImageOrientationPatient" in header]
    if not headers:
        raise InputError(
            "a DICOM segmentation refers to the images of its CT, and this CT was not read from DICOM",
            remedy="Read the CT from its DICOM folder, or write .seg.nrrd.",
        )
    positions = np.array([header.ImagePositionPatient for header in headers], dtype=np.float64)
    found = []
    for k in slices:
        apart = np.linalg.norm(positions - (geometry @ [k, 0, 0, 1.0])[:3], axis=1)
        nearest = int(np.argmin(apart))
        if apart[nearest] > _SAME_PLACE_MM:
            raise InputError(f"slice {k} of the CT has no DICOM image: the nearest is {apart[nearest]:.3g} mm away")
        _check_plane(headers[nearest], geometry, ct.shape)
        found.append(headers[nearest])
    return found


def _check_plane(header: Dataset, geometry: np.ndarray, shape: tuple[int, int, int]) -> None:
    directions = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    row_mm, column_mm = (float(value) for value in header.PixelSpacing)
    planes = np.stack([directions[1] * row_mm, directions[0] * column_mm], axis=1)
    off = np.abs(planes - geometry[:3, 1:3]).max() * max(shape[1:])
    if (header.Rows, header.Columns) != shape[1:] or off > _SAME_PLACE_MM * 10:
        raise InputError("the CT does not lie on the pixels of its DICOM images", path=header.get("filename"))


def _description(number: int, record: SegmentRecord):
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    terminology = _terminology(record)
    name = record.tags[ALGORITHM_NAME_TAG]
    version = name.rpartition(" ")[2]
    return SegmentDescription(
        segment_number=number,
        segment_label=record.name[:64],
        segmented_property_category=_code(terminology.category),
        segmented_property_type=_code(terminology.kind),
        algorithm_type=record.tags[ALGORITHM_TYPE_TAG],
        algorithm_identification=AlgorithmIdentificationSequence(
            name=name, family=codes.cid7162.ArtificialIntelligence, version=version
        ),
        tracking_uid=record.tags[UID_TAG],
        tracking_id=record.name[:64],
        anatomic_regions=[_code(terminology.region)] if terminology.region else None,
        display_color=CIELabColor.from_rgb(*(round(255 * channel) for channel in record.color)),
    )


def _terminology(record: SegmentRecord):
    terminology = parse_terminology(record.tags.get(TERMINOLOGY_TAG, ""))
    return terminology if terminology.category and terminology.kind else parse_terminology(terminology_entry(""))


def _code(code: tuple[str, str, str]):
    from highdicom.sr import CodedConcept

    return CodedConcept(*code)


def _add_sides(dataset, records: Sequence[SegmentRecord]) -> None:
    """Left and right as modifiers of the region, which highdicom's description has no argument for."""
    for item, record in zip(dataset.SegmentSequence, records, strict=True):
        modifier = _terminology(record).region_modifier
        if modifier and "AnatomicRegionSequence" in item:
            item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [_code(modifier)]


def _record(item) -> SegmentRecord:
    from highdicom.color import CIELabColor

    color = (1.0, 1.0, 1.0)
    if "RecommendedDisplayCIELabValue" in item:
        lab = CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue)
        color = tuple(channel / 255 for channel in lab.to_rgb())
    region = item.AnatomicRegionSequence[0] if "AnatomicRegionSequence" in item else None
    modifiers = region.get("AnatomicRegionModifierSequence", []) if region is not None else []
    side = {"24028007": "right", "7771000": "left"}.get(modifiers[0].CodeValue if modifiers else "", "")
    uid = str(item.get("TrackingUID", ""))
    tags = {
        UID_TAG: uid,
        ALGORITHM_TYPE_TAG: item.SegmentAlgorithmType,
        ALGORITHM_NAME_TAG: item.get("SegmentAlgorithmName", ""),
        TERMINOLOGY_TAG: terminology_entry(side),
    }
    return SegmentRecord(uid, item.SegmentLabel, color, int(item.SegmentNumber), tags)
