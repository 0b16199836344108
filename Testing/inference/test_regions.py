"""Connected voxels, cavities, shapes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from LungNoduleSegLib.inference.regions import (
    TOUCHING,
    elongation,
    equivalent_diameter,
    filled,
    nearest,
    sparse_components,
    tight,
)


@pytest.mark.parametrize("seed", range(5))
def test_sparse_components_are_those_of_the_dense_volume(seed):
    mask = np.random.default_rng(seed).random((7, 9, 11)) < 0.12
    voxels = np.random.default_rng(seed).permutation(np.argwhere(mask))
    found = sparse_components(voxels, mask.shape)
    labels, count = ndimage.label(mask, TOUCHING)
    expected = labels[tuple(voxels.T)]
    assert found.max() + 1 == count
    # The same partition: each found number goes with exactly one label.
    assert len({(int(a), int(b)) for a, b in zip(found, expected)}) == count


def test_rows_do_not_wrap_around():
    voxels = np.array([[0, 5, 9], [0, 6, 0], [0, 9, 9], [1, 0, 0]])
    assert len(set(sparse_components(voxels, (2, 10, 10)).tolist())) == 4
    assert len(sparse_components(np.zeros((0, 3), int), (2, 2, 2))) == 0


def test_a_cavity_is_filled_also_where_only_the_slice_closes_it():
    ring = np.zeros((3, 9, 9), bool)
    ring[:, 2:7, 2:7] = True
    ring[:, 3:6, 3:6] = False  # a tube, open above and below
    assert filled(ring)[:, 3:6, 3:6].all()
    assert not ring[:, 3:6, 3:6].any()


def test_nearest_counts_in_mm():
    mask = np.zeros((5, 9, 9), bool)
    mask[3, 4, 4] = mask[2, 4, 6] = True
    # One slice of 2.5 mm against two pixels of 0.8 mm.
    assert nearest(mask, (2, 4, 4), (2.5, 0.8, 0.8), 3.0) == (2, 4, 6)
    assert nearest(mask, (2, 4, 4), (1.0, 0.8, 0.8), 3.0) == (3, 4, 4)
    assert nearest(mask, (2, 4, 4), (2.5, 0.8, 0.8), 1.0) is None


def test_shapes():
    k, j, i = np.indices((21, 41, 41), sparse=True)
    ball = ((k - 10) * 2.0) ** 2 + (j - 20) ** 2 + (i - 20) ** 2 <= 15**2
    assert elongation(ball, (2.0, 1.0, 1.0)) == pytest.approx(1.0, abs=0.03)
    assert equivalent_diameter(ball.sum() * 2.0) == pytest.approx(30, rel=0.02)
    rod = np.ones((1, 4, 20), bool)
    # Variances of boxes: extent squared / 12.
    assert elongation(rod, (4.0, 1.0, 1.0)) == pytest.approx(20 / 4)
    assert elongation(np.ones((1, 1, 1), bool), (2.5, 0.5, 0.5)) == pytest.approx(5)
    assert tight(np.zeros((2, 2, 2), bool)) is None
