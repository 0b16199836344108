"""Where a crop lies in its scan, told by its masks alone, and which other nodules it shows."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.training.synthetic import annotated_scan, annotation, box_outline, contour
from training.data.other_nodules import MARGIN_PX, find_place, other_nodules

OWN = annotation(1, *(contour(z, box_outline(160, 260, 6 + z, 9)) for z in (3, 4, 5)))
SECOND = annotation(2, *(contour(z, box_outline(161, 261, 5, 4 + z)) for z in (2, 3, 4)))
STRANGER = annotation(3, *(contour(z, box_outline(120, 310, 12, 12)) for z in (3, 4, 5, 6)))
GROUPS = [[OWN, SECOND], [STRANGER]]
SCAN = annotated_scan(OWN, SECOND, STRANGER)


def masks_of(*annotations, k: int, count: int, row: int, column: int, size: int = 128) -> np.ndarray:
    """Boxes' insides as crops of slices k .. k + count - 1 with that origin: (slices, readers, size, size)."""
    masks = np.zeros((count, 4, size, size), bool)
    for reader, a in enumerate(annotations):
        for c in a.contours:
            if k <= c.z_mm < k + count:
                (r0, c0), (r1, c1) = c.rows_columns.min(axis=0), c.rows_columns.max(axis=0)
                masks[int(c.z_mm) - k, reader, r0 + 1 - row : r1 - row, c0 + 1 - column : c1 - column] = True
    return masks


@pytest.mark.parametrize(
    ("readers", "k", "count"),
    [((OWN, SECOND), 2, 4), ((OWN,), 3, 3), ((SECOND,), 2, 3), ((OWN, SECOND), 1, 6), ((SECOND, OWN), 4, 1)],
    ids=["as annotated", "first reader only", "second reader only", "longer than the annotations", "one slice"],
)
def test_place(readers, k, count):
    masks = masks_of(*readers, k=k, count=count, row=100, column=200)
    assert find_place(SCAN, [OWN, SECOND], masks) == (k, 100, 200)


def test_masks_of_something_else_have_no_place():
    masks = masks_of(annotation(9, contour(4, box_outline(150, 250, 30, 5))), k=4, count=1, row=100, column=200)
    assert find_place(SCAN, [OWN, SECOND], masks) is None
    assert find_place(SCAN, [OWN, SECOND], np.zeros((3, 4, 128, 128), bool)) is None
    assert not other_nodules(SCAN, GROUPS, 1, masks).any()


@pytest.mark.parametrize("readers", [(OWN, SECOND), (SECOND,)])
def test_a_stranger_is_found_on_its_slices_whichever_readers_made_the_crop(readers):
    masks = masks_of(*readers, k=2, count=3, row=100, column=200)
    other = other_nodules(SCAN, GROUPS, 1, masks)
    expected = np.zeros((3, 128, 128), bool)
    expected[1:, 21 - MARGIN_PX : 31 + MARGIN_PX, 111 - MARGIN_PX : 121 + MARGIN_PX] = True
    assert np.array_equal(other, expected)


def test_what_reaches_in_from_outside_is_cut_at_the_border():
    masks = masks_of(OWN, k=3, count=3, row=123, column=200)
    other = other_nodules(SCAN, GROUPS, 1, masks)
    # Rows 121..130 of the scan are -2..7 of the crop.
    assert np.flatnonzero(other[0].any(axis=1)).tolist() == list(range(8 + MARGIN_PX))
    # Two pixels past the border: only the margin of the nodule's first column shows.
    masks = masks_of(OWN, k=3, count=3, row=100, column=311 - 129)
    other = other_nodules(SCAN, GROUPS, 1, masks)
    assert np.flatnonzero(other[0].any(axis=0)).tolist() == list(range(129 - MARGIN_PX, 128))


def test_a_nodule_alone_in_its_scan_and_an_unknown_one():
    masks = masks_of(OWN, SECOND, k=2, count=4, row=100, column=200)
    assert not other_nodules(SCAN, [[OWN, SECOND]], 1, masks).any()
    assert not other_nodules(SCAN, GROUPS, 77, masks).any()
