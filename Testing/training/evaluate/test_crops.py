"""Figures on crops: a perfect, a blind and a known half-right network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LungNoduleSegLib.inference.normalise import METHODS, Normalisation
from Testing.training.synthetic import TRAIN, VALIDATION, crops_of, disc, disc_crops
from training.data.crops import IGNORE, Crops
from training.evaluate.crops import detailed_figures, evaluate_crops, neighbours, predict

MINMAX = Normalisation(method="minmax", min_range=1.0)


class Oracle(torch.nn.Module):
    """Takes what is bright in the middle slice for nodule."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, x.shape[1] // 2, None] - 0.5) * 50


class Blind(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x[:, :1], -50)


def drawn(labels: list[np.ndarray], patients: list[str], images: list[np.ndarray] | None = None) -> Crops:
    """Crops that are bright where their labels are 1."""
    pictures = [np.where(one == 1, 200, 10) for one in labels] if images is None else images
    return crops_of(np.stack(pictures), np.stack(labels), patients, list(range(len(labels))))


def test_neighbours_repeat_a_nodules_ends():
    images = np.arange(5)[:, None, None] * np.ones((1, 128, 128))
    crops = crops_of(images, np.zeros((5, 128, 128)), [TRAIN] * 5, [0, 0, 0, 1, 2])
    index = np.array([0, 1, 2, 3, 4])
    levels = {s: neighbours(crops, index, s)[:, :, 5, 5].tolist() for s in (1, 3, 5)}
    assert levels[1] == [[0], [1], [2], [3], [4]]
    assert levels[3] == [[0, 0, 1], [0, 1, 2], [1, 2, 2], [3, 3, 3], [4, 4, 4]]
    assert levels[5] == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 2], [0, 1, 2, 2, 2], [3] * 5, [4] * 5]
    assert neighbours(crops, index, 3).dtype == np.uint8
    assert neighbours(crops, np.array([2, 0]), 3)[:, :, 5, 5].tolist() == [[1, 2, 2], [0, 0, 1]]


@pytest.mark.parametrize("slices", [1, 3])
def test_a_perfect_network_gets_ones(slices):
    crops = drawn([disc(128, 60, 70, r).astype(np.uint8) for r in (3, 5, 9, 20)], [TRAIN, TRAIN, VALIDATION, "x"])
    figures = evaluate_crops(Oracle(), crops, np.arange(4), MINMAX, slices=slices, repeats=50)
    assert set(figures) == {"iou_pos", "dice_pos", "share_iou_over_half"}
    for estimate in figures.values():
        assert (estimate.value, estimate.low, estimate.high) == (1, 1, 1)
        assert (estimate.n_images, estimate.n_patients) == (4, 3)


@pytest.mark.parametrize("method", METHODS)
def test_every_normalisation_leaves_the_oracle_perfect(method):
    crops = drawn([disc(128, 60, 70, r).astype(np.uint8) for r in (6, 12)], [TRAIN, VALIDATION])
    figures = evaluate_crops(Oracle(), crops, np.arange(2), Normalisation(method=method), slices=3, repeats=20)
    assert figures["iou_pos"].value == 1


def test_a_blind_network_gets_zeros():
    crops = drawn([disc(128, 60, 70, 5).astype(np.uint8)] * 2, [TRAIN, VALIDATION])
    figures = evaluate_crops(Blind(), crops, np.arange(2), MINMAX, slices=1, repeats=20)
    assert {e.value for e in figures.values()} == {0}


