"""DICOM SEG: right slices, algorithm and terminology in the file, read back equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import slicer
from slicer_harness.dicom_series import write_series
from slicer_harness.samples import UIDS, result_of, sample_ct

from LungNoduleSegLib import __version__
from LungNoduleSegLib.ct import read_ct
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import publish, read_dicom_seg, read_nodules, scene_records, volume_from_ct, write_dicom_seg
from LungNoduleSegLib.mrml.dicom_seg import make_dicom_seg
from LungNoduleSegLib.mrml.segments import segment_color, segment_records


@pytest.fixture
def series(tmp_path):
    """Files of a series, the CT and the labels."""
    ct, labels = sample_ct()
    return write_series(tmp_path / "CT", ct), ct, labels


def frames_of(dataset) -> dict[tuple[int, str], np.ndarray]:
    """Pixels by segment number and SOPInstanceUID of the image that each frame says it was made from."""
    pixels = dataset.pixel_array
    found = {}
    for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        derivation = groups.DerivationImageSequence[0].SourceImageSequence[0]
        found[number, derivation.ReferencedSOPInstanceUID] = frame
        found[number, "position", derivation.ReferencedSOPInstanceUID] = np.array(
            groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float
        )
    return found


def check_frames(path, sources, labels) -> None:
    """Every frame refers to the image at its place and shows the labels of that slice, and no slice is missing."""
    dataset = pydicom.dcmread(path)
    frames = frames_of(dataset)
    images = {header.SOPInstanceUID: header for header in map(pydicom.dcmread, sources)}
    by_height = sorted(images.values(), key=lambda header: position_along_normal(header))
    expected = {
        (label, by_height[k].SOPInstanceUID): labels[k] == label
        for label in range(1, labels.max() + 1)
        for k in range(labels.shape[0])
        if (labels[k] == label).any()
    }
    assert {key for key in frames if len(key) == 2} == set(expected)
    for (number, uid), mask in expected.items():
        np.testing.assert_array_equal(frames[number, uid] != 0, mask)
        place = np.array(images[uid].ImagePositionPatient, dtype=float)
        np.testing.assert_allclose(frames[number, "position", uid], place, atol=1e-4)


def position_along_normal(header) -> float:
    row, column = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
    return float(np.cross(row, column) @ np.array(header.ImagePositionPatient, dtype=float))


def test_frames_lie_on_the_right_slices(series, tmp_path):
    sources, ct, labels = series
    write_dicom_seg(tmp_path / "nodules.dcm", result_of(ct, labels), sources)
    check_frames(tmp_path / "nodules.dcm", sources, labels)


@pytest.mark.parametrize("kind", ["AUTOMATIC", "SEMIAUTOMATIC"])
def test_the_file_says_who_made_it(series, tmp_path, kind):
    sources, ct, labels = series
    write_dicom_seg(tmp_path / "nodules.dcm", result_of(ct, labels, kind=kind), sources)
    dataset = pydicom.dcmread(tmp_path / "nodules.dcm")
    source = pydicom.dcmread(sources[0])
    assert dataset.Modality == "SEG" and dataset.StudyInstanceUID == source.StudyInstanceUID
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID and dataset.PatientID == "sample"
    assert dataset.SoftwareVersions == __version__
    for number, item in enumerate(dataset.SegmentSequence):
        algorithm = item.SegmentationAlgorithmIdentificationSequence[0]
        assert item.SegmentAlgorithmType == kind
        assert item.SegmentAlgorithmName == algorithm.AlgorithmName == f"LungNoduleSeg model-2-compact {__version__}"
        assert algorithm.AlgorithmVersion == __version__
        assert item.SegmentLabel == item.TrackingID == f"Nodule {number + 1}"
        assert item.TrackingUID == UIDS[number]
        assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
        assert item.SegmentedPropertyTypeCodeSequence[0].CodeValue == "27925004"
        assert item.AnatomicRegionSequence[0].CodeValue == "39607008"
    sides = [
        [code.CodeMeaning for code in item.AnatomicRegionSequence[0].get("AnatomicRegionModifierSequence", [])]
        for item in dataset.SegmentSequence
    ]
    assert sides == [["Right"], ["Left"], []]


def test_read_back_equal(series, tmp_path):
    sources, ct, labels = series
    result = result_of(ct, labels)
    write_dicom_seg(tmp_path / "nodules.dcm", result, sources)
    back, records = read_dicom_seg(tmp_path / "nodules.dcm", ct)
    np.testing.assert_array_equal(back, labels)
    for number, (read, written) in enumerate(zip(records, segment_records(result), strict=True)):
        assert (read.segment_id, read.name, read.label) == (written.segment_id, written.name, written.label)
        assert read.color == pytest.approx(segment_color(number), abs=0.02)
        assert read.tags == {key: written.tags[key] for key in read.tags}


def test_segments_edited_in_the_scene_are_written(scene, series, tmp_path):
    sources, ct, labels = series
    volume = volume_from_ct(ct, scene)
    published = publish(result_of(ct, labels), volume)
    segmentation = published.segmentation.GetSegmentation()
    segmentation.RemoveSegment(UIDS[0])
    segmentation.GetSegment(UIDS[2]).SetName("Suspicious")
    nodules = read_nodules(published.segmentation, volume)
    records = scene_records(published.segmentation, nodules)
    make_dicom_seg(nodules.labels, records, ct, sources).save_as(tmp_path / "edited.dcm")
    back, read = read_dicom_seg(tmp_path / "edited.dcm", ct)
    np.testing.assert_array_equal(back, np.where(labels > 1, labels - 1, 0))
    assert [record.name for record in read] == ["Nodule 2", "Suspicious"]
    assert [record.segment_id for record in read] == list(UIDS[1:])
    assert slicer.mrmlScene is scene


def test_what_cannot_be_written_is_said(series, tmp_path):
    sources, ct, labels = series
    result = result_of(ct, labels)
    with pytest.raises(InputError, match="was not read from DICOM"):
        write_dicom_seg(tmp_path / "a.dcm", result)
    with pytest.raises(InputError, match="there is no nodule"):
        write_dicom_seg(tmp_path / "a.dcm", result_of(ct, np.zeros_like(labels)), sources)
    with pytest.raises(InputError, match=r"slice \d+ of the CT has no DICOM image: the nearest is 2.5 mm away"):
        write_dicom_seg(tmp_path / "a.dcm", result, sources[:12])
    shifted = np.array(ct.ijk_to_ras) @ np.diag([1.1, 1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="does not lie on the pixels"):
        write_dicom_seg(tmp_path / "a.dcm", result_of(sample_ct(shifted)[0], labels), sources)
    empty = replace(segment_records(result)[0], label=9, name="Empty")
    with pytest.raises(InputError, match="'Empty' has no voxel"):
        make_dicom_seg(labels, [*segment_records(result), empty], ct, sources)
    assert not (tmp_path / "a.dcm").exists()


def test_a_file_of_another_ct_is_refused(series, tmp_path):
    sources, ct, labels = series
    write_dicom_seg(tmp_path / "nodules.dcm", result_of(ct, labels), sources)
    other = sample_ct(np.array(ct.ijk_to_ras) @ np.diag([1.3, 1.3, 1.0, 1.0]))[0]
    with pytest.raises(InputError, match="do not lie on the voxels"):
        read_dicom_seg(tmp_path / "nodules.dcm", other)


def test_real_ct_whose_files_are_out_of_order(lidc_data, tmp_path):
    """LIDC-IDRI-0063: two ellipsoids on its grid, near the nodules at z = -104 and -301 mm."""
    folder = lidc_data / "LIDC-IDRI" / "LIDC-IDRI-0063"
    ct = read_ct(folder)
    labels = np.zeros(ct.shape, np.uint16)
    for label, (i, j, z) in enumerate([(133, 282, -104.0), (219, 301, -301.0)], start=1):
        height = ct.kji_to_ras([(k, j, i) for k in range(ct.shape[0])])[:, 2]
        k = int(np.argmin(np.abs(height - z)))
        assert abs(height[k] - z) < 1.5
        labels[k - 2 : k + 3, j - 6 : j + 7, i - 5 : i + 6] = label
    write_dicom_seg(tmp_path / "nodules.dcm", result_of(ct, labels))
    check_frames(tmp_path / "nodules.dcm", ct.source, labels)
    back, _ = read_dicom_seg(tmp_path / "nodules.dcm", ct)
    np.testing.assert_array_equal(back, labels)
    heights = {
        round(float(groups.PlanePositionSequence[0].ImagePositionPatient[2]), 3)
        for groups in pydicom.dcmread(tmp_path / "nodules.dcm").PerFrameFunctionalGroupsSequence
    }
    assert len(heights) == 10 and min(abs(height + 104) for height in heights) < 1.5
