"""Which images, how large, which negatives, whose folds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from Testing.training.synthetic import TRAIN, crops_of, disc, made_scan
from training.data.convention import to_eight_bits
from training.data.crops import IGNORE
from training.data.luna16 import read_luna16
from training.data.negatives import clean_tiles, is_free, lung_places, thesis_negatives
from training.data.protocols import (
    centred,
    from_scan,
    lung_negatives,
    nodule_centres,
    positives,
    shifts,
)
from training.data.scans import TrainingScan


@pytest.fixture
def crops():
    """Four crops of 30, 8, 50 and 20 pixels; the first and the third on one slice of one scan."""
    labels = np.zeros((4, 128, 128))
    for n, area in enumerate((30, 8, 50, 20)):
        labels[n, 60].ravel()[:area] = 1
    made = crops_of(np.arange(4)[:, None, None] * np.ones((4, 128, 128)), labels, [TRAIN] * 4, [0, 0, 1, 1])
    made.series[:] = "1.2.3"
    made.readers[:] = [4, 4, 1, 1]
    return made


def with_places(crops, k: list[int]):
    names = ("consensus_px", "readers", "series", "images", "labels")
    return SimpleNamespace(**{n: getattr(crops, n) for n in names}, rows={"k": np.array(k)})


def test_one_image_per_nodule_and_slice(crops):
    assert positives(crops).tolist() == [0, 2, 3], "eight pixels are not more than eight"
    assert positives(crops, more_than_px=0).tolist() == [0, 1, 2, 3]
    assert positives(crops, min_readers=3).tolist() == [0]


def test_one_image_per_slice_is_that_of_the_largest_nodule(crops):
    assert positives(with_places(crops, [7, 8, 7, 9]), "slice").tolist() == [2, 3]
    assert positives(with_places(crops, [-1, -1, -1, -1]), "slice").tolist() == [0, 2, 3], "places not known"
    with pytest.raises(InputError, match="do not know which slice"):
        positives(crops, "slice")
    with pytest.raises(InputError, match="one a 'patient'"):
        positives(crops, "patient")


def test_sizes(crops):
    images, labels = centred(crops, [2], 64)
    assert np.array_equal(images[0], crops.images[2, 32:96, 32:96])
    assert np.array_equal(labels[0], crops.labels[2, 32:96, 32:96])
    assert centred(crops, [0, 1])[0].shape == (2, 128, 128)
    for size in (256, 512):
        with pytest.raises(InputError, match="needs complete scans"):
            centred(crops, [0], size)
    with pytest.raises(InputError, match="no crop has 100 px"):
        centred(crops, [0], 100)


@pytest.mark.parametrize("size", [512, 256, 128, 64])
def test_every_size_from_a_complete_scan(size):
    scan = made_scan((4, 512, 512))
    hu, labels = from_scan(scan, (2, 40, 44), size)
    assert hu.shape == (1, size, size)
    first = (max(40 - size // 2, 0), max(44 - size // 2, 0))
    assert np.array_equal(hu[0], scan.hu[2, first[0] : first[0] + size, first[1] : first[1] + size])
    assert labels.sum() == scan.labels[2].sum()


def cropped(shape: tuple[int, int]) -> TrainingScan:
    whole = made_scan((4, 512, 512))
    parts = [getattr(whole, n)[:, : shape[0], : shape[1]] for n in ("hu", "labels", "nodules", "lung")]
    return TrainingScan(TRAIN, "1.2.3", *parts, whole.spacing_mm)


def test_a_scan_cropped_to_the_lungs_has_no_large_images():
    scan = cropped((200, 300))
    with pytest.raises(InputError, match=r"256 px needs complete scans.*200 x 300 px"):
        from_scan(scan, (1, 100, 100), 256)
    assert from_scan(cropped((100, 300)), (1, 50, 50), 128)[0].shape == (1, 128, 128), "padded, as at run time"


def test_shifted_images_of_the_same_voxels():
    scan = made_scan((4, 512, 512))
    hu, _ = from_scan(scan, (2, 200, 200), 64, shift=(5, -9))
    assert np.array_equal(hu[0], scan.hu[2, 173:237, 159:223])
    moves = shifts(4000, 3, seed=1)
    assert set(moves.ravel().tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    assert np.array_equal(moves, shifts(4000, 3, seed=1))
    assert np.abs(moves.mean(axis=0)).max() < 0.15


def test_centres_of_the_images_of_a_scan():
    scan = made_scan()
    assert nodule_centres(scan).tolist() == [[2, 40, 44], [3, 40, 44]]
    other = disc(144, 60, 100, 4)
    scan.labels[2][other], scan.nodules[2][other] = 1, 2
    scan.labels[5, 10, 10:18], scan.nodules[5, 10, 10:18] = 1, 3  # eight pixels: neither
    assert nodule_centres(scan).tolist() == [[2, 40, 44], [2, 60, 100], [3, 40, 44]]
    assert len(nodule_centres(scan, "slice")) == 2
    assert len(nodule_centres(scan, more_than_px=0)) == 4


def test_lung_negatives_are_spread_and_free():
    scan = made_scan((60, 200, 200), spacing_mm=(2.5, 0.7, 0.7))
    scan.lung[:6] = scan.lung[55:] = False
    scan.lung[:, :100] = False
    scan.labels[30, 150:160, 150:160] = IGNORE
    places = lung_places(scan, 10, 64, seed=3)
    assert len(places) == 10
    assert scan.lung[tuple(places.T)].all()
    stretch = (places[:, 0] - 6) // 4.9
    assert len(set(stretch)) >= 9, "one in each tenth of the slices"
    for place in places:
        assert is_free(scan, tuple(place), 64)
    assert np.array_equal(places, lung_places(scan, 10, 64, seed=3))
    assert not np.array_equal(places, lung_places(scan, 10, 64, seed=4))
    tiles = lung_negatives(scan, 10, 64, seed=3)
    assert len(tiles) == 10
    assert all(hu.shape == (1, 64, 64) and not labels.any() for hu, labels in tiles)


def test_what_is_not_free():
    scan = made_scan((12, 200, 200), spacing_mm=(2.5, 1.0, 1.0))
    scan.labels[:], scan.nodules[:] = 0, 0
    scan.nodules[6, 100, 100] = 1  # one reader's voxel, no consensus
    assert not is_free(scan, (6, 100, 100), 64)
    # The tile's last row is 5 mm above the voxel, then 6.
    assert not is_free(scan, (6, 95 - 31, 100), 64)
    assert is_free(scan, (6, 94 - 31, 100), 64)
    # Two slices are 5 mm, three are 7.5.
    assert not is_free(scan, (8, 100, 100), 64)
    assert is_free(scan, (9, 100, 100), 64)
    scan.labels[2, 20, 20] = IGNORE
    assert not is_free(scan, (2, 40, 40), 64)
    assert is_free(scan, (2, 60, 60), 64)


def test_a_scan_without_lung_or_without_room_gives_no_negatives():
    scan = made_scan((4, 144, 144))
    scan.lung[:] = False
    assert len(lung_places(scan, 5, 64)) == 0
    full = made_scan((4, 144, 144))
    full.nodules[:] = 1
    assert len(lung_places(full, 5, 64)) == 0


def test_negatives_of_the_thesis():
    hu = np.full((60, 32, 32), -2000, np.int16)
    hu[:, 0, 0], hu[:, 0, 1], hu[:, 0, 2] = 150, 3000, -600
    hu[51:] = 0
    out = thesis_negatives(hu)
    assert out.shape == (51, 32, 32), "the caudal slices only"
    assert out[0, 0, :4].tolist() == [255, 255, 128, 0]
    tiles = clean_tiles(np.arange(2 * 80 * 90).reshape(2, 80, 90) % 251, 64)
    assert np.array_equal(tiles, to_eight_bits(np.arange(2 * 80 * 90).reshape(2, 80, 90)[:, 8:72, 13:77] % 251))
    with pytest.raises(InputError, match="needs complete slices"):
        clean_tiles(np.zeros((1, 80, 80), np.uint8), 128)


def test_the_clean_slices_that_are_here(lidc_data):
    from PIL import Image

    slices = np.stack([np.asarray(Image.open(p)) for p in sorted((lidc_data / "clean").glob("*/slice-*.png"))])
    assert slices.shape == (51, 512, 512)
    assert clean_tiles(slices, 256).shape == (51, 256, 256)


def luna(tmp_path, count=888, folds=10):
    table = tmp_path / "folds.csv"
    lines = [f"1.3.6.1.4.1.14519.5.2.1.{n},{n % folds}" for n in range(count)]
    table.write_text("\n".join(["seriesuid,fold", *lines]))
    return table


def test_luna16_from_a_table(tmp_path):
    folds = read_luna16(luna(tmp_path))
    assert len(folds) == 888
    assert folds["1.3.6.1.4.1.14519.5.2.1.13"] == 3
    with pytest.raises(InputError, match="888 series are not annotated"):
        read_luna16(luna(tmp_path), known={"1.2"})


def test_luna16_from_its_own_folders(tmp_path):
    for n in range(888):
        folder = tmp_path / "luna" / f"subset{n % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"1.3.6.1.4.1.14519.5.2.1.{n}.mhd").touch()
    assert read_luna16(tmp_path / "luna") == read_luna16(luna(tmp_path))


@pytest.mark.parametrize(("count", "folds"), [(887, 10), (888, 9)])
def test_luna16_incomplete(tmp_path, count, folds):
    with pytest.raises(InputError, match=f"{count} scans in {folds} folds, not 888 in 10"):
        read_luna16(luna(tmp_path, count, folds))


def test_luna16_twice(tmp_path):
    table = luna(tmp_path)
    table.write_text(table.read_text() + "\n1.3.6.1.4.1.14519.5.2.1.13,4")
    with pytest.raises(InputError, match="in the folds 3 and 4"):
        read_luna16(table)
    with pytest.raises(InputError, match="no such file"):
        read_luna16(tmp_path / "nothing")
    table.write_text("a,b\n1,2")
    with pytest.raises(InputError, match="seriesuid and fold"):
        read_luna16(table)
