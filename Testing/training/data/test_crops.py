"""The public layout of crops: a small one written by hand, and the real one."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from LungNoduleSegLib.errors import InputError
from Testing.training.synthetic import (
    TRAIN,
    VALIDATION,
    annotated_scan,
    annotation,
    box_outline,
    contour,
    crops_of,
    disc,
)
from training.data import crops as crops_module
from training.data.crops import IGNORE, load_crops
from training.data.split import image_side

SERIES = "1.2.3"
FIELDS = ("patient", "nodule_dir", "series_instance_uid", "annotation_id", "pixel_spacing")


def write_nodule(folder, images: list[np.ndarray], masks: list[list[np.ndarray]], first: int = 0) -> None:
    """slice-K.png for K from ``first``, and masks[reader][slice]."""
    for name, planes in [("images", images), *((f"mask-{r}", m) for r, m in enumerate(masks))]:
        (folder / name).mkdir(parents=True)
        for k, plane in enumerate(planes, start=first):
            Image.fromarray(np.asarray(plane, np.uint8)).save(folder / name / f"slice-{k}.png")


def write_table(path, *rows: tuple) -> None:
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([FIELDS, *rows])


def square(row: int, column: int, size: int) -> np.ndarray:
    mask = np.zeros((128, 128), np.uint8)
    mask[row : row + size, column : column + size] = 255
    return mask


EMPTY = np.zeros((128, 128), np.uint8)


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Two nodules: one of three slices and two readers (two of the four mask folders are empty), one of twelve."""
    data = tmp_path / "LIDC-IDRI-slices"
    images = [np.full((128, 128), 10 + k) for k in range(3)]
    reader_0 = [square(60, 60, 5), square(60, 60, 5), EMPTY]
    reader_1 = [square(60, 62, 5), EMPTY, EMPTY]
    write_nodule(data / TRAIN / "nodule-0", images, [reader_0, reader_1, [EMPTY] * 3, [EMPTY] * 3])
    images = [np.full((128, 128), 100 + k) for k in range(12)]
    write_nodule(data / VALIDATION / "nodule-3", images, [[square(50, 50, 2)] * 12])
    table = tmp_path / "lidc_crops.csv"
    write_table(table, (TRAIN, "nodule-0", SERIES, 1, 0.625), (VALIDATION, "nodule-3", "4.5.6", 9, 0.8))
    scans = [annotated_scan(series=SERIES), annotated_scan(series="4.5.6", patient=VALIDATION)]
    monkeypatch.setattr(crops_module, "read_scans", lambda series_uids: scans)
    return data, table, tmp_path / "cache" / "crops.npz"


def test_everything_is_read(layout):
    crops = load_crops(*layout)
    assert crops.images.shape == crops.votes.shape == crops.labels.shape == (15, 128, 128)
    assert crops.images.dtype == crops.votes.dtype == crops.labels.dtype == np.uint8
    # Slices in the order of their numbers: slice-2 before slice-10.
    assert crops.images[:, 0, 0].tolist() == [10, 11, 12, *range(100, 112)]
    assert crops.patients.tolist() == [TRAIN] * 3 + [VALIDATION] * 12
    assert crops.series.tolist() == [SERIES] * 3 + ["4.5.6"] * 12
    assert crops.nodules.tolist() == [0] * 3 + [1] * 12
    assert crops.spacing_mm.tolist() == pytest.approx([0.625] * 3 + [0.8] * 12)
    assert crops.below.tolist() == [0, 0, 1, 3, *range(3, 14)]
    assert crops.above.tolist() == [1, 2, 2, *range(4, 15), 14]


def test_readers_without_any_mask_do_not_count(layout):
    crops = load_crops(*layout)
    assert crops.readers.tolist() == [2] * 3 + [1] * 12
    assert crops.votes[0, 60, 59:68].tolist() == [0, 1, 1, 2, 2, 2, 1, 1, 0]
    # One of two readers is half of them. On the second slice too, where the other reader of the nodule marked nothing.
    assert crops.labels[0].sum() == 35
    assert crops.labels[1].sum() == 25
    assert crops.consensus_px.tolist() == [35, 25, 0] + [4] * 12


def test_positive_means_more_than_eight_pixels(layout):
    crops = load_crops(*layout)
    assert crops.positive.tolist() == [True, True] + [False] * 13


def test_sides(layout):
    crops = load_crops(*layout)
    assert crops.on_side("train").tolist() == [0, 1, 2]
    assert crops.on_side("validation").tolist() == list(range(3, 15))
    assert len(crops.on_side("test")) == 0


def test_images_of_a_nodule_on_two_sides(layout):
    crops = load_crops(*layout)
    nodule, number = crops.numbers
    assert nodule.tolist() == [0] * 15, "the first of its series, both"
    assert number.tolist() == [0, 1, 2, *range(12)]
    expected = [image_side(p, s, 0, k) for p, s, k in zip(crops.patients, crops.series, number)]
    assert crops.sides("slice").tolist() == expected
    assert len(set(expected[3:])) > 1, "the slices of one nodule are parted"
    for name in ("train", "validation", "test"):
        assert crops.on_side(name, "slice").tolist() == [i for i, s in enumerate(expected) if s == name]
    with pytest.raises(InputError, match="no split is called"):
        crops.on_side("train", protocol="nodule")


