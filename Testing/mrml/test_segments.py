"""Names, colours, terminology and tags of a nodule's segment."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from slicer_harness.samples import result_of, sample_ct

from LungNoduleSegLib import __version__
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.mrml import segments


def lab(colors: np.ndarray) -> np.ndarray:
    """sRGB to CIELAB under D65 (IEC 61966-2-1, CIE 15): there, distances are what an eye sees."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
    xyz = linear @ to_xyz.T / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def test_colors_differ_to_the_eye():
    colors = np.array([segments.segment_color(index) for index in range(100)])
    assert ((colors >= 0) & (colors <= 1)).all()
    assert len({tuple(np.round(255 * color)) for color in colors}) == 100
    seen = lab(colors[:20])
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 20
    assert np.linalg.norm(np.diff(lab(colors), axis=0), axis=1).min() > 60  # neighbours in the list


@pytest.mark.parametrize(
    ("side", "modifier"), [("right", "SCT^24028007^Right"), ("left", "SCT^7771000^Left"), ("", "^^")]
)
def test_terminology_names_the_side(side, modifier):
    entry = segments.terminology_entry(side)
    assert entry.split("~") == [
        "Segmentation category and type - DICOM master list",
        "SCT^49755003^Morphologically Altered Structure",
        "SCT^27925004^Nodule",
        "^^",
        "Anatomic codes - DICOM master list",
        "SCT^39607008^Lung",
        modifier,
    ]
    assert segments.side_of_terminology(entry) == side


def test_side_is_read_from_entries_of_newer_versions_too():
    assert segments.side_of_terminology(segments.terminology_entry("left") + "|") == "left"
    assert segments.side_of_terminology("") == ""


def test_unknown_side_is_refused():
    with pytest.raises(ValueError, match="side"):
        segments.terminology_entry("middle")


def test_records_say_who_made_the_segment():
    ct, labels = sample_ct()
    for kind in ("AUTOMATIC", "SEMIAUTOMATIC"):
        records = segments.segment_records(result_of(ct, labels, kind=kind))
        assert [record.name for record in records] == ["Nodule 1", "Nodule 2", "Nodule 3"]
        assert {record.tags["DICOM.SegmentAlgorithmType"] for record in records} == {kind}
        assert {record.tags["DICOM.SegmentAlgorithmName"] for record in records} == {
            f"LungNoduleSeg model-2-compact {__version__}"
        }
        assert [record.tags["LungNoduleSeg.UID"] for record in records] == ["2.25.1001", "2.25.1002", "2.25.1003"]
        assert [float(record.tags["LungNoduleSeg.Probability"]) for record in records] == pytest.approx(
            [0.85, 0.75, 0.65]
        )


def test_records_continue_the_numbers_of_others():
    ct, labels = sample_ct()
    records = segments.segment_records(result_of(ct, labels), first_label=5)
    assert [(record.label, record.name) for record in records] == [(5, "Nodule 5"), (6, "Nodule 6"), (7, "Nodule 7")]


def test_manual_results_are_refused():
    ct, labels = sample_ct()
    result = result_of(ct, labels)
    object.__setattr__(result, "kind", "MANUAL")
    with pytest.raises(ValueError, match="kind"):
        segments.segment_records(result)


def test_algorithm_name_fits_dicom():
    assert len(segments.algorithm_name("x" * 200)) == 64  # value representation LO


def test_a_nodule_under_another_has_no_segment():
    ct, labels = sample_ct()
    result = result_of(ct, labels)
    hidden = Candidate((7, 18, 16), np.ones((2, 2, 2), bool), 0.5, 0.5, (0.0, 0.0, 0.0), 5.0)
    result = replace(result, candidates=(*result.candidates, hidden))
    assert len(result.nodules) == 4 and not segments.nodule_mask(result, result.nodules[3]).any()
    assert [record.label for record in segments.segment_records(result)] == [1, 2, 3]
