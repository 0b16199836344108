"""Which side a nodule lies on: inside a lung, on the pleura, between them, and without a lung."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.nodules import SideFinder, lungs_midline, nodule_side

# A usual scan: i runs to the patient's left, so the right lung is at low i. 2 x 1 x 1 mm.
MATRIX = np.diag([-1.0, -1.0, 2.0, 1.0])
ONE = np.ones((1, 1, 1), dtype=bool)


def chest() -> np.ndarray:
    lungs = np.zeros((10, 40, 100), dtype=np.uint8)
    lungs[2:8, 10:30, 10:40] = 1
    lungs[2:8, 10:30, 60:90] = 2
    return lungs


def test_inside_a_lung():
    assert nodule_side(ONE, (4, 20, 20), chest(), MATRIX) == "right"
    assert nodule_side(ONE, (4, 20, 80), chest(), MATRIX) == "left"


def test_on_the_pleura_the_nearest_lung_counts_even_across_the_midline():
    lungs = chest()
    lungs[2:8, 10:30, 40:56] = 1  # the right lung reaches over the midline, i = 49.5
    assert nodule_side(ONE, (4, 20, 57), lungs, MATRIX) == "right"


def test_the_lung_that_holds_more_of_it():
    lungs = chest()
    lungs[2:8, 10:30, 40:60] = 0
    assert nodule_side(np.ones((1, 1, 30), dtype=bool), (4, 20, 38), lungs, MATRIX) == "left"  # 2 right, 8 left voxels


def test_far_from_any_lung_the_midline_counts():
    lungs = chest()
    lungs[:, :, :33] = lungs[:, :, 67:] = 0
    assert nodule_side(ONE, (4, 20, 5), lungs, MATRIX) == "right"
    assert nodule_side(ONE, (4, 20, 95), lungs, MATRIX) == "left"


def test_the_midline_lies_half_way_in_ras():
    assert lungs_midline(chest(), MATRIX) == pytest.approx(-(24.5 + 74.5) / 2)
    assert lungs_midline(chest() > 0, MATRIX) == pytest.approx(-(10 + 89) / 2)
    assert lungs_midline(np.zeros((3, 3, 3), dtype=np.uint8), MATRIX) is None


def test_a_mask_that_does_not_tell_the_lungs_apart_serves_for_the_midline():
    for mask in (chest() > 0, (chest() > 0).astype(np.uint8)):
        find = SideFinder(mask, MATRIX)
        assert find(ONE, (4, 20, 20)) == "right"
        assert find(ONE, (4, 20, 80)) == "left"


def test_mirrored_storage_does_not_mirror_the_patient():
    flipped = MATRIX.copy()
    flipped[0] = (1, 0, 0, -99)  # i runs to the right
    assert nodule_side(ONE, (4, 20, 79), chest()[:, :, ::-1], flipped) == "right"


def test_no_lungs_no_side():
    assert nodule_side(ONE, (0, 0, 0), None, MATRIX) == ""
    assert nodule_side(ONE, (0, 0, 0), np.zeros((3, 3, 3), dtype=np.uint8), MATRIX) == ""
