"""Mining finds what the network takes for nodule where no reader marked anything."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LungNoduleSegLib.inference.normalise import Normalisation
from Testing.training.synthetic import TRAIN
from training.data.crops import IGNORE
from training.data.mining import mine
from training.data.scans import TrainingScan


class Bright(torch.nn.Module):
    """Takes every bright pixel of the middle slice for nodule; keeps count of the tiles it saw."""

    tiles = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tiles += len(x)
        return (x[:, x.shape[1] // 2, None] - 0.5) * 50


def scan_with(shape=(4, 200, 200), *spots: tuple[int, int, int, float], lung=None) -> TrainingScan:
    """Bright discs (k, row, column, radius) in dark lung."""
    hu = np.full(shape, -900, np.int16)
    hu += np.random.default_rng(0).integers(0, 40, size=shape).astype(np.int16)
    for k, row, column, radius in spots:
        rows, columns = np.ogrid[: shape[1], : shape[2]]
        hu[k][(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 100
    empty = np.zeros(shape, np.uint8)
    lung = np.ones(shape, bool) if lung is None else lung
    return TrainingScan(TRAIN, "1.2.3", hu, empty, np.zeros(shape, np.int16), lung, (2.5, 0.7, 0.7))


def mined(scan: TrainingScan, *, every: int = 1, slices: int = 3, seed: int = 0, network=None) -> np.ndarray:
    return mine(
        network or Bright(), scan, Normalisation(method="minmax", min_range=500.0), slices=slices, every=every,
        precision=None, seed=seed,
    )  # fmt: skip


def test_a_false_positive_is_found_at_its_centre():
    found = mined(scan_with((4, 200, 200), (2, 100, 150, 5)))
    assert found.dtype == np.int64
    assert len(found) >= 1
    assert np.abs(found - (2, 100, 150)).max() <= 1


def test_nothing_to_find():
    assert mined(scan_with()).shape == (0, 3)


@pytest.mark.parametrize("mark", ["consensus", "left out", "one reader"])
def test_what_a_reader_marked_is_not_mined(mark):
    scan = scan_with((4, 200, 200), (2, 100, 150, 5), (1, 40, 40, 5))
    # One marked pixel is enough: the finding is then neither right nor wrong.
    if mark == "one reader":
        scan.nodules[2, 104, 150] = 1
    else:
        scan.labels[2, 104, 150] = 1 if mark == "consensus" else IGNORE
    found = mined(scan)
    assert np.abs(found - (1, 40, 40)).max() <= 1


def test_outside_the_lung_and_specks_are_not_mined():
    lung = np.ones((4, 200, 200), bool)
    lung[:, :, 100:] = False
    scan = scan_with((4, 200, 200), (2, 100, 150, 5), (1, 40, 40, 5), (3, 60, 60, 1), lung=lung)
    # A radius of 1 is five pixels, fewer than count.
    found = mined(scan)
    assert np.abs(found - (1, 40, 40)).max() <= 1


def test_every_slice_comes_in_turn():
    scan = scan_with((6, 200, 200), *((k, 100, 100, 5) for k in range(6)))
    seen = [set(mined(scan, every=3, seed=seed)[:, 0].tolist()) for seed in range(12)]
    assert all(levels in ({0, 3}, {1, 4}, {2, 5}) for levels in seen)
    assert set().union(*seen) == set(range(6))


@pytest.mark.parametrize("shape", [(2, 90, 100), (2, 128, 128), (2, 100, 300), (2, 300, 500)])
def test_places_are_right_whatever_the_size_of_the_scan(shape):
    spots = [(1, 20, 30), (1, 70, shape[2] - 20), (0, shape[1] - 12, 50)]
    found = mined(scan_with(shape, *((*spot, 5) for spot in spots)))
    for spot in spots:
        assert np.abs(found - spot).max(axis=1).min() <= 1, spot
    for place in found:
        # Where two tiles meet, a disc may be cut: its parts have centres within its radius.
        assert np.abs(np.array(spots) - place).max(axis=1).min() <= 5


def test_no_tile_is_looked_at_twice():
    network = Bright()
    mined(scan_with((1, 512, 512)), network=network)
    assert network.tiles == 25  # 128 px every 96 px


def test_nothing_outside_the_lungs_is_run():
    network = Bright()
    lung = np.zeros((1, 512, 512), bool)
    lung[0, 10, 10] = True
    mined(scan_with((1, 512, 512), lung=lung), network=network)
    assert network.tiles == 1


def test_one_input_slice():
    found = mined(scan_with((4, 200, 200), (2, 100, 150, 5)), slices=1)
    assert np.abs(found - (2, 100, 150)).max() <= 1


def test_the_network_is_left_in_evaluation_mode():
    network = Bright().train()
    mined(scan_with((1, 128, 128)), network=network)
    assert not network.training


def test_repeatable():
    scan = scan_with((6, 200, 200), *((k, 100, 100, 5) for k in range(6)))
    assert np.array_equal(mined(scan, every=3, seed=5), mined(scan, every=3, seed=5))
