"""Contours to pixels by pylidc's rule: what a contour encloses, without the contour's own pixels."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from Testing.training.synthetic import annotation, box_outline, contour
from training.lidc.rasterise import rasterise


def pixels(*contours) -> np.ndarray:
    """Mask of contours of one slice, on a 20 x 20 grid."""
    ((first, mask),) = rasterise(annotation(1, *contours)).values()
    grid = np.zeros((20, 20), bool)
    grid[first[0] : first[0] + mask.shape[0], first[1] : first[1] + mask.shape[1]] = mask
    return grid


def box(row: int, column: int, height: int, width: int) -> np.ndarray:
    grid = np.zeros((20, 20), bool)
    grid[row : row + height, column : column + width] = True
    return grid


def test_the_outline_itself_is_not_nodule():
    outline = box_outline(3, 5, 6, 4)
    assert np.array_equal(pixels(contour(0, outline)), box(4, 6, 4, 2))


def test_a_contour_that_does_not_end_where_it_began_is_closed():
    outline = box_outline(3, 5, 6, 4)
    assert np.array_equal(pixels(contour(0, outline[:-1])), box(4, 6, 4, 2))


def test_the_direction_of_drawing_does_not_matter():
    outline = box_outline(3, 5, 6, 7)
    assert np.array_equal(pixels(contour(0, outline[::-1])), pixels(contour(0, outline)))


def test_sparse_points_are_joined_by_straight_lines():
    # Corners only: pixels on the lines between them are no contour points, but not enclosed strictly either way.
    mask = pixels(contour(0, [(2, 2), (2, 10), (10, 10), (10, 2), (2, 2)]))
    assert mask[3:10, 3:10].all()
    assert not mask[[2, 2, 10, 10], [2, 10, 10, 2]].any()
    assert not (mask & ~box(2, 2, 9, 9)).any()


@pytest.mark.parametrize("points", [[(4, 4)], [(4, 4), (4, 5), (4, 4)], [(4, 4), (4, 5), (5, 5), (5, 4), (4, 4)]])
def test_contours_that_enclose_no_pixel_give_an_empty_mask(points):
    assert not pixels(contour(0, points)).any()


def test_an_exclusion_takes_its_inside_and_its_outline_away():
    outer, hole = contour(0, box_outline(0, 0, 9, 9)), contour(0, box_outline(2, 2, 5, 5), inclusion=False)
    expected = box(1, 1, 7, 7) & ~box(2, 2, 5, 5)
    assert expected.sum() == 24
    assert np.array_equal(pixels(outer, hole), expected)
    # An exclusion that comes first in the file is cut out all the same.
    assert np.array_equal(pixels(hole, outer), expected)


def test_inclusions_of_one_slice_are_joined():
    mask = pixels(contour(0, box_outline(0, 0, 5, 5)), contour(0, box_outline(8, 8, 5, 6)))
    assert np.array_equal(mask, box(1, 1, 3, 3) | box(9, 9, 3, 4))


def test_a_later_inclusion_takes_its_outline_out_of_an_earlier_one():
    # pylidc's order of operations: join, then take this contour's points away, then the next contour.
    large, small = contour(0, box_outline(0, 0, 9, 9)), contour(0, box_outline(2, 2, 5, 5))
    assert np.array_equal(pixels(large, small), box(1, 1, 7, 7) & ~(box(2, 2, 5, 5) & ~box(3, 3, 3, 3)))
    assert np.array_equal(pixels(small, large), box(1, 1, 7, 7))


def test_slices_come_apart_with_their_own_place():
    masks = rasterise(annotation(1, contour(2.5, box_outline(10, 3, 5, 5)), contour(0.0, box_outline(2, 4, 3, 4))))
    assert list(masks) == [0.0, 2.5]
    assert masks[0.0][0] == (2, 4)
    assert masks[0.0][1].astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert masks[2.5][0] == (10, 3)
    assert masks[2.5][1].sum() == 9


def test_rasterised_annotations_are_the_public_masks(lidc_scans, lidc_data):
    """The public crops' masks were rasterised by pylidc itself: each must be one of ours, moved."""
    with open(lidc_data / "lidc_crops.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))[:40]
    scans = {s.series_uid: s for s in lidc_scans}
    compared = 0
    for row in rows:
        shapes = set()
        for a in scans[row["series_instance_uid"]].annotations:
            for _, mask in rasterise(a).values():
                shapes.add(_trimmed(mask))
        for path in (lidc_data / "LIDC-IDRI-slices" / row["patient"] / row["nodule_dir"]).glob("mask-*/slice-*.png"):
            mask = np.asarray(Image.open(path)) > 0
            if mask.any():
                assert _trimmed(mask) in shapes, path
                compared += 1
    assert compared > 300


def _trimmed(mask: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0), b""
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return part.shape, part.tobytes()
