"""A user's own cases: found, listed, read, put on the CT's grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from Testing.slicer_harness.dicom_series import write_series
from Testing.training.prepare.made_source import made_ct
from training.data.convention import to_eight_bits
from training.data.crops import IGNORE
from training.data.split import side
from training.prepare.finding import Found
from training.prepare.pair_crops import pair_crops
from training.prepare.pairs import find_pairs, read_pairs
from training.prepare.run import prepare
from training.prepare.segmentation import read_segmentation
from training.prepare.tasks import make_plan


def truth() -> np.ndarray:
    labels = np.zeros(made_ct().shape, np.uint8)
    labels[3:6, 61:69, 71:79] = 1
    labels[8, 100:106, 100:106] = 1
    return labels


def image_of(labels: np.ndarray, ct: CT) -> sitk.Image:
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(ct.to_sitk())
    return image


@pytest.fixture
def case(tmp_path):
    """A CT as NRRD, and what writes a segmentation beside it."""
    ct = made_ct()
    sitk.WriteImage(ct.to_sitk(), str(tmp_path / "a.nrrd"))

    def write(name: str, image: sitk.Image):
        sitk.WriteImage(image, str(tmp_path / name))
        return tmp_path / name

    return ct, write


@pytest.mark.parametrize("name", ["a.seg.nrrd", "a.nii.gz", "a.mha"])
def test_formats(case, name):
    ct, write = case
    nodules, remarks = read_segmentation(write(name, image_of(truth(), ct)), ct)
    assert remarks == ()
    assert nodules.dtype == np.int16
    assert sorted(np.bincount(nodules.ravel())[1:]) == [36, 3 * 64], "two parts of one label are two nodules"
    assert np.array_equal(nodules > 0, truth() > 0)


def test_touching_nodules_of_different_labels_stay_apart(case):
    ct, write = case
    labels = truth()
    labels[3:6, 69:72, 71:79] = 5
    nodules, _ = read_segmentation(write("a.seg.nrrd", image_of(labels, ct)), ct)
    assert nodules.max() == 3
    assert len(np.unique(nodules[4, 61:72, 75])) == 2


def test_layers_of_overlapping_segments(case):
    ct, write = case
    first, second = np.zeros((2, *ct.shape), np.uint8)
    first[3:6, 61:69, 71:79] = 1
    second[3:6, 65:75, 71:79] = 1
    image = sitk.GetImageFromArray(np.stack([first, second], -1), isVector=True)
    image.CopyInformation(ct.to_sitk())
    nodules, _ = read_segmentation(write("a.seg.nrrd", image), ct)
    assert nodules.max() == 2
    assert (nodules > 0).sum() == ((first | second) > 0).sum()
    assert (nodules == 1).sum() == first.sum(), "where segments overlap, the first"


def test_a_part_of_the_ct_is_exact(case):
    ct, write = case
    part = image_of(truth(), ct)[60:120, 50:110, 2:10]
    nodules, remarks = read_segmentation(write("a.seg.nrrd", part), ct)
    assert remarks == ()
    assert np.array_equal(nodules > 0, truth() > 0)


def test_turned_axes_are_exact(case):
    ct, write = case
    turned = sitk.Flip(sitk.PermuteAxes(image_of(truth(), ct), (2, 0, 1)), (True, False, True))
    nodules, remarks = read_segmentation(write("a.nrrd_seg.nrrd", turned), ct)
    assert remarks == ()
    assert np.array_equal(nodules > 0, truth() > 0)


def test_another_grid_is_resampled_with_a_word(case):
    ct, write = case
    fine = sitk.Expand(image_of(truth(), ct), (2, 2, 2), sitk.sitkNearestNeighbor)
    nodules, remarks = read_segmentation(write("a.seg.nrrd", fine), ct)
    assert "resampled by nearest neighbour from 0.35 x 0.35 x 0.5 mm to the CT's 0.7 x 0.7 x 1 mm" in remarks[0]
    assert np.array_equal(nodules > 0, truth() > 0)


def test_beside_its_ct(case):
    ct, write = case
    image = image_of(truth(), ct)
    image.SetOrigin((1000.0, 0.0, 0.0))
    with pytest.raises(InputError, match="beside its CT"):
        read_segmentation(write("a.seg.nrrd", image), ct)
    image.SetOrigin(np.array(ct.to_sitk().GetOrigin()) - (0, 0, 4))
    with pytest.raises(InputError, match=r"64 of 228 marked voxels lie outside"):
        read_segmentation(write("a.seg.nrrd", image), ct)


def test_what_is_no_segmentation(case, tmp_path):
    ct, write = case
    with pytest.raises(InputError, match=r"values from -900 to 60, not labels"):
        read_segmentation(write("b.nrrd", ct.to_sitk()), ct)
    (tmp_path / "c.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(InputError, match="damaged"):
        read_segmentation(tmp_path / "c.nrrd", ct)
    (tmp_path / "d.txt").write_text("x")
    with pytest.raises(InputError, match="no segmentation that can be read"):
        read_segmentation(tmp_path / "d.txt", ct)


def test_an_empty_segmentation_has_a_word(case):
    ct, write = case
    nodules, remarks = read_segmentation(write("a.seg.nrrd", image_of(0 * truth(), ct)), ct)
    assert not nodules.any()
    assert "no nodule" in remarks[0]


def dicom_seg(ct: CT, sources, labels: np.ndarray, path):
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import dcmread
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    images = sorted((dcmread(p) for p in sources), key=lambda d: float(d.ImagePositionPatient[2]))
    algorithm = AlgorithmIdentificationSequence(name="made", family=codes.cid7162.ArtificialIntelligence, version="1")
    segments = [
        SegmentDescription(n + 1, f"nodule {n}", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Nodule,
                           "AUTOMATIC", algorithm)
        for n in range(int(labels.max()))
    ]  # fmt: skip
    Segmentation(
        source_images=images, pixel_array=labels, segmentation_type="BINARY", segment_descriptions=segments,
        series_instance_uid=generate_uid(), series_number=9, sop_instance_uid=generate_uid(), instance_number=1,
        manufacturer="made", manufacturer_model_name="made", software_versions="1", device_serial_number="1",
    ).save_as(path)  # fmt: skip


def test_dicom_seg(tmp_path):
    ct = made_ct()
    labels = truth()
    labels[8][labels[8] > 0] = 2
    dicom_seg(ct, write_series(tmp_path / "ct", ct), labels, tmp_path / "seg.dcm")
    nodules, remarks = read_segmentation(tmp_path / "seg.dcm", ct)
    assert remarks == ()
    assert np.array_equal(nodules, labels)


def test_crops_of_a_case():
    ct = made_ct()
    nodules = truth().astype(np.int16)
    nodules[8][nodules[8] > 0] = 2
    nodules[4, 100:104, 100:104] = 3
    crops = pair_crops(ct.hu, nodules, 0.7)
    assert crops.rows["nodule"].tolist() == [0, 0, 0, 1, 2]
    assert crops.rows["k"].tolist() == [3, 4, 5, 8, 4]
    assert crops.rows["consensus_px"].tolist() == [64, 64, 64, 36, 16]
    assert set(crops.rows["readers"]) == {1}
    row, column = (int(crops.rows[n][0]) for n in ("row", "column"))
    assert (row, column) == (64 - 64, 74 - 64)
    assert np.array_equal(crops.images[0], to_eight_bits(ct.hu[3, :128, 10:138]))
    other = np.argwhere(crops.labels[1] == IGNORE)
    assert other.min(axis=0).tolist() == [100 - 3, 100 - 10 - 3]
    assert not (crops.labels[0] == IGNORE).any()


def test_a_slice_smaller_than_a_crop_is_padded_with_air():
    hu = np.full((2, 100, 90), -800, np.int16)
    nodules = np.zeros(hu.shape, np.int16)
    hu[1, 50:60, 40:50], nodules[1, 50:60, 40:50] = 0, 1
    crops = pair_crops(hu, nodules, 1.0)
    assert crops.images.shape == (1, 128, 128)
    assert crops.labels.sum() == 100
    assert crops.images[0, 0, 0] == 0
    assert crops.images[0, 14, 19] > 50
    assert crops.labels[0, 14 + 50 : 14 + 60, 19 + 40 : 19 + 50].all()


def test_pairs_by_name(tmp_path):
    for name in (
        "a.nrrd", "a.seg.nrrd", "b.nii.gz", "b_label.nii.gz", "c.nrrd", "d_mask.nrrd", "e/ct.nrrd", "e/seg.nrrd",
        "f/ct.nrrd", "f/other.nrrd", "f/mask.nrrd", "g/a.nrrd", "g/a-label.nrrd", "notes.txt",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    found = {p.case: (p.ct.name, p.segmentation.name) for p in find_pairs(files)}
    assert found == {
        f"{tmp_path.name}-a": ("a.nrrd", "a.seg.nrrd"),
        "b": ("b.nii.gz", "b_label.nii.gz"),
        "e": ("ct.nrrd", "seg.nrrd"),
        "g-a": ("a.nrrd", "a-label.nrrd"),
    }


def test_a_table_of_pairs(tmp_path):
    for name in ("x.nrrd", "y.nrrd"):
        (tmp_path / name).touch()
    table = tmp_path / "cases.csv"
    table.write_text("case,ct,segmentation\none,x.nrrd,y.nrrd\n")
    (pair,) = read_pairs(table)
    assert (pair.case, pair.ct, pair.segmentation) == ("one", tmp_path / "x.nrrd", tmp_path / "y.nrrd")


def test_cases_of_one_patient_are_on_one_side(tmp_path):
    (tmp_path / "x.nrrd").touch()
    (tmp_path / "cases.csv").write_text(
        "case,patient,ct,segmentation\none,p,x.nrrd,x.nrrd\ntwo,p,x.nrrd,x.nrrd\nthree,,x.nrrd,x.nrrd\n"
    )
    pairs = read_pairs(tmp_path / "cases.csv")
    assert [p.patient for p in pairs] == ["p", "p", "three"]
    tasks = make_plan(Found(), [], [], pairs, lambda patient: True).tasks
    assert [t.patient for t in tasks] == ["p", "p", "three"]
    assert len({t.key for t in tasks}) == 3


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("case,ct\none,x.nrrd\n", "no column segmentation"),
        ("case,ct,segmentation\n", "lists no case"),
        ("case,ct,segmentation\none,x.nrrd,x.nrrd\none,x.nrrd,x.nrrd\n", r"'one' is named twice \(line 3\)"),
        ("case,ct,segmentation\n,x.nrrd,x.nrrd\n", r"no name of a case \(line 2\)"),
        ("case,ct,segmentation\none,z.nrrd,x.nrrd\n", r"no such file: .*z.nrrd \(line 2\)"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, finding):
    (tmp_path / "x.nrrd").touch()
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(InputError, match=finding):
        read_pairs(tmp_path / "cases.csv")
    with pytest.raises(InputError, match="no such table"):
        read_pairs(tmp_path / "nothing.csv")


@pytest.mark.usefixtures("lungs")
def test_own_cases_into_a_cache(tmp_path, case, monkeypatch):
    """No database of annotations is asked for."""
    from training.prepare import run

    ct, write = case
    write("a.seg.nrrd", image_of(truth(), ct))
    write_series(tmp_path / "b", ct, seed=8)
    seg = write("of_b.nrrd", image_of(truth(), ct))
    monkeypatch.setattr(run, "read_scans", lambda: (_ for _ in ()).throw(InputError("no database")))
    table = tmp_path / "cases.csv"
    table.write_text(f"case,ct,segmentation\nfirst,a.nrrd,a.seg.nrrd\nsecond,b,{seg.name}\nthird,a.nrrd,cases.csv\n")
    done = prepare(tmp_path, tmp_path / "cache", pairs=table, progress=False)
    assert [s["what"] for s in done.plan.skipped] == ["case third"]
    crops = done.store.crops()
    assert crops.patients.tolist() == ["first"] * 4 + ["second"] * 4
    assert crops.consensus_px.tolist() == [64, 64, 64, 36] * 2
    assert set(crops.sides()) == {side("first"), side("second")}
    scans = done.store.scans()
    assert [s.patient for s in scans] == ["first", "second"]
    assert all(np.array_equal(s.labels, truth()) and np.array_equal(s.hu, ct.hu) for s in scans)
    assert done.store.description()["sources"]["cases of the user (CT and segmentation)"]["patients"] == 2
    by_name = prepare(tmp_path, tmp_path / "second", progress=False)
    assert [i["patient"] for i in by_name.items] == ["a"]
