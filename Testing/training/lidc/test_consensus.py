"""The 50 % consensus: at least half of the readers that marked anything of the nodule."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.training.synthetic import annotated_scan, annotation, box_outline, contour
from training.lidc.consensus import MIN_PIXELS, consensus_nodules


def reader(number: int, column: int, *z_mm: float, width: int = 7):
    """One reader's boxes: row 2 to 6 and ``width`` - 2 columns from ``column`` + 1 are inside."""
    return annotation(number, *(contour(z, box_outline(1, column, 7, width)) for z in z_mm))


def drawn(nodule, shape=(10, 40, 40)) -> np.ndarray:
    volume = np.zeros(shape, bool)
    k, j, i = nodule.offset_kji
    mask = nodule.mask
    volume[k : k + mask.shape[0], j : j + mask.shape[1], i : i + mask.shape[2]] = mask
    return volume


def test_one_reader_is_the_consensus():
    (nodule,) = consensus_nodules(annotated_scan(reader(1, 10, 4)))
    assert nodule.readers == 1
    assert np.argwhere(drawn(nodule)).min(axis=0).tolist() == [4, 2, 11]
    assert np.argwhere(drawn(nodule)).max(axis=0).tolist() == [4, 6, 15]
    assert drawn(nodule).sum() == 25


@pytest.mark.parametrize(
    ("readers", "needed"), [(2, 1), (3, 2), (4, 2)], ids=["one of two", "two of three", "two of four"]
)
def test_half_of_the_readers_are_enough(readers, needed):
    # Every reader is one column further to the right, so votes fall from the middle outwards.
    scan = annotated_scan(*(reader(n, 10 + n, 4) for n in range(readers)))
    (nodule,) = consensus_nodules(scan)
    assert nodule.readers == readers
    columns = np.flatnonzero(drawn(nodule)[4, 3])
    votes = {c: sum(11 + n <= c <= 15 + n for n in range(readers)) for c in range(40)}
    assert columns.tolist() == [c for c, v in votes.items() if v >= needed]


def test_slices_that_half_of_the_readers_left_out_are_not_nodule():
    scan = annotated_scan(reader(1, 10, 3, 4, 5), reader(2, 10, 4), reader(3, 10, 4, 5))
    (nodule,) = consensus_nodules(scan)
    assert drawn(nodule).sum(axis=(1, 2)).tolist() == [0, 0, 0, 0, 25, 25, 0, 0, 0, 0]
    assert nodule.votes.max() == 3


def test_a_reader_whose_contours_enclose_nothing_does_not_count():
    nothing = annotation(3, contour(4, [(3, 12), (3, 13), (3, 12)]))
    scan = annotated_scan(reader(1, 10, 4), reader(2, 13, 4), nothing)
    (nodule,) = consensus_nodules(scan)
    assert nodule.readers == 2
    # With three readers only the overlap of two would be left.
    assert np.flatnonzero(drawn(nodule)[4, 3]).tolist() == list(range(11, 19))


def test_nobody_encloses_anything():
    assert consensus_nodules(annotated_scan(annotation(3, contour(4, [(3, 12), (3, 13), (3, 12)])))) == []


def test_two_nodules_keep_their_boxes_apart():
    one, other = consensus_nodules(annotated_scan(reader(1, 10, 2), reader(2, 25, 7)))
    assert not (drawn(one) & drawn(other)).any()
    assert one.offset_kji[0] == 2
    assert other.offset_kji[0] == 7


def test_on_the_slices_of_a_cropped_scan():
    scan = annotated_scan(reader(1, 10, 3, 4, 5))
    (nodule,) = consensus_nodules(scan, np.array([4.0, 5.0, 6.0]))
    assert nodule.offset_kji[0] == 0
    assert drawn(nodule).sum(axis=(1, 2)).tolist()[:4] == [25, 25, 0, 0]
    assert consensus_nodules(scan, np.array([8.0, 9.0])) == []


@pytest.mark.slow
def test_counts_of_the_published_protocol(lidc_scans):
    """Images of the first scan of each patient: one a nodule and slice, one a slice, and of three readers or more."""
    seen: set[str] = set()
    marked, positive, nodules, three, three_nodules = 0, 0, 0, 0, 0
    slices, positive_slices = 0, 0
    for scan in lidc_scans:
        if scan.patient_id in seen:
            continue
        seen.add(scan.patient_id)
        largest: dict[int, int] = {}  # slice -> area of its largest nodule
        for nodule in consensus_nodules(scan):
            areas = nodule.mask.sum(axis=(1, 2))
            marked += int((areas > 0).sum())
            positive += int((areas > MIN_PIXELS).sum())
            nodules += bool((areas > MIN_PIXELS).any())
            if nodule.readers >= 3:
                three += int((areas > MIN_PIXELS).sum())
                three_nodules += bool((areas > MIN_PIXELS).any())
            for k in np.flatnonzero(areas):
                level = int(nodule.offset_kji[0] + k)
                largest[level] = max(largest.get(level, 0), int(areas[k]))
        slices += len(largest)
        positive_slices += sum(area > MIN_PIXELS for area in largest.values())
    assert (positive, nodules) == (13_916, 2_619)
    assert marked == 14_600
    assert slices == 13_586
    assert positive_slices == 12_997
    assert (three, three_nodules) == (8_525, 1_379)
