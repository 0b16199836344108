"""Which annotations are one nodule."""

from __future__ import annotations

from Testing.training.synthetic import annotated_scan, annotation, contour
from training.lidc.clusters import cluster


def point(number: int, column: int, z_mm: float = 0.0, row: int = 0):
    """An annotation of one contour point."""
    return annotation(number, contour(z_mm, [(row, column)]))


def ids(scan) -> list[list[int]]:
    return [[a.id for a in group] for group in cluster(scan)]


def test_no_annotation_no_nodule():
    assert cluster(annotated_scan()) == []


def test_one_annotation_is_a_nodule():
    assert ids(annotated_scan(point(7, 3))) == [[7]]


def test_the_tolerance_is_the_slice_thickness_itself():
    assert ids(annotated_scan(point(1, 0), point(2, 3), thickness_mm=3.0)) == [[1, 2]]
    assert len(ids(annotated_scan(point(1, 0), point(2, 4), thickness_mm=3.9))) == 2


def test_a_chain_is_one_nodule():
    assert ids(annotated_scan(point(1, 0), point(3, 4), point(2, 2), thickness_mm=2.0)) == [[1, 3, 2]]


def test_the_closest_points_count():
    wide = annotation(1, contour(0, [(0, 0), (0, 50)]))
    assert ids(annotated_scan(wide, point(2, 52), thickness_mm=2.0)) == [[1, 2]]


def test_slices_are_one_apart_however_thick_they_are():
    """pylidc measures in index units: neighbouring slices are at distance 1, rows and columns likewise."""
    scan = annotated_scan(point(1, 0, z_mm=0), point(2, 0, z_mm=1), point(3, 0, z_mm=5), thickness_mm=1.25)
    assert ids(scan) == [[1, 2], [3]]


def test_more_than_four_readers_are_taken_apart_where_they_are_least_close():
    # Gaps of 1, 1, 1 and 2: at tolerance 2 all five hang together, at 1.8 the last one is alone.
    scan = annotated_scan(*(point(n, c) for n, c in enumerate((0, 1, 2, 3, 5))), thickness_mm=2.0)
    assert sorted(ids(scan)) == [[0, 1, 2, 3], [4]]


def test_readers_that_cannot_be_taken_apart_stay_together():
    scan = annotated_scan(*(point(n, 0) for n in range(5)), thickness_mm=2.0)
    assert ids(scan) == [[0, 1, 2, 3, 4]]


def test_nodules_ascend_in_z():
    scan = annotated_scan(point(1, 0, z_mm=8), point(2, 90, z_mm=1), point(3, 0, z_mm=9), point(4, 40, z_mm=4))
    assert ids(scan) == [[2], [4], [1, 3]]


def test_nodules_that_begin_on_the_same_slice_are_ordered_by_their_points():
    """pylidc takes the mean over an annotation's points; a slice with a long contour pulls it."""
    low = annotation(1, contour(0, [(0, c) for c in range(9)]), contour(4, [(0, 0)]))
    high = annotation(2, contour(1, [(90, 0)]), contour(2, [(90, 0)]))
    assert ids(annotated_scan(high, low)) == [[1], [2]]


def test_corners_of_boxes_that_touch_do_not_make_neighbours():
    # The boxes are 2 apart, the points further: in each, the point that is near the other's box is not near its points.
    one = annotation(1, contour(0, [(0, 0), (10, 10)]))
    two = annotation(2, contour(0, [(0, 12), (20, 20)]))
    assert ids(annotated_scan(one, two, thickness_mm=2.5)) == [[1], [2]]
    assert ids(annotated_scan(one, two, thickness_mm=10.2)) == [[1, 2]]
