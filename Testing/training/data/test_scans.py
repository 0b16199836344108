"""Complete scans for training: tiles, what is left out of the loss, and the real boxes against the public crops."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from Testing.training.synthetic import TRAIN, annotated_scan, annotation, box_outline, contour
from training.data import scans as scans_module
from training.data.crops import IGNORE, read_nodule
from training.data.other_nodules import find_place
from training.data.scans import AIR_HU, TrainingScan, load_scans, read_lung_box, small_nodule_zone
from training.lidc.clusters import cluster
from training.lidc.database import read_scans


def numbered(shape: tuple[int, int, int]) -> TrainingScan:
    """Every voxel's HU is its own number; labels repeat the last digit's parity."""
    hu = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    return TrainingScan(
        TRAIN, "1.2.3", hu, (hu % 2).astype(np.uint8), np.zeros(shape, np.int16), np.ones(shape, bool), (2.5, 0.7, 0.7)
    )


def test_a_tile_in_the_middle():
    scan = numbered((5, 20, 30))
    hu, labels = scan.tile((2, 10, 15), 8, 3)
    assert hu.shape == (3, 8, 8)
    assert hu.dtype == np.int16
    assert np.array_equal(hu, scan.hu[1:4, 6:14, 11:19])
    assert np.array_equal(labels, scan.labels[2, 6:14, 11:19])


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((2, 0, 0), (0, 8), (0, 8)), ((2, 19, 29), (12, 20), (22, 30)), ((2, -50, 90), (0, 8), (22, 30))],
)
def test_a_tile_at_the_border_is_moved_inside(centre, rows, columns):
    scan = numbered((5, 20, 30))
    hu, labels = scan.tile(centre, 8, 1)
    assert np.array_equal(hu[0], scan.hu[2, slice(*rows), slice(*columns)])
    assert np.array_equal(labels, scan.labels[2, slice(*rows), slice(*columns)])


def test_a_scan_smaller_than_the_tile_is_padded_with_air():
    scan = numbered((3, 5, 6))
    hu, labels = scan.tile((1, 2, 3), 8, 1)
    assert AIR_HU == -1024
    # One row and two columns are missing in all: the odd one goes to the end.
    assert np.array_equal(hu[0, 2:7, 1:7], scan.hu[1])
    assert np.array_equal(labels[2:7, 1:7], scan.labels[1])
    outside = np.ones((8, 8), bool)
    outside[2:7, 1:7] = False
    assert (hu[0][outside] == AIR_HU).all()
    assert (labels[outside] == 0).all()


def test_slices_beyond_the_ends_repeat_the_last_one():
    scan = numbered((3, 8, 8))
    for k, expected in ((0, [0, 0, 0, 1, 2]), (1, [0, 0, 1, 2, 2]), (2, [0, 1, 2, 2, 2])):
        hu, labels = scan.tile((k, 4, 4), 8, 5)
        assert np.array_equal(hu, scan.hu[expected])
        assert np.array_equal(labels, scan.labels[k])


def marks_table(path, *rows: tuple):
    with open(path, "w", newline="") as stream:
        header = ("patient", "series_instance_uid", "reader", "kind", "z_mm", "column", "row")
        csv.writer(stream).writerows([header, *rows])
    return path


def test_slices_averaged_together():
    hu = np.arange(8, dtype=np.int16)[:, None, None] * 10 * np.ones((1, 4, 4), np.int16)
    labels = np.zeros((8, 4, 4), np.uint8)
    labels[3, 0], labels[4, 0] = 1, 1  # in both slices of the middle: nodule
    labels[4, 1] = 1  # in half of them: nodule
    labels[3, 2] = IGNORE
    scan = TrainingScan("LIDC-IDRI-0001", "1.2.3", hu, labels, labels.astype(np.int16), labels > 0, (2.5, 1.0, 1.0))
    tile, shown = scan.tile((3, 2, 2), 4, 3, 2)
    assert tile[:, 0, 0].tolist() == [15, 35, 55]
    assert shown[:, 0].tolist() == [1, 1, IGNORE, 0]
    tile, shown = scan.tile((4, 2, 2), 4, 3, 4)  # slices 3 to 6 in the middle, 7 and beyond above
    assert tile[:, 0, 0].tolist() == [8, 45, 70]
    assert shown[:, 0].tolist() == [1, 0, IGNORE, 0]
    tile, _ = scan.tile((3, 2, 2), 4, 3)
    assert tile[:, 0, 0].tolist() == [20, 30, 40]


def test_zone_around_marks_of_small_nodules(tmp_path):
    marks = marks_table(
        tmp_path / "marks.csv",
        (TRAIN, "1.2.3", 0, "nodule_lt3", 105.0, 30, 20),
        (TRAIN, "1.2.3", 0, "non_nodule", 110.0, 5, 5),
        ("LIDC-IDRI-0006", "9.9", 0, "nodule_lt3", 105.0, 60, 60),
    )
    spacing = (2.5, 0.5, 1.0)
    ct = CT.from_array(np.zeros((5, 64, 64), np.int16), spacing_mm=spacing)
    zone = small_nodule_zone(ct, annotated_scan(), marks, 100 + 2.5 * np.arange(5), (4, 10))
    places = np.indices(zone.shape).reshape(3, -1).T
    distance = np.linalg.norm((places - (2, 20 - 4, 30 - 10)) * spacing, axis=1)
    assert np.array_equal(zone, (distance <= 5).reshape(zone.shape))
    # 5 mm are two slices, ten rows or five columns.
    assert zone[0].sum() == zone[4].sum() == 1
    assert zone[2, :, 20].sum() == 21
    assert zone[2, 16].sum() == 11


def test_marks_at_the_border_and_outside(tmp_path):
    marks = marks_table(
        tmp_path / "marks.csv",
        (TRAIN, "1.2.3", 0, "nodule_lt3", 0.0, 0, 0),
        (TRAIN, "1.2.3", 0, "nodule_lt3", 0.0, 300, 20),
        (TRAIN, "1.2.3", 0, "nodule_lt3", 80.0, 20, 20),
        (TRAIN, "1.2.3", 0, "nodule_lt3", -80.0, 20, 20),
    )
    ct = CT.from_array(np.zeros((5, 32, 32), np.int16), spacing_mm=(1.0, 1.0, 1.0))
    zone = small_nodule_zone(ct, annotated_scan(), marks, np.arange(5.0), (0, 0))
    assert zone[0, 0].tolist() == [True] * 6 + [False] * 26
    # Marks far above, below or beside the part of the scan that is here mean nothing in it.
    assert not zone[:, 10:, :].any()
    assert not zone[:, :, 10:].any()


@pytest.fixture
def box_folder(tmp_path, monkeypatch):
    """A scan cropped to the lungs: its first pixel is (40, 50) of the slice, its slices are 4 to 9 of ten."""
    hu = np.full((6, 48, 56), -850, np.int16)
    hu[2:4, 10:20, 20:30] = 30
    hu[0, 0, 0], hu[0, 0, 1] = -2000, 3500  # padding, and metal beyond 12 bits
    boxes = tmp_path / "lung_boxes"
    boxes.mkdir()
    np.savez(
        boxes / f"{TRAIN}.npz", hu=hu, spacing_mm=np.array([1.0, 0.7, 0.7]), series="1.2.3",
        z_mm=np.arange(4.0, 10.0), origin_rc=np.array([40, 50]),
    )  # fmt: skip
    outline = box_outline(49, 69, 12, 12)
    first = annotation(1, contour(6, outline), contour(7, outline))
    second = annotation(2, contour(6, outline))
    third = annotation(3, contour(6, outline))
    scan = annotated_scan(first, second, third)
    monkeypatch.setattr(scans_module, "read_scans", lambda series_uids: [scan])
    monkeypatch.setattr(scans_module, "lung_mask", lambda ct: ct.hu < -500)
    marks = marks_table(tmp_path / "marks.csv", (TRAIN, "1.2.3", 0, "nodule_lt3", 6.0, 80, 55))
    return tmp_path / "dicom", boxes, marks, tmp_path / "cache"


def test_a_scan_cropped_to_the_lungs(box_folder):
    ct, z_mm, origin = read_lung_box(box_folder[1] / f"{TRAIN}.npz")
    assert ct.spacing_mm == pytest.approx((1.0, 0.7, 0.7))
    assert ct.series_uid == "1.2.3"
    assert z_mm.tolist() == [4, 5, 6, 7, 8, 9]
    assert origin == (40, 50)
    (scan,) = load_scans(*box_folder, patients=frozenset({TRAIN}))
    assert (scan.hu.min(), scan.hu.max()) == (-1024, 3071)
    assert scan.hu.dtype == np.int16
    inside = (slice(10, 20), slice(20, 30))
    assert (scan.labels[2][inside] == 1).all()
    assert (scan.labels == 1).sum() == 100
    # One of three readers is no consensus, but neither is it free of nodule.
    assert (scan.nodules[3][inside] == 1).all()
    assert (scan.nodules > 0).sum() == 200
    # The small nodule at column 80, row 55 is (15, 30) here. It leaves out what surrounds it, not the nodule beside it.
    assert scan.labels[2, 15, 30] == IGNORE
    assert scan.labels[2, 15, 29] == 1
    assert scan.labels[3, 15, 29] == IGNORE
    assert (scan.hu[scan.lung] < -500).all()


def test_scans_are_read_once(box_folder, monkeypatch):
    (first,) = load_scans(*box_folder, patients=frozenset({TRAIN}))
    monkeypatch.setattr(scans_module, "_read", lambda *_: pytest.fail("read again in spite of the cache"))
    (second,) = load_scans(*box_folder, patients=frozenset({TRAIN}))
    for name in ("hu", "labels", "nodules", "lung"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype
    assert (first.patient, first.series, first.spacing_mm) == (second.patient, second.series, second.spacing_mm)
    assert [p.name for p in box_folder[3].iterdir()] == [f"{TRAIN}.npz"]


def test_a_missing_scan_is_named(tmp_path):
    places = [tmp_path / name for name in ("dicom", "boxes", "marks.csv", "cache")]
    with pytest.raises(InputError, match="no scan of LIDC-IDRI-0001 found") as caught:
        load_scans(*places, patients=frozenset({TRAIN}))
    assert str(tmp_path / "dicom") in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_series_without_annotations_is_named(box_folder, monkeypatch):
    monkeypatch.setattr(scans_module, "read_scans", lambda series_uids: [])
    with pytest.raises(InputError, match="annotat") as caught:
        load_scans(*box_folder, patients=frozenset({TRAIN}))
    assert "1.2.3" in str(caught.value)


@pytest.mark.parametrize("patient", ["LIDC-IDRI-0006", "LIDC-IDRI-0009"])
def test_real_boxes_agree_with_the_public_crops_voxel_for_voxel(lidc_data, lidc_scans, patient, monkeypatch):
    """HU of the box, scaled by each crop's minimum and maximum, are the crop; so is the consensus."""
    monkeypatch.setattr(scans_module, "lung_mask", lambda ct: np.ones(ct.shape, bool))
    scan = scans_module._read(patient, lidc_data / "LIDC-IDRI", lidc_data / "lung_boxes", lidc_data / "lidc_marks.csv")
    _, z_mm, origin = read_lung_box(lidc_data / "lung_boxes" / f"{patient}.npz")
    (annotated,) = read_scans(series_uids={scan.series})
    groups = cluster(annotated)
    with open(lidc_data / "lidc_crops.csv", newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if r["patient"] == patient]
    compared = 0
    for row in rows:
        images, masks = read_nodule(lidc_data / "LIDC-IDRI-slices" / patient / row["nodule_dir"])
        own = next(g for g in groups if any(a.id == int(row["annotation_id"]) for a in g))
        k, first_row, first_column = find_place(annotated, own, masks)
        votes = masks.sum(axis=1)
        consensus = votes >= 0.5 * masks.any(axis=(0, 2, 3)).sum()
        for number in range(len(images)):
            level = int(np.abs(z_mm - annotated.z_mm[k + number]).argmin())
            j, i = first_row - origin[0], first_column - origin[1]
            # Only the part of the crop that lies in the box.
            inside = (slice(max(-j, 0), scan.hu.shape[1] - j), slice(max(-i, 0), scan.hu.shape[2] - i))
            place = (level, slice(max(j, 0), max(j, 0) + 128), slice(max(i, 0), max(i, 0) + 128))
            crop, drawn = images[number][inside], consensus[number][inside]
            hu, labels = (a[place][: crop.shape[0], : crop.shape[1]] for a in (scan.hu, scan.labels))
            assert ((labels == 1) >= drawn).all()
            assert (labels[votes[number][inside] > 0] == 1).sum() == drawn.sum()
            slope = np.polyfit(hu.ravel(), crop.ravel().astype(float), 1)
            assert np.abs(np.polyval(slope, hu) - crop).max() < 1.6, "8 bits of the same voxels"
            compared += 1
    assert compared >= len(rows)
