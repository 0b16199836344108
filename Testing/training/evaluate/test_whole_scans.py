"""Results against annotations, on a scan small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.training.synthetic import annotated_scan
from training.evaluate.whole_scans import Truth, dice_3d, judge
from training.lidc.consensus import ConsensusNodule

SHAPE = (6, 40, 40)
SPACING = (2.0, 1.0, 1.0)


def nodule(offset: tuple[int, int, int], size: int, readers: int) -> ConsensusNodule:
    """A cube of 2 slices that every reader marked in full."""
    return ConsensusNodule((), offset, np.full((2, size, size), readers, np.uint8), readers)


@pytest.fixture
def truth() -> Truth:
    marks = np.array([[2.0, 30.0, 30.0]])
    nodules = (nodule((1, 5, 5), 4, 4), nodule((3, 20, 5), 3, 1))
    return Truth("P", nodules, marks, (0, 0), -10.0 + 2.0 * np.arange(SHAPE[0]), SPACING)


def test_counts_found_missed_and_both_kinds_of_false(truth: Truth) -> None:
    labels = np.zeros(SHAPE, np.uint16)
    labels[1:3, 5:9, 5:7] = 1  # half of the first nodule: 16 of 32 voxels
    labels[2, 28:30, 28:30] = 2  # 2 pixels from a mark: strict false, not luna16 false
    labels[5, 35:38, 2:5] = 3  # far from everything
    figures = judge(labels, {1: 0.9, 2: 0.4, 3: 0.3}, truth)
    first, second = figures.rows
    assert (first.found, first.probability, first.dice) == (True, 0.9, round(2 * 16 / (16 + 32), 3))
    assert (second.found, second.probability, second.dice) == (False, 0.0, 0.0)
    assert (figures.strict_false, figures.luna16_false, figures.results) == (2, 1, 3)
    assert first.volume_mm3 == 32 * 2.0
    assert first.z_mm == -10.0 + 2.0 * 1.5


def test_outline_by_hand(truth: Truth) -> None:
    """The first nodule, 4 x 4 pixels on 2 slices, outlined one pixel too far to one side; the second one missed."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[1:3, 5:9, 5:10] = 1
    first, second = judge(labels, {1: 0.9}, truth).rows
    assert (first.volume_mm3, first.result_mm3) == (64, 80)
    assert first.volume_error == 0.25
    assert first.dice == round(2 * 32 / (32 + 40), 3)
    # A fifth of the outline's voxels lie one pixel, 1 mm, away.
    assert first.hd95_mm == 1
    assert (second.result_mm3, second.hd95_mm, second.volume_error) == (0, None, None)


def test_a_result_that_touches_one_readers_mark_only_is_not_false(truth: Truth) -> None:
    labels = np.zeros(SHAPE, np.uint16)
    labels[3:5, 20:23, 5:8] = 7
    figures = judge(labels, {7: 0.6}, truth)
    assert figures.strict_false == 0
    assert figures.rows[1].found
    assert figures.rows[1].dice == 1.0


def test_dice_joins_every_result_that_overlaps(truth: Truth) -> None:
    labels = np.zeros(SHAPE, np.uint16)
    labels[1, 5:9, 5:9] = 1
    labels[2, 5:9, 5:9] = 2
    assert judge(labels, {1: 0.2, 2: 0.8}, truth).rows[0].dice == 1.0
    assert judge(labels, {1: 0.2, 2: 0.8}, truth).rows[0].probability == 0.8


def test_seed_lies_in_the_consensus_nearest_its_centroid(truth: Truth) -> None:
    ring = np.ones((1, 5, 5), np.uint8)
    ring[0, 1:4, 1:4] = 0
    hollow = ConsensusNodule((), (2, 10, 10), ring, 1)
    k, j, i = truth.seed_kji(hollow)
    assert k == 2
    assert max(abs(j - 12), abs(i - 12)) == 2
    assert min(abs(j - 12), abs(i - 12)) == 0


def test_boxes_are_shifted_by_the_origin_of_a_cropped_scan(truth: Truth) -> None:
    cropped = Truth("P", truth.nodules, truth.marks, (3, 2), truth.z_mm, SPACING)
    assert cropped.box(truth.nodules[0]) == (slice(1, 3), slice(2, 6), slice(3, 7))
    volume = np.zeros(SHAPE, bool)
    volume[1:3, 2:6, 3:7] = True
    assert dice_3d(volume, truth.nodules[0], cropped) == 1.0


@pytest.mark.parametrize("name", ["marks.csv", "marks.csv.gz"])
def test_marks_are_read_packed_or_not(tmp_path, monkeypatch, name) -> None:
    import gzip

    from LungNoduleSegLib.ct import CT
    from training.evaluate import whole_scans

    scan = annotated_scan(slices=6)
    monkeypatch.setattr(whole_scans, "read_scans", lambda series_uids: [scan])
    lines = [
        "patient,series_instance_uid,reader,kind,z_mm,column,row",
        "P,1.2.3,0,non_nodule,2.5,30,20",
        "P,9,0,x,1,1,1",
    ]
    data = "\n".join(lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    ct = CT.from_array(np.zeros(SHAPE, np.int16), series_uid="1.2.3")
    found = whole_scans.read_truth(ct, scan.z_mm[:6], (4, 5), tmp_path / name)
    assert found.marks.tolist() == [[2.5, 16, 25]]
    assert whole_scans.read_truth(ct, scan.z_mm[:6], (4, 5), None).marks.shape == (0, 3)
