"""Windows of other images: the nodule comes whole, labels and pixels move together, the rest stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from Testing.training.synthetic import disc
from training.data.crops import IGNORE
from training.data.mixing import mixed

SIZE = 128


def nodule(radius: float, row: int = 64, column: int = 64):
    """Three slices of a bright disc on lung, and its label."""
    label = disc(SIZE, row, column, radius).astype(np.uint8)
    image = np.where(label == 1, 0.9, 0.1).astype(np.float32)
    return np.repeat(image[None], 3, axis=0), label


def lung(level: float = 0.15):
    return np.full((3, SIZE, SIZE), level, np.float32), np.zeros((SIZE, SIZE), np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_a_nodule_comes_whole_with_its_label(seed):
    (with_nodule, label), (empty, nothing) = nodule(7), lung()
    rng = np.random.default_rng(seed)
    images, labels = mixed([empty, with_nodule], [nothing, label], 1.0, rng)
    got = labels[0] == 1
    assert images[0].dtype == np.float32 and labels[0].dtype == np.uint8
    assert (images[0][:, got] > 0.5).all()
    assert (images[0][:, ~got] < 0.5).all()
    row, column = ndimage.center_of_mass(got)
    if 10 < row < SIZE - 10 and 10 < column < SIZE - 10:
        assert got.sum() == label.sum()
    assert (images[0] == empty).mean() > 0.4, "most of the image that took the window is its own"


def test_nodules_come_to_lie_anywhere():
    (with_nodule, label), (empty, nothing) = nodule(5), lung()
    rng = np.random.default_rng(0)
    middles = []
    for _ in range(200):
        _, labels = mixed([empty, with_nodule], [nothing, label], 1.0, rng)
        if labels[0].any():  # a nodule near its window's edge may fall off the image's
            middles.append(ndimage.center_of_mass(labels[0] == 1))
    assert len(middles) > 180
    low, high = np.percentile(middles, [10, 90], axis=0)
    assert (low < 35).all() and (high > 93).all()


def test_a_window_without_nodule_takes_the_label_away():
    """Seams must not tell: what has no nodule is set in too, and covers what was there."""
    (_, label), (empty, nothing) = nodule(3), lung()
    other = empty.copy()
    rng = np.random.default_rng(1)
    gone = sum(not mixed([empty, other], [label, nothing], 1.0, rng)[1][0].any() for _ in range(100))
    assert 5 < gone < 95


def test_what_the_loss_leaves_out_moves_along():
    (with_nodule, label), (empty, nothing) = nodule(6), lung()
    label = label.copy()
    label[64:68, 71:75] = IGNORE
    _, labels = mixed([empty, with_nodule], [nothing, label], 1.0, np.random.default_rng(2))
    assert set(np.unique(labels[0])) == {0, 1, IGNORE}


def test_lung_goes_to_lung():
    """Half of the image is as dark as what comes, the other half bright."""
    (with_nodule, label), (half, nothing) = nodule(4), lung(0.1)
    half[:, :, SIZE // 2 :] = 0.9
    rng = np.random.default_rng(3)
    columns = []
    for _ in range(100):
        _, labels = mixed([half, with_nodule], [nothing, label], 1.0, rng)
        if labels[0].any():
            columns.append(ndimage.center_of_mass(labels[0] == 1)[1])
    assert np.mean(np.array(columns) < SIZE / 2) > 0.75


def test_share_and_originals():
    (with_nodule, label), (empty, nothing) = nodule(6), lung()
    before = with_nodule.copy(), empty.copy()
    images, labels = mixed([empty, with_nodule], [nothing, label], 0.0, np.random.default_rng(0))
    assert images[0] is empty and images[1] is with_nodule and labels[1] is label
    alone, _ = mixed([with_nodule], [label], 1.0, np.random.default_rng(0))
    assert alone[0] is with_nodule
    rng = np.random.default_rng(4)
    took = sum(mixed([empty, with_nodule], [nothing, label], 0.3, rng)[0][0] is not empty for _ in range(300))
    assert 60 < took < 120
    assert np.array_equal(with_nodule, before[0]) and np.array_equal(empty, before[1])
