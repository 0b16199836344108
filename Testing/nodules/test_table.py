"""The table: its columns, its CSV and what happens to a file when writing fails."""

from __future__ import annotations

import csv
import os

import pytest

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.nodules import COLUMNS, Nodule, read_csv, rows, write_csv


def nodule(label: int, **changed) -> Nodule:
    fields = {
        "uid": f"2.25.{label}",
        "label": label,
        "centroid_ras": (1.23456, -2.0, 3.5),
        "volume_mm3": 512.3456,
        "long_axis_mm": 12.3456,
        "short_axis_mm": 8.0,
        "mean_diameter_mm": 10.1728,
        "mean_hu": -40.05,
        "attenuation": "part-solid",
        "solid_diameter_mm": 4.567,
        "probability": 0.987654,
        "side": "left",
        "long_axis_ras": ((0, 0, 0), (12, 0, 0)),
        "short_axis_ras": ((6, -4, 0), (6, 4, 0)),
        "bounds_kji": ((1, 2, 3), (4, 5, 6)),
    }
    return Nodule(**(fields | changed))


TWO = [nodule(1), nodule(2, attenuation="solid", solid_diameter_mm=None, side="")]


def test_the_rows_by_hand():
    first = rows(TWO)[0]
    assert tuple(first) == COLUMNS
    assert first == {
        "name": "Nodule 1",
        "label": 1,
        "uid": "2.25.1",
        "side": "left",
        "attenuation": "part-solid",
        "long_axis_mm": 12.35,
        "short_axis_mm": 8.0,
        "mean_diameter_mm": 10.17,
        "volume_mm3": 512.3,
        "mean_hu": -40.0,
        "probability": 0.9877,
        "solid_diameter_mm": 4.57,
        "centroid_r_mm": 1.23,
        "centroid_a_mm": -2.0,
        "centroid_s_mm": 3.5,
    }


@pytest.mark.parametrize("folder", ["plain", "with space", "Größe 肺结节 ñ"])
def test_round_trip(tmp_path, folder):
    (tmp_path / folder).mkdir()
    path = tmp_path / folder / "Knötchen 結節.csv"
    assert write_csv(path, TWO) == path
    assert read_csv(path) == rows(TWO)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_name_of_two_hundred_characters(tmp_path):
    path = tmp_path / ("n" * 196 + ".csv")
    write_csv(path, TWO)
    assert read_csv(path) == rows(TWO)


def test_no_nodule_gives_the_header(tmp_path):
    path = write_csv(tmp_path / "none.csv", [])
    assert path.read_text(encoding="utf-8") == ",".join(COLUMNS) + "\n"
    assert read_csv(path) == []


def test_a_table_saved_by_a_spreadsheet_reads_the_same(tmp_path):
    path = tmp_path / "sheet.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["extra", *reversed(COLUMNS)], lineterminator="\r\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows({"extra": "x", **row} for row in rows(TWO))
    assert read_csv(path) == rows(TWO)


def test_a_failure_keeps_the_old_table_and_leaves_nothing_behind(tmp_path):
    path = write_csv(tmp_path / "nodules.csv", TWO)
    before = path.read_bytes()

    def broken():
        yield TWO[0]
        raise RuntimeError("stopped half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_csv(path, broken())
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["nodules.csv"]


def test_an_existing_table_is_replaced(tmp_path):
    path = write_csv(tmp_path / "nodules.csv", TWO)
    write_csv(path, TWO[:1])
    assert len(read_csv(path)) == 1


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="could not be written") as error:
        write_csv(tmp_path / "nowhere" / "nodules.csv", TWO)
    assert error.value.exit_code == 2
    assert "nowhere" in str(error.value)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a,b\n1,2\n", "column name, label"),
        ("", "is missing"),
        (",".join(COLUMNS) + "\nNodule 1,one,2.25.1\n", "line 2, column label"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, text, finding):
    path = tmp_path / "other.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=finding):
        read_csv(path)


def test_a_missing_or_binary_file_is_said(tmp_path):
    with pytest.raises(InputError, match="could not be read"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="not UTF-8"):
        read_csv(tmp_path / "binary.csv")
