"""LUNA16's coordinates and rule, against the challenge's own table and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate
from training.evaluate.luna16 import annotated_lps, detections, table, to_lps
from training.evaluate.places import find_places, open_place
from training.evaluate.whole_scans import Truth
from training.lidc.consensus import ConsensusNodule
from training.metrics import match


def test_lps_and_back():
    assert to_lps(np.array([[1.0, 2.0, 3.0]])).tolist() == [[-1, -2, 3]]
    assert to_lps(to_lps(np.array([4.0, 5.0, 6.0]))).tolist() == [4, 5, 6]


def test_lines():
    assert table(("a", "b"), [(1, "x"), (2.5, "")]) == "a,b\n1,x\n2.5,\n"


def nodule(offset: tuple[int, int, int], size: int, readers: int) -> ConsensusNodule:
    return ConsensusNodule((), offset, np.full((size, size, size), readers, np.uint8), readers)


def candidate(ct: CT, kji: tuple[float, float, float], probability: float) -> Candidate:
    x, y, z = ct.kji_to_ras(kji)
    return Candidate((0, 0, 0), np.ones((1, 1, 1), bool), probability, probability, (x, y, z), 5.0)


def test_who_is_to_be_found_and_what_is_ignored():
    """Cubes of 9 mm sides: balls of 11.2 mm, so that a hit lies within 5.6 mm; a mark reaches 5 mm."""
    ct = CT.from_array(np.zeros((60, 60, 60), np.int16), spacing_mm=(1.0, 1.0, 1.0))
    nodules = (nodule((6, 6, 6), 9, 3), nodule((6, 36, 6), 9, 2))
    truth = Truth("P", nodules, np.array([[40.0, 10.0, 10.0]]), (0, 0), np.arange(60.0), (1.0, 1.0, 1.0))
    centres, diameters = annotated_lps(truth, ct)
    assert centres[0].tolist() == [10, 10, 10], "the volume's own frame is LPS with the first voxel at 0"
    assert diameters == pytest.approx([(6 * 729 / np.pi) ** (1 / 3)] * 2)
    at = {(10, 10, 15): 0.9, (10, 10, 16): 0.8, (10, 40, 10): 0.7, (44, 10, 10): 0.6, (46, 10, 10): 0.5}
    found = match(detections([candidate(ct, k, p) for k, p in at.items()], truth, ct))
    assert found.nodule_scores.tolist() == [0.9]
    # 6 mm off the nodule and 6 mm off the mark are false; on the nodule of two readers and near the mark are neither.
    assert sorted(found.false_scores) == [0.5, 0.8]


def test_nothing_to_find_and_nothing_found():
    ct = CT.from_array(np.zeros((4, 4, 4), np.int16))
    truth = Truth("P", (), np.zeros((0, 3)), (0, 0), np.arange(4.0), (1.0, 1.0, 1.0))
    found = match(detections([], truth, ct))
    assert (len(found.nodule_scores), len(found.false_scores)) == (0, 0)


@pytest.mark.slow
def test_a_place_of_the_challenges_own_table(lidc_data, lidc_scans):
    """The challenge's annotations.csv has LIDC-IDRI-0001's nodule at (56.208, 86.343, -115.868), 23.351 mm."""
    (place,) = find_places(lidc_data / "LIDC-IDRI" / "LIDC-IDRI-0001", scans=lidc_scans).places
    ct, truth = open_place(place, None)
    centres, diameters = annotated_lps(truth, ct)
    assert np.abs(centres - (56.20840547, 86.34341278, -115.8675792)).max() < 0.25
    assert diameters == pytest.approx([23.35064438], abs=0.1)