def test_figures_by_hand():
    """Truth of 20 x 10 pixels; predicted are 10 of its rows in one crop, and all of it twice over in the other."""
    truth = np.zeros((128, 128), np.uint8)
    truth[40:60, 40:50] = 1
    half, double = np.full((128, 128), 10), np.full((128, 128), 10)
    half[40:50, 40:50] = 200
    double[40:60, 40:60] = 200
    third = np.full((128, 128), 10)
    third[40:46, 40:50] = 200
    crops = drawn([truth] * 3, ["a", "a", "b"], [half, double, third])
    figures = evaluate_crops(Oracle(), crops, np.arange(3), MINMAX, slices=1, repeats=400)
    assert figures["iou_pos"].value == pytest.approx((0.5 + 0.5 + 0.3) / 3)
    assert figures["dice_pos"].value == pytest.approx((2 / 3 + 2 / 3 + 0.6 / 1.3) / 3)
    assert figures["share_iou_over_half"].value == pytest.approx(2 / 3)
    # Two patients: an interval from one to the other.
    assert (figures["iou_pos"].low, figures["iou_pos"].high) == pytest.approx((0.3, 0.5))


def test_what_is_left_out_counts_neither_way():
    labels = disc(128, 60, 70, 8).astype(np.uint8)
    labels[20:40, 20:40] = IGNORE
    bright = np.where(labels > 0, 200, 10)
    figures = evaluate_crops(Oracle(), drawn([labels], [TRAIN], [bright]), np.array([0]), MINMAX, slices=1, repeats=5)
    assert figures["iou_pos"].value == 1


def test_threshold():
    crops = drawn([disc(128, 60, 70, 8).astype(np.uint8)], [TRAIN])

    class Unsure(Oracle):
        def forward(self, x):
            return super().forward(x).clamp(-50, 0.4)  # nodule at probability .6

    for threshold, expected in ((0.5, 1.0), (0.7, 0.0)):
        figures = evaluate_crops(Unsure(), crops, np.array([0]), MINMAX, slices=1, threshold=threshold, repeats=5)
        assert figures["dice_pos"].value == expected


def test_only_the_crops_asked_for_in_their_order():
    crops = disc_crops((TRAIN, VALIDATION))
    whole = predict(Oracle(), crops, np.arange(12), MINMAX, slices=3, precision=None)
    assert whole.shape == (12, 128, 128)
    assert whole.dtype == np.float32
    index = np.array([7, 2, 11])
    assert np.array_equal(predict(Oracle(), crops, index, MINMAX, slices=3, precision=None), whole[index])
    assert np.array_equal(predict(Oracle(), crops, np.arange(12), MINMAX, slices=3, precision=None, batch=5), whole)


def test_the_network_is_put_into_evaluation_mode():
    class Moody(torch.nn.Module):
        def forward(self, x):
            assert not self.training
            return x[:, :1]

    crops = disc_crops((TRAIN,), nodules_each=1)
    predict(Moody().train(), crops, np.arange(3), MINMAX, slices=3, precision=None)


def test_no_crop_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"Expected argument `index`.*got none"):
        evaluate_crops(Oracle(), disc_crops((TRAIN,)), np.array([], dtype=int), MINMAX, slices=3)


def test_figures_of_positive_images_refuse_others():
    small = np.zeros((128, 128), np.uint8)
    small[60:64, 60:62] = 1
    crops = drawn([disc(128, 60, 70, 5).astype(np.uint8), small], [TRAIN, TRAIN])
    with pytest.raises(ValueError, match="1 others among 2"):
        evaluate_crops(Oracle(), crops, np.arange(2), MINMAX, slices=1)


def test_groups_of_readers():
    crops = drawn([disc(128, 60, 70, r).astype(np.uint8) for r in (3, 5, 9, 20, 4)], [TRAIN, VALIDATION, "x", "y", "z"])
    crops.readers[:] = (1, 3, 4, 4, 3)
    probability = (crops.labels == 1).astype(np.float32)
    probability[4] = 0
    figures = detailed_figures(probability, crops, np.arange(5))
    assert "iou_pos_readers_2" not in figures and figures["iou_pos_readers_3"].value == 0.5
    both = figures["iou_pos_readers_3_4"]
    assert (both.value, both.n_images) == (0.75, 4)
