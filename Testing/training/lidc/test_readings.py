"""A folder of annotation files: what is taken, what is skipped and why; and the findings as CSV."""

from __future__ import annotations

import csv
import gzip

import pytest

from LungNoduleSegLib.errors import InputError
from Testing.training.lidc.xml_files import RADIOGRAPH, Session, ct_xml, write_ct_xml
from training.lidc.findings import Finding, findings_csv, write_findings
from training.lidc.readings import read_folder, xml_files


def point(column: int, reader: int = 0, kind: str = "nodule_lt3") -> Finding:
    return Finding(reader, kind, -20.5, column, 3)


def test_every_file_is_taken_or_skipped_with_a_reason(tmp_path):
    write_ct_xml(tmp_path / "LIDC-IDRI-0001" / "069.xml", "1.2.3", Session([], [point(1)]))
    write_ct_xml(tmp_path / "LIDC-IDRI-0002" / "x" / "071.XML", "1.2.4", Session())
    for name, text in (("cxr.xml", RADIOGRAPH), ("cut.xml", ct_xml("1.2.5")[:-9]), ("web.xml", "<html/>")):
        (tmp_path / name).write_text(text)
    (tmp_path / "slice.dcm").write_text("<not looked at")
    (tmp_path / "._069.xml").write_bytes(b"\x00\x05")  # what macOS leaves on foreign disks
    found = read_folder(tmp_path)
    assert {series: r.findings for series, r in found.by_series.items()} == {"1.2.3": (point(1),), "1.2.4": ()}
    reasons = {path.name: reason for path, reason in found.skipped.items()}
    assert set(reasons) == {"cxr.xml", "cut.xml", "web.xml"}
    assert "chest radiograph" in reasons["cxr.xml"]
    assert "not well-formed" in reasons["cut.xml"]
    assert "html" in reasons["web.xml"]


def test_the_same_file_twice_counts_once(tmp_path):
    for name in ("b/069.xml", "a/200.xml"):
        write_ct_xml(tmp_path / name, "1.2.3", Session([], [point(1)]))
    found = read_folder(tmp_path)
    assert found.by_series["1.2.3"].path == tmp_path / "a" / "200.xml"
    assert list(found.skipped) == [tmp_path / "b" / "069.xml"]
    assert "says the same" in found.skipped[tmp_path / "b" / "069.xml"]


def test_a_correction_replaces_what_it_corrects(tmp_path):
    old = write_ct_xml(tmp_path / "069.xml", "1.2.3", Session([], [point(1)]))
    new = write_ct_xml(tmp_path / "069-resubmitted-correction.xml", "1.2.3", Session([], [point(2)]))
    found = read_folder(tmp_path)
    assert found.by_series["1.2.3"].path == new
    assert "corrected by" in found.skipped[old]


def test_files_that_contradict_each_other_are_both_left_out(tmp_path):
    for number, name in enumerate(("a.xml", "b.xml")):
        write_ct_xml(tmp_path / name, "1.2.3", Session([], [point(number)]))
    found = read_folder(tmp_path)
    assert found.by_series == {}
    assert {path.name for path in found.skipped} == {"a.xml", "b.xml"}
    assert all("contradict" in reason for reason in found.skipped.values())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no folder") as caught:
        read_folder(tmp_path / "none")
    assert "none" in str(caught.value)


def test_files_come_in_a_fixed_order(tmp_path):
    for name in ("b/1.xml", "a/2.xml", "c.xml", ".trash/3.xml"):
        write_ct_xml(tmp_path / name, "1", Session())
    assert [path.relative_to(tmp_path).as_posix() for path in xml_files(tmp_path)] == ["c.xml", "a/2.xml", "b/1.xml"]


FINDINGS = {"1.2.4": [point(5, reader=1), point(7, kind="non_nodule"), point(6)], "1.2.3": [point(1, reader=10)]}
PATIENTS = {"1.2.3": "LIDC-IDRI-0002", "1.2.4": "LIDC-IDRI-0001", "1.2.5": "LIDC-IDRI-0003"}


def test_findings_are_ordered_as_in_the_published_list():
    assert findings_csv(FINDINGS, PATIENTS).split("\r\n") == [
        "patient,series_instance_uid,reader,kind,z_mm,column,row",
        "LIDC-IDRI-0001,1.2.4,0,nodule_lt3,-20.5,6,3",
        "LIDC-IDRI-0001,1.2.4,0,non_nodule,-20.5,7,3",
        "LIDC-IDRI-0001,1.2.4,1,nodule_lt3,-20.5,5,3",
        "LIDC-IDRI-0002,1.2.3,10,nodule_lt3,-20.5,1,3",
        "",
    ]


def test_a_series_of_no_known_patient_is_named():
    with pytest.raises(InputError, match=r"first 1\.2\.4"):
        findings_csv(FINDINGS, {"1.2.3": "LIDC-IDRI-0002"})


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="vessel"):
        Finding(0, "vessel", 1.0, 2, 3)


def test_written_plain_and_compressed(tmp_path):
    write_findings(tmp_path / "marks.csv", FINDINGS, PATIENTS)
    write_findings(tmp_path / "marks.csv.gz", FINDINGS, PATIENTS)
    plain = (tmp_path / "marks.csv").read_bytes()
    assert plain.decode() == findings_csv(FINDINGS, PATIENTS)
    assert gzip.decompress((tmp_path / "marks.csv.gz").read_bytes()) == plain
    assert sorted(path.name for path in tmp_path.iterdir()) == ["marks.csv", "marks.csv.gz"]


def test_where_nothing_can_be_written_the_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="could not be written") as caught:
        write_findings(tmp_path / "none" / "marks.csv", FINDINGS, PATIENTS)
    assert "none" in str(caught.value)


def test_the_published_list_is_written_again_byte_for_byte(lidc_data, tmp_path):
    published = (lidc_data / "lidc_marks.csv").read_bytes()
    findings: dict[str, list[Finding]] = {}
    patients = {}
    for row in reversed(list(csv.DictReader(published.decode().splitlines()))):
        mark = Finding(int(row["reader"]), row["kind"], float(row["z_mm"]), int(row["column"]), int(row["row"]))
        findings.setdefault(row["series_instance_uid"], []).append(mark)
        patients[row["series_instance_uid"]] = row["patient"]
    write_findings(tmp_path / "marks.csv", findings, patients)
    assert (tmp_path / "marks.csv").read_bytes() == published
