"""The public crops, rebuilt: by hand-made cases, from the real scans, and from the real contours."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from Testing.training.synthetic import annotated_scan, annotation, box_outline, contour
from training.data.convention import (
    crop_origin,
    cut,
    leading,
    nodule_origin,
    nodule_slices,
    published_slices,
    reader_masks,
    to_eight_bits,
)
from training.data.crops import read_nodule
from training.data.other_nodules import find_place
from training.data.scans import read_lung_box
from training.lidc.clusters import cluster


def test_eight_bits_are_cut_after_adding_a_half():
    hu = np.array([[-1000, -999, 0, 1000], [-500, 500, -750, 250]])
    # (hu + 1000) * 0.1275 + 0.5, cut off.
    assert to_eight_bits(hu).tolist() == [[0, 0, 128, 255], [64, 191, 32, 159]]
    assert to_eight_bits(hu).dtype == np.uint8


def test_a_half_goes_where_the_product_puts_it():
    # 339 * 255 / 2034 is exactly 42.5, 1017 and 1695 give 127.5 and 212.5; but 255 / 2034 is no binary fraction, and
    # two of the products end just below. The public crop of 0006's nodule-2 shows 43, 127 and 212.
    hu = np.array([[0, 339, 1017, 1695, 2034]])
    assert to_eight_bits(hu).tolist() == [[0, 43, 127, 212, 255]]


def test_eight_bits_of_each_crop_on_its_own():
    hu = np.stack([np.arange(16).reshape(4, 4), 100 * np.arange(16).reshape(4, 4), np.full((4, 4), -1000)])
    out = to_eight_bits(hu)
    assert np.array_equal(out[0], out[1])
    assert not out[2].any()


@pytest.mark.parametrize(
    ("centre", "expected"),
    [((200.99, 300.0), (136, 236)), ((10, 300), (0, 236)), ((500, 448), (383, 383)), ((447.5, 64.2), (383, 0))],
)
def test_the_origin_stays_in_the_slice(centre, expected):
    assert crop_origin(np.array([centre]), (512, 512)) == expected


def test_a_slice_smaller_than_the_crop_lies_in_its_middle():
    assert crop_origin(np.array([(50, 50)]), (100, 512)) == (-14, 0)


def test_the_most_contours_lead():
    one = annotation(1, *(contour(z, box_outline(100, 100, 9, 9)) for z in (3, 4)))
    two = annotation(2, *(contour(4, box_outline(100 + 20 * n, 120, 9, 9)) for n in range(3)))
    three = annotation(3, *(contour(z, box_outline(140, 100, 9, 9)) for z in (5, 6, 7)))
    scan = annotated_scan(one, two, three)
    group = [one, two, three]
    assert leading(group) is two, "contours count, not slices, and the first of equals leads"
    # An outline repeats its first point, which draws the mean of all points to just below 124.
    assert nodule_origin(group, (512, 512)) == (123 - 64, 123 - 64)
    assert published_slices(scan, group) == range(4, 5)
    assert nodule_slices(scan, group) == range(3, 8)


def test_masks_by_reader():
    one = annotation(1, contour(4, box_outline(100, 100, 6, 8)))
    two = annotation(2, contour(5, box_outline(100, 100, 5, 5)), contour(4, box_outline(195, 100, 12, 12)))
    masks = reader_masks(annotated_scan(one, two), [one, two], range(4, 6), (80, 90))
    assert masks.shape == (2, 2, 128, 128)
    assert masks[0, 0].sum() == 4 * 6
    assert masks[0, 0, 21:25, 11:17].all()
    assert not masks[1, 0].any()
    assert masks[1, 1].sum() == 9
    assert masks[0, 1].sum() == 10 * 10, "whole"
    low = reader_masks(annotated_scan(one, two), [one, two], range(4, 6), (70, 90))
    assert low[0, 1].sum() == 2 * 10, "rows beyond the crop are cut off"


def test_what_leaves_the_slice_is_air():
    hu = np.arange(2 * 5 * 6, dtype=np.int16).reshape(2, 5, 6)
    out = cut(hu, 1, (-2, 3), 4)
    assert np.array_equal(out[2:, :3], hu[1, :2, 3:])
    assert (out[:2] == -1024).all()
    assert (out[2:, 3] == -1024).all()
    assert (cut(hu, 0, (50, 50), 4) == -1024).all()


def rows_of(lidc_data, patients: set[str] | None = None) -> list[dict]:
    with open(lidc_data / "lidc_crops.csv", newline="") as stream:
        return [r for r in csv.DictReader(stream) if patients is None or r["patient"] in patients]


def own_group(groups, annotation_id: int):
    return next(g for g in groups if any(a.id == annotation_id for a in g))


BOXES = {"LIDC-IDRI-0006": 10, "LIDC-IDRI-0007": 23, "LIDC-IDRI-0009": 0, "LIDC-IDRI-0010": 6}
"""Crops that lie whole in the scan cropped to the lungs."""
PARTIAL = {"LIDC-IDRI-0006": 0, "LIDC-IDRI-0007": 0, "LIDC-IDRI-0009": 7, "LIDC-IDRI-0010": 9}
"""Crops that leave it: their minimum or maximum may lie outside, so they cannot be rebuilt from what is here."""


@pytest.mark.parametrize("patient", sorted(BOXES))
def test_the_public_crops_are_rebuilt_from_the_scans_pixel_for_pixel(lidc_data, lidc_scans, patient):
    ct, z_mm, box_origin = read_lung_box(lidc_data / "lung_boxes" / f"{patient}.npz")
    scan = next(s for s in lidc_scans if s.series_uid == ct.series_uid)
    groups = cluster(scan)
    whole = partial = 0
    for row in rows_of(lidc_data, {patient}):
        images, masks = read_nodule(lidc_data / "LIDC-IDRI-slices" / patient / row["nodule_dir"])
        group = own_group(groups, int(row["annotation_id"]))
        k_first, *found = find_place(scan, group, masks)
        assert nodule_origin(group, (512, 512)) == tuple(found), row["nodule_dir"]
        assert published_slices(scan, group) == range(k_first, k_first + len(images)), row["nodule_dir"]
        origin = (found[0] - box_origin[0], found[1] - box_origin[1])
        if min(origin) < 0 or any(o + 128 > n for o, n in zip(origin, ct.shape[1:])):
            partial += len(images)
            continue
        for number, image in enumerate(images):
            k = int(np.abs(z_mm - scan.z_mm[k_first + number]).argmin())
            assert np.array_equal(to_eight_bits(cut(ct.hu, k, origin)), image), (row["nodule_dir"], number)
            whole += 1
    assert (whole, partial) == (BOXES[patient], PARTIAL[patient])


@pytest.mark.slow
def test_places_slices_and_masks_of_public_crops(lidc_data, lidc_scans):
    """Of all 2,276 nodules 2,274 are placed as here, 2,270 show these slices, and 2,155 have these very masks: the
    public set lacks the masks of some readers and fills some holes. Here every eighth of them is looked at.
    """
    by_series = {s.series_uid: s for s in lidc_scans}
    rows = rows_of(lidc_data)[::8]
    placed = slices = same_masks = 0
    for row in rows:
        scan = by_series[row["series_instance_uid"]]
        group = own_group(cluster(scan), int(row["annotation_id"]))
        images, masks = read_nodule(lidc_data / "LIDC-IDRI-slices" / row["patient"] / row["nodule_dir"])
        place = find_place(scan, group, masks)
        origin, span = nodule_origin(group, (512, 512)), published_slices(scan, group)
        placed += place is not None and place[1:] == origin
        slices += place is not None and span == range(place[0], place[0] + len(images))
        if len(span) == len(images):
            ours = reader_masks(scan, group, span, origin)[:, :4]
            same_masks += np.array_equal(ours, masks[:, : ours.shape[1]]) and not masks[:, ours.shape[1] :].any()
    assert len(rows) == 285
    assert placed >= 284
    assert slices >= 283
    assert same_masks >= 0.93 * 285
