from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from LungNoduleSegLib.inference.covering import cover, without_rim


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 40))
def test_cover_holds_every_pixel_in_a_core(seed, blobs, margin):
    rng = np.random.default_rng(seed)
    mask = np.zeros((300, 260), bool)
    for _ in range(blobs):
        j, i, h, w = rng.integers(0, 250), rng.integers(0, 220), rng.integers(1, 200), rng.integers(1, 200)
        mask[j : j + h, i : i + w] = True
    seen = np.zeros_like(mask)
    for j, i in cover(mask, margin=margin):
        rows = slice(max(j + margin, 0), max(j + 128 - margin, 0))
        seen[rows, max(i + margin, 0) : max(i + 128 - margin, 0)] = True
    assert not (mask & ~seen).any()


def test_cover_of_two_lungs_needs_fewer_tiles_than_their_box():
    mask = np.zeros((512, 512), bool)
    mask[150:350, 60:180] = mask[150:350, 330:450] = True
    # Columns of 120 px and rows of 200 px in cores of 96 px: 2 x 2 x 3, and nothing in the gap of 150 px.
    assert len(cover(mask)) == 12
    assert len(cover(np.zeros((50, 50), bool))) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.6))
def test_no_cut_into_bands_needs_fewer_tiles(seed, share):
    # 7 x 6 cells of 8 px, cores of 2 x 2 cells.
    cells = np.random.default_rng(seed).random((7, 6)) < share
    mask = cells.repeat(8, axis=0).repeat(8, axis=1)
    fewest = min(fewest_by_trying(cells), fewest_by_trying(cells.T))
    assert len(cover(mask, px=24, margin=4)) == fewest


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.6))
def test_from_the_end_is_the_mirror_image(seed, share):
    mask = (np.random.default_rng(seed).random((9, 7)) < share).repeat(8, axis=0).repeat(8, axis=1)
    forward, back = (cover(m, px=24, margin=4, from_end=e) for m, e in ((mask, True), (mask[::-1, ::-1], False)))
    mirrored = [(mask.shape[0] - j - 24, mask.shape[1] - i - 24) for j, i in back.tolist()]
    assert forward.tolist() == [list(place) for place in mirrored]


def test_seams_move_between_the_two_ends():
    """120 px in cores of 96: from the start 96 + 24, from the end 24 + 96."""
    mask = np.ones((90, 120), bool)
    assert sorted(cover(mask)[:, 1].tolist()) == [-16, 44]
    assert sorted(cover(mask, from_end=True)[:, 1].tolist()) == [-52, 8]


def fewest_by_trying(cells):
    """Every cut into bands of one or two rows; in each the spans from left to right."""
    height = len(cells)
    counts = []
    for number in range(height):
        for inner in combinations(range(1, height), number):
            edges = [0, *inner, height]
            if max(b - a for a, b in pairwise(edges)) <= 2:
                counts.append(sum(spans(cells[a:b].any(axis=0)) for a, b in pairwise(edges)))
    return min(counts)


def spans(needed):
    count, at = 0, 0
    while at < len(needed):
        count, at = (count + 1, at + 2) if needed[at] else (count, at + 1)
    return count


def test_a_narrow_gap_is_not_covered():
    mask = np.zeros((128, 300), bool)
    mask[:100, :96] = mask[:100, 152:248] = True
    # One row of 248 px would take three cores of 96 px side by side; with the gap left out two bands of two are enough.
    assert len(cover(mask)) == 4


def test_rim_comes_off_evenly():
    mask = np.hypot(*np.mgrid[-100:101, -100:101]) < 80
    inner = without_rim(mask, 8.0, 0.8)  # 10 px: two cells of 4 px, of which each edge cell may be nearly outside
    depth = ndimage.distance_transform_edt(mask)
    assert (depth[inner] > 4).all() and inner[depth > 13].all()
    assert without_rim(mask, 0.0, 0.8) is mask


def test_the_edge_of_the_image_counts_as_outside():
    mask = np.ones((40, 40), bool)
    inner = without_rim(mask, 4.0, 1.0)
    assert inner[4:36, 4:36].all() and inner.sum() == 32 * 32


@pytest.mark.parametrize("shape", [(37, 51), (8, 8), (1, 130)])
def test_shapes_that_are_no_multiple_of_a_cell(shape):
    mask = np.ones(shape, bool)
    assert without_rim(mask, 3.0, 1.0).shape == shape
    seen = np.zeros(shape, bool)
    for j, i in cover(mask):
        seen[max(j + 16, 0) : j + 112, max(i + 16, 0) : i + 112] = True
    assert seen.all()
