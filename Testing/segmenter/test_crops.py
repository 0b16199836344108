"""Mirrored and turned views of a crop, by an engine whose answer depends on the side."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.segmenter.crops import predict_views


class LeftSighted:
    """Sees what is bright in the left half only."""

    input_slices, tile_px, batch_size = 1, 128, 16

    def predict(self, tiles, *, min_range=None):
        seen = tiles[:, 0] > 0.5
        return (seen * (np.arange(tiles.shape[-1]) < tiles.shape[-1] // 2)).astype(np.float32)


def predicted(views: int, offset: float = 0.0) -> np.ndarray:
    tiles = np.zeros((1, 1, 128, 128), np.float32)
    tiles[0, 0, 10, 20] = tiles[0, 0, 100, 110] = 1
    return predict_views(LeftSighted(), tiles, views=views, logit_offset=offset, min_range=None)[0]


def test_one_view_is_the_plain_prediction() -> None:
    plain = predicted(1)
    assert (plain[10, 20], plain[100, 110]) == (1, 0)


@pytest.mark.parametrize("views", [2, 4, 8])
def test_views_come_back_to_their_place_and_are_averaged(views: int) -> None:
    mean = predicted(views)
    assert (mean[10, 20], mean[100, 110]) == (0.5, 0.5)
    assert np.count_nonzero(mean) == 2


def test_offset_moves_the_logit() -> None:
    moved = predicted(4, float(np.log(3)))
    assert moved[10, 20] == pytest.approx(0.75)
    assert moved[0, 0] == 0
    assert predicted(1, 2.0)[10, 20] == 1


class Plain:
    """Gives what it sees."""

    input_slices, tile_px, batch_size = 1, 128, 16

    def predict(self, tiles, *, min_range=None):
        return np.asarray(tiles[:, 0], np.float32)


def blob() -> np.ndarray:
    y, x = np.mgrid[:128, :128]
    return np.exp(-(((y - 50) ** 2 + (x - 70) ** 2) / 200)).astype(np.float32)


def test_magnified_views_come_back_to_their_place() -> None:
    tiles = blob()[None, None]
    mean = predict_views(Plain(), tiles, views=8, logit_offset=0.0, min_range=None, zooms=(1.0, 0.8, 1.25))
    assert mean.dtype == np.float32
    assert np.abs(mean[0] - tiles[0, 0]).max() < 0.01


def test_beyond_a_magnified_crop_the_other_views_count() -> None:
    """The network sees something only when the crop is not magnified: a third of the mean, and all of it outside."""

    class Once(Plain):
        def predict(self, tiles, *, min_range=None):
            return np.full((len(tiles), 128, 128), float(np.isclose(tiles.max(), 1.0, atol=1e-6)), np.float32)

    tiles = np.zeros((1, 1, 128, 128), np.float32)
    tiles[0, 0, ::2, ::2] = 1  # magnifying by 1.25 blurs it below 1
    mean = predict_views(Once(), tiles, views=1, logit_offset=0.0, min_range=None, zooms=(1.0, 1.5))[0]
    assert mean[64, 64] == pytest.approx(0.5)
    assert mean[2, 2] == pytest.approx(1.0)


def test_without_magnification_nothing_is_resampled() -> None:
    tiles = np.random.default_rng(0).random((2, 1, 128, 128), np.float32)
    plain = predict_views(Plain(), tiles, views=1, logit_offset=0.0, min_range=None)
    assert np.array_equal(plain, tiles[:, 0])