def test_nodules_are_counted_in_their_series():
    images = np.zeros((6, 128, 128))
    crops = crops_of(images, images, [TRAIN] * 6, [4, 4, 7, 9, 9, 9])
    crops.series[:] = ["a", "a", "a", "b", "b", "b"]
    nodule, number = crops.numbers
    assert nodule.tolist() == [0, 0, 1, 0, 0, 0]
    assert number.tolist() == [0, 1, 0, 0, 1, 2]


def test_read_once(layout, monkeypatch):
    first = load_crops(*layout)
    monkeypatch.setattr(crops_module, "_read", lambda *_: pytest.fail("read again in spite of the cache"))
    second = load_crops(*layout)
    for name in crops_module.Crops.__dataclass_fields__:
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
        assert getattr(first, name).dtype == getattr(second, name).dtype, name
    assert [p.name for p in layout[2].parent.iterdir()] == ["crops.npz"]


def test_a_cache_of_another_format_is_made_anew(layout, monkeypatch):
    load_crops(*layout)
    monkeypatch.setattr(crops_module, "_FORMAT", crops_module._FORMAT + 1)
    (layout[0] / TRAIN / "nodule-0" / "mask-0" / "slice-0.png").unlink()
    assert load_crops(*layout).consensus_px[0] == 25


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no crop found") as caught:
        load_crops(tmp_path / "nowhere", tmp_path / "table.csv", tmp_path / "crops.npz")
    assert str(tmp_path / "nowhere") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_of_a_nodule_is_named(layout):
    data, table, cache = layout
    for path in (data / TRAIN / "nodule-0" / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no slice found") as caught:
        load_crops(data, table, cache)
    assert str(data / TRAIN / "nodule-0") in str(caught.value)
    assert not cache.exists()


def test_another_nodule_in_the_crop_is_left_out(tmp_path, monkeypatch):
    """The crop shows rows 100..227 and columns 200..327 of slices 4 and 5; its own masks lack the neighbour's box."""
    own = annotation(1, *(contour(z, box_outline(160, 260, 8, 9)) for z in (4, 5)))
    neighbour = annotation(2, contour(5, box_outline(120, 310, 12, 12)))
    outside = annotation(3, contour(5, box_outline(300, 310, 12, 12)), contour(8, box_outline(160, 215, 9, 9)))
    scan = annotated_scan(own, neighbour, outside, series=SERIES)
    monkeypatch.setattr(crops_module, "read_scans", lambda series_uids: [scan])
    inside = np.zeros((128, 128), np.uint8)
    inside[61:67, 61:68] = 255
    write_nodule(tmp_path / "data" / TRAIN / "nodule-0", [np.zeros((128, 128))] * 2, [[inside, inside]])
    write_table(tmp_path / "table.csv", (TRAIN, "nodule-0", SERIES, 1, 0.7))
    crops = load_crops(tmp_path / "data", tmp_path / "table.csv", tmp_path / "crops.npz")
    assert (crops.labels == 1).sum(axis=(1, 2)).tolist() == [42, 42]
    left_out = np.argwhere(crops.labels == IGNORE)
    assert set(left_out[:, 0]) == {1}
    # Inside of the box: rows 121..130, columns 311..320 of the scan; three pixels around it.
    assert left_out[:, 1:].min(axis=0).tolist() == [121 - 100 - 3, 311 - 200 - 3]
    assert left_out[:, 1:].max(axis=0).tolist() == [130 - 100 + 3, 320 - 200 + 3]
    assert len(left_out) == 16 * 16


@pytest.mark.slow
def test_the_real_crops(lidc_data, lidc_scans, tmp_path):
    crops = load_crops(lidc_data / "LIDC-IDRI-slices", lidc_data / "lidc_crops.csv", tmp_path / "crops.npz")
    assert len(crops.images) == 13_539
    assert len(set(crops.patients)) == 765
    assert crops.nodules[-1] + 1 == len(set(crops.nodules)) == 2_276
    assert int((crops.consensus_px == 0).sum()) == 809
    assert int((crops.votes.max(axis=(1, 2)) == 0).sum()) == 55
    # Per-crop min-max in 8 bits.
    assert crops.images.max(axis=(1, 2)).min() == 255
    assert crops.images.min(axis=(1, 2)).max() == 0
    # Pixel (64, 64) lies within 3 px of the nodule's centroid.
    centre = disc(128, 64, 64, 3)
    near = [centre[(crops.votes[crops.nodules == n] > 0).any(axis=0)].any() for n in range(200)]
    assert np.mean(near) > 0.9
    # Some 600 crops show another annotated nodule; what is left out is never consensus.
    assert 600 < (crops.labels == IGNORE).any(axis=(1, 2)).sum() < 750
    assert not ((crops.labels == 1) & (crops.votes == 0)).any()
