"""Figures of merit: the thesis' rule and the honest one, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.training.report.synthetic_results import write_images, write_run
from training.report.results import read_results
from training.report.rows import MEASURES, rows_of, shared

LINE = {
    "series": "1", "nodule": "0", "readers": 3, "spacing_mm": 0.7, "mean_probability_in_truth": 0.5,
    "max_probability": 0.9, "source": "crop",
}  # fmt: skip


def row_of(tmp_path, lines):
    folder = write_run(tmp_path, "A", "none")
    write_images(folder / "images.csv.gz", [{**LINE, "slice": i, **line} for i, line in enumerate(lines)])
    (row,) = rows_of(read_results(tmp_path))
    return row


HAND_MADE = [
    {"patient": "a", "area_px": 20, "tp": 10, "fp": 0, "fn": 10},  # IoU .5: found, just
    {"patient": "a", "area_px": 20, "tp": 8, "fp": 0, "fn": 12},  # IoU .4: missed
    {"patient": "b", "area_px": 8, "tp": 8, "fp": 0, "fn": 0},  # neither positive nor negative
    {"patient": "b", "area_px": 0, "tp": 0, "fp": 9, "fn": 0},  # an empty slice of a nodule: no real negative
]
TILES = [
    {"patient": "c", "area_px": 0, "tp": 0, "fp": 0, "fn": 0, "source": "lung"},
    {"patient": "c", "area_px": 0, "tp": 0, "fp": 1, "fn": 0, "source": "lung"},
]


def test_positives_only_where_there_are_no_real_negatives(tmp_path):
    row = row_of(tmp_path, HAND_MADE)
    assert row.sample("iou_pos").values.tolist() == [[0.5, 0.4]]
    assert row.sample("sensitivity").values.tolist() == [[1, 0]]
    np.testing.assert_allclose(row.sample("dice_pos").values, [[20 / 30, 16 / 28]])
    assert [name for name in MEASURES if row.sample(name) is None] == ["iou_all", "dice_all", "accuracy", "specificity"]
    assert row.confusion() == {"TP": 1, "TN": None, "FP": None, "FN": 1}


def test_the_thesis_convention_with_real_negatives(tmp_path):
    row = row_of(tmp_path, [*HAND_MADE, *TILES])
    assert sorted(row.sample("iou_all").values[0]) == [0, 0.4, 0.5, 1]
    assert row.sample("accuracy").values.mean() == 0.5
    assert row.sample("specificity").values.tolist() == [[1, 0]]
    assert row.confusion() == {"TP": 1, "TN": 1, "FP": 1, "FN": 1}


def test_negatives_alone_give_no_figure_over_all(tmp_path):
    row = row_of(tmp_path, TILES)
    assert row.sample("iou_all") is None and row.sample("iou_pos") is None
    assert row.sample("specificity") is not None


def test_confusion_is_the_mean_over_seeds(tmp_path):
    for seed, iou in ((0, 0.9), (1, 0.1)):
        write_run(tmp_path, "A", "none", seed=seed, iou=iou, spread=0, patients=3, images=2)
    (row,) = rows_of(read_results(tmp_path))
    assert row.confusion()["TP"] == row.confusion()["FN"] == 3


def test_pairs_are_the_images_that_both_have(tmp_path):
    write_run(tmp_path, "C", "128", patients=6)
    write_run(tmp_path, "C", "64", patients=4)
    by_name = {row.row: row for row in rows_of(read_results(tmp_path))}
    large, small = shared(by_name["128"], by_name["64"], "iou_pos")
    assert large.values.shape == small.values.shape == (1, 16)
    assert large.patients.tolist() == small.patients.tolist()
    assert shared(by_name["128"], by_name["64"], "accuracy") is None


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_a_sample_has_one_line_a_seed(tmp_path, seeds):
    for seed in seeds:
        write_run(tmp_path, "A", "none", seed=seed)
    (row,) = rows_of(read_results(tmp_path))
    assert row.sample("iou_pos").values.shape == (len(seeds), 96)
