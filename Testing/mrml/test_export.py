"""The list as CSV and for a spreadsheet, and reviewed nodules as a case to train on."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import SimpleITK as sitk
from slicer_harness.nodes import parent_transform
from slicer_harness.samples import UIDS, result_of, sample_ct

from LungNoduleSegLib.ct import read_ct
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import (
    NoduleReview,
    copied_text,
    empty_segmentation,
    export_csv,
    export_training_pair,
    seg_nrrd,
    volume_from_ct,
)
from LungNoduleSegLib.mrml.cells import COLUMNS, cells
from LungNoduleSegLib.mrml.publishing import TABLE_ROLE
from LungNoduleSegLib.nodules import read_csv
from training.prepare.pairs import find_pairs
from training.prepare.segmentation import read_segmentation

A, B, C = UIDS
AWKWARD = "Zoë Müller 胸部 (2)"


@pytest.fixture
def review(scene):
    volume = volume_from_ct(sample_ct()[0], scene, "5: Lung 1,25 mm")
    volume.SetAndObserveTransformNodeID(parent_transform(scene)[0].GetID())
    review = NoduleReview(empty_segmentation(volume), volume)
    review.add(result_of(review.ct, sample_ct()[1]))
    review.accept([A])
    review.reject([B])
    review.rename(A, 'Say "A", please')
    review.set_type(C, "calcified")
    return review


def test_columns(review):
    assert COLUMNS[:5] == ("name", "status", "label", "uid", "side")
    first, second, third = cells(review.rows)
    assert first | {
        "name": 'Say "A", please', "status": "accepted", "attenuation": "solid", "guideline": "Fleischner 2017",
        "size_band": ">8 mm", "kind": "AUTOMATIC", "edited": "no", "model": "model-2-compact", "label": 1, "uid": A,
    } == first  # fmt: skip
    assert (second["status"], third["attenuation"], third["size_band"], third["guideline"]) == (
        "rejected", "calcified", "", "",
    )  # fmt: skip
    assert first["volume_mm3"] == round(review.row(A).nodule.volume_mm3, 1)


def test_csv(review, tmp_path):
    path = tmp_path / f"{AWKWARD}.csv"
    assert export_csv(path, review.rows) == path
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [list(row) for row in read] == [list(COLUMNS)] * 3
    assert [row["name"] for row in read] == ['Say "A", please', "Nodule 2", "Nodule 3"]
    assert [row["status"] for row in read] == ["accepted", "rejected", "pending"]
    # The command line's reader takes it too.
    assert [row["volume_mm3"] for row in read_csv(path)] == [row["volume_mm3"] for row in cells(review.rows)]
    export_csv(path, ())
    assert path.read_text(encoding="utf-8") == ",".join(COLUMNS) + "\n"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_csv_where_nothing_can_be_written(review, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="could not be written"):
        export_csv(tmp_path / "file" / "nodules.csv", review.rows)


def test_copied_text(review):
    read = list(csv.reader(io.StringIO(copied_text(review.rows)), delimiter="\t"))
    assert read[0] == list(COLUMNS) and [row[0] for row in read[1:]] == ['Say "A", please', "Nodule 2", "Nodule 3"]
    assert copied_text(()).splitlines() == ["\t".join(COLUMNS)]


def test_the_table_node_says_the_same(review):
    table = review.segmentation_node.GetNodeReference(TABLE_ROLE)
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == list(COLUMNS)
    columns = {name: n for n, name in enumerate(COLUMNS)}
    for row, values in enumerate(cells(review.rows)):
        for name in ("name", "status", "attenuation", "size_band", "uid", "edited"):
            assert table.GetCellText(row, columns[name]) == str(values[name])
        assert float(table.GetCellText(row, columns["mean_hu"])) == pytest.approx(values["mean_hu"], abs=1e-3)


def test_a_case_to_train_on(review, tmp_path):
    folder = tmp_path / AWKWARD
    ct_path, segmentation_path = export_training_pair(folder, review)
    assert ct_path.name == "5-Lung-1-25-mm.nrrd" and segmentation_path.name == "5-Lung-1-25-mm.seg.nrrd"
    assert sorted(entry.name for entry in folder.iterdir()) == [ct_path.name, segmentation_path.name]
    (pair,) = find_pairs(sorted(folder.iterdir()))
    assert (pair.ct, pair.segmentation) == (ct_path, segmentation_path)
    ct = read_ct(pair.ct)
    np.testing.assert_array_equal(ct.hu, review.ct.hu)
    np.testing.assert_allclose(ct.ijk_to_ras, review.ct.ijk_to_ras, atol=1e-6)
    nodules, remarks = read_segmentation(pair.segmentation, ct)
    np.testing.assert_array_equal(nodules > 0, sample_ct()[1] == 1)
    assert remarks == ()
    keys = sitk.ReadImage(str(segmentation_path))
    assert keys.GetMetaData("Segment0_Name") == 'Say "A", please'
    assert "LungNoduleSeg.Status:accepted" in keys.GetMetaData("Segment0_Tags")


def test_cases_do_not_replace_each_other(review, tmp_path):
    export_training_pair(tmp_path, review)
    second, _ = export_training_pair(tmp_path, review, statuses=("accepted", "pending"))
    assert second.name == "5-Lung-1-25-mm-2.nrrd" and len(find_pairs(sorted(tmp_path.iterdir()))) == 2
    review.volume_node.SetName("chest_seg")  # would be taken for a segmentation
    third, _ = export_training_pair(tmp_path, review)
    assert third.name == "chest_seg-ct.nrrd" and len(find_pairs(sorted(tmp_path.iterdir()))) == 3
    review.volume_node.SetName("胸部")
    assert export_training_pair(tmp_path, review)[0].name == "CT.nrrd"


def test_a_case_needs_nodules(review, tmp_path):
    review.reset([A])
    with pytest.raises(InputError, match="no nodule is accepted"):
        export_training_pair(tmp_path, review)
    with pytest.raises(ValueError, match="statuses"):
        export_training_pair(tmp_path, review, statuses=("good",))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("full"), OSError("full")])
def test_half_a_case_is_none(review, tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(seg_nrrd, "segment_metadata", fail)
    with pytest.raises(InputError, match="could not be written"):
        export_training_pair(tmp_path, review)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_folder(review, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="could not be written"):
        export_training_pair(tmp_path / "file", review)
