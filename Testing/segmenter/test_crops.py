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
