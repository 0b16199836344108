"""LIDC-IDRI's annotation files: outlines, points, what is refused, and the way there and back."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from Testing.training.lidc.xml_files import RADIOGRAPH, Session, ct_xml, write_ct_xml
from Testing.training.synthetic import annotation, box_outline, contour
from training.lidc.consensus import consensus_nodules
from training.lidc.database import RATINGS, Annotation, Scan
from training.lidc.findings import Finding, findings_csv
from training.lidc.xml import NotCT, read_xml

RATED = dict(zip(RATINGS, (5, 1, 6, 3, 4, 1, 1, 5, 3)))
OUTLINES = (contour(-120.5, box_outline(10, 20, 5, 6)), contour(-118.0, box_outline(11, 21, 3, 3), inclusion=False))
SMALL = Finding(0, "nodule_lt3", 1604.5, 177, 353)
OTHER = Finding(1, "non_nodule", 1631.5, 199, 321)


@pytest.fixture
def reading(tmp_path):
    sessions = Session([Annotation(1, OUTLINES, RATED)], [SMALL]), Session([], [OTHER])
    return read_xml(write_ct_xml(tmp_path / "a.xml", "1.2.3", *sessions))


def outlines(a: Annotation) -> list:
    return [(c.z_mm, c.inclusion, c.rows_columns.tolist()) for c in a.contours]


def test_outlines_ratings_and_readers(reading):
    (found,) = reading.annotations
    assert (reading.series_uid, reading.sessions, reading.readers) == ("1.2.3", 2, (0,))
    assert (found.id, found.ratings) == (1, RATED)
    assert [(c.z_mm, c.inclusion) for c in found.contours] == [(-120.5, True), (-118.0, False)]
    # Row before column: y before x.
    assert found.contours[0].rows_columns[0].tolist() == [10, 20]
    assert outlines(found) == outlines(Annotation(1, OUTLINES, {}))
    assert found.contours[0].rows_columns.dtype == np.int64


def test_points_are_findings(reading):
    assert reading.findings == (SMALL, OTHER)


def test_a_reading_becomes_a_scan_that_is_rasterised(reading):
    scan = reading.scan("LIDC-IDRI-0001", 0.7, 2.5, np.array([-123.0, -120.5, -118.0]))
    assert (scan.patient_id, scan.series_uid, scan.slice_thickness_mm) == ("LIDC-IDRI-0001", "1.2.3", 2.5)
    (nodule,) = consensus_nodules(scan)
    assert nodule.offset_kji[0] == 1
    assert nodule.mask[0].sum() == 3 * 4


def test_the_text_of_a_real_file(tmp_path):
    """Line breaks, spaces and order as in the delivered files; no characteristics at all on a nodule under 3 mm."""
    text = ct_xml("1.2.3", Session()).replace(
        " </readingSession>",
        """    <unblindedReadNodule>
     <noduleID>0</noduleID>
     <roi>
      <imageZposition>1604.5</imageZposition>
      <imageSOP_UID>1.3.6</imageSOP_UID>
      <inclusion>TRUE</inclusion>
      <edgeMap><xCoord>177</xCoord><yCoord>353</yCoord></edgeMap>
     </roi>
    </unblindedReadNodule>
    <nonNodule>
     <nonNoduleID>2063</nonNoduleID>
     <imageZposition>1631.5 </imageZposition>
     <imageSOP_UID>1.3.6</imageSOP_UID>
     <locus><xCoord>199</xCoord><yCoord>321</yCoord>
     </locus>
    </nonNodule>
 </readingSession>""",
    )
    (tmp_path / "158.xml").write_text(text)
    found = read_xml(tmp_path / "158.xml")
    assert found.findings == (SMALL, Finding(0, "non_nodule", 1631.5, 199, 321))
    assert found.annotations == ()


@pytest.mark.parametrize("replace", [("", ""), (' xmlns="http://www.nih.gov"', ""), ("http://www.nih.gov", "urn:x")])
def test_the_namespace_does_not_matter(tmp_path, replace):
    text = ct_xml("1.2.3", Session([Annotation(1, OUTLINES, RATED)], [SMALL])).replace(*replace)
    (tmp_path / "a.xml").write_text(text)
    found = read_xml(tmp_path / "a.xml")
    assert (len(found.annotations), len(found.findings)) == (1, 1)


def test_an_outline_without_ratings_is_an_annotation_and_a_point_with_ratings_is_none(tmp_path):
    point = Annotation(2, (contour(1.0, [(3, 4)]),), RATED)
    found = read_xml(write_ct_xml(tmp_path / "a.xml", "1.2.3", Session([Annotation(1, OUTLINES, {}), point])))
    assert [a.ratings for a in found.annotations] == [{}]
    assert found.findings == (Finding(0, "nodule_lt3", 1.0, 4, 3),)


def test_a_nodule_without_a_point_is_left_out_and_named(tmp_path):
    text = ct_xml("1.2.3", Session(), Session([], [SMALL]))
    edge = text[text.index("    <edgeMap>") : text.index("</edgeMap>") + len("</edgeMap>")]
    (tmp_path / "a.xml").write_text(text.replace(edge, ""))
    found = read_xml(tmp_path / "a.xml")
    assert found.findings == ()
    assert found.left_out == ("nodule '0' of reader 1 has no point",)


def test_a_radiograph_is_refused_with_the_reason(tmp_path):
    (tmp_path / "cxr.xml").write_text(RADIOGRAPH)
    with pytest.raises(NotCT, match="chest radiograph") as caught:
        read_xml(tmp_path / "cxr.xml")
    assert "cxr.xml" in str(caught.value)


def test_other_content_is_refused_by_its_root(tmp_path):
    (tmp_path / "other.xml").write_text("<html/>")
    with pytest.raises(NotCT, match="html"):
        read_xml(tmp_path / "other.xml")


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("</LidcReadMessage>", "", "not well-formed"),
        ("<inclusion>TRUE", "<inclusion>MAYBE", "neither TRUE nor FALSE"),
        ("<xCoord>177<", "<xCoord>17a<", "<xCoord> of nodule '0' of reader 0 is '17a'"),
        ("<yCoord>353</yCoord>", "", "<yCoord> of nodule '0' of reader 0 is missing"),
        ("1604.5", "nan", "<imageZposition> of nodule '0' of reader 0 is 'nan'"),
        ("<subtlety>5", "<subtlety>9", "<subtlety> of nodule 'Nodule 001' of reader 0 is 9"),
        ("locus>", "place>", "<locus> of non-nodule '2063' of reader 1 is missing"),
        ("<SeriesInstanceUid>1.2.3</SeriesInstanceUid>", "", "<SeriesInstanceUid> of the header is missing"),
        ("UTF-8", "no-such-encoding", "XML"),
    ],
)
def test_damage_is_named_with_the_file_and_the_place(tmp_path, old, new, finding):
    text = ct_xml("1.2.3", Session([Annotation(1, OUTLINES, RATED)], [SMALL]), Session([], [OTHER]))
    assert old in text
    (tmp_path / "damaged.xml").write_text(text.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_xml(tmp_path / "damaged.xml")
    assert finding in str(caught.value)
    assert "damaged.xml" in str(caught.value)
    assert not isinstance(caught.value, NotCT)


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"\x00\xff\xfe binary")
    for name in ("a.xml", "none.xml"):
        with pytest.raises(InputError, match=r"read|well-formed") as caught:
            read_xml(tmp_path / name)
        assert name in str(caught.value)


def in_sessions(scan: Scan, findings: list[Finding]) -> list[Session]:
    """The database does not say who drew an annotation: they are dealt to four readers in turn."""
    readers = max([3, *(f.reader for f in findings)]) + 1
    return [
        Session(scan.annotations[n::4] if n < 4 else (), [f for f in findings if f.reader == n]) for n in range(readers)
    ]


@pytest.mark.parametrize("patient", ["LIDC-IDRI-0001", "LIDC-IDRI-0063", "LIDC-IDRI-0078", "LIDC-IDRI-0566"])
def test_there_and_back_from_the_database(lidc_scans, lidc_data, tmp_path, patient):
    (scan,) = [s for s in lidc_scans if s.patient_id == patient]
    with (lidc_data / "lidc_marks.csv").open(newline="") as file:
        lines = [line for line in file if line.startswith(patient)]
    marks = [Finding(int(r), kind, float(z), int(x), int(y)) for _, _, r, kind, z, x, y in csv.reader(lines)]
    assert marks
    found = read_xml(write_ct_xml(tmp_path / "a.xml", scan.series_uid, *in_sessions(scan, marks)))
    dealt = [a for n in range(4) for a in scan.annotations[n::4]]
    assert [outlines(a) for a in found.annotations] == [outlines(a) for a in dealt]
    assert [a.ratings for a in found.annotations] == [a.ratings for a in dealt]
    assert found.readers == tuple(n for n in range(4) for _ in scan.annotations[n::4])
    # Equal to the published list, character for character.
    text = findings_csv({scan.series_uid: found.findings}, {scan.series_uid: patient})
    assert text.splitlines(keepends=True)[1:] == lines


def test_two_readings_are_compared_by_their_marks(tmp_path):
    one = read_xml(write_ct_xml(tmp_path / "a.xml", "1", Session([Annotation(1, OUTLINES, RATED)])))
    same = read_xml(write_ct_xml(tmp_path / "b.xml", "1", Session([Annotation(1, OUTLINES, RATED)])))
    assert one.same_marks(same)
    for other in (
        Session([Annotation(1, OUTLINES[:1], RATED)]),
        Session([Annotation(1, OUTLINES, RATED | {"margin": 1})]),
        Session([Annotation(1, OUTLINES, RATED)], [SMALL]),
        Session([annotation(1, contour(-120.5, box_outline(10, 21, 5, 6)), OUTLINES[1])]),
    ):
        assert not one.same_marks(read_xml(write_ct_xml(tmp_path / "c.xml", "1", other)))
