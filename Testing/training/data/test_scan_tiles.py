"""Tiles of complete scans: beyond a nodule's ends, in thick slices, and with room for larger pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LungNoduleSegLib.inference.normalise import Normalisation
from Testing.training.synthetic import TRAIN, crops_of, disc
from training.data import scan_tiles
from training.data.sampling import Sampler
from training.data.sampling_config import SamplingConfig
from training.data.scan_tiles import NodulePlaces, scan_tile
from training.data.scans import TrainingScan

CONFIG = SamplingConfig(scan_positive_share=1.0)


def scan_of(nodules: dict[int, tuple[range, int, int]], *, slices: int = 24, spacing_k: float = 2.5) -> TrainingScan:
    """Discs of radius 6 at (j, i) through the slices of a range; the voxels of slice k have -900 + k HU."""
    shape = (slices, 260, 260)
    hu = np.broadcast_to(np.arange(slices, dtype=np.int16)[:, None, None] - 900, shape).copy()
    numbers = np.zeros(shape, np.int16)
    for number, (levels, j, i) in nodules.items():
        for k in levels:
            numbers[k][disc(260, j, i, 6)] = number
    labels = (numbers > 0).astype(np.uint8)
    return TrainingScan(TRAIN, "1.2.3", hu, labels, numbers, np.ones(shape, bool), (spacing_k, 0.7, 0.7))


def levels_shown(scan: TrainingScan, config: SamplingConfig, times: int = 200) -> list[int]:
    """The middle slice k of so many tiles, told by its HU."""
    nodules, rng = NodulePlaces.of(scan), np.random.default_rng(0)
    tiles = [scan_tile(scan, nodules, None, config, 3, rng)[0] for _ in range(times)]
    return [int(tile[1, 0, 0]) + 900 for tile in tiles]


def test_the_ends_of_every_nodule():
    scan = scan_of({3: (range(5, 9), 60, 60), 7: (range(12, 13), 180, 200)})
    found = NodulePlaces.of(scan)
    assert [(k, step) for k, step, _ in found.ends] == [(5, -1), (8, 1), (12, -1), (12, 1)]
    assert found.ends[0][2].mean(axis=0) == pytest.approx([60, 60])
    assert found.ends[3][2].mean(axis=0) == pytest.approx([180, 200])
    assert len(found.voxels) == (scan.labels == 1).sum()
    assert NodulePlaces.of(scan_of({})).ends == []


@pytest.mark.parametrize(("spacing_k", "beyond"), [(2.5, {8, 9, 14, 15}), (5.0, {9, 14}), (8.0, {9, 14})])
def test_tiles_just_beyond_the_ends(spacing_k, beyond):
    """Up to 5 mm past the outermost slices 10 and 13, one slice at least; and at the place where the nodule is."""
    scan = scan_of({1: (range(10, 14), 130, 130)}, spacing_k=spacing_k)
    assert set(levels_shown(scan, replace(CONFIG, ends_share=1.0))) == beyond
    assert set(levels_shown(scan, CONFIG)) == {10, 11, 12, 13}
    half = levels_shown(scan, replace(CONFIG, ends_share=0.5))
    assert np.mean([k in beyond for k in half]) == pytest.approx(0.5, abs=0.11)


def test_what_ends_with_the_scan_is_no_end():
    assert [k for k, _, _ in NodulePlaces.of(scan_of({1: (range(5), 130, 130)})).ends] == [4]
    scan = scan_of({1: (range(24), 130, 130)})
    assert NodulePlaces.of(scan).ends == []
    assert levels_shown(scan, replace(CONFIG, ends_share=1.0), 40) == levels_shown(scan, CONFIG, 40)


def test_a_cavity_drawn_into_thick_slices_is_as_thick(monkeypatch):
    asked = []
    monkeypatch.setattr(scan_tiles, "with_shell", lambda image, label, at, mm, rng: asked.append(mm) or image)
    scan = scan_of({1: (range(10, 14), 130, 130)}, spacing_k=1.25)
    levels_shown(scan, replace(CONFIG, shell_share=1.0, thick_share=1.0), 3)
    levels_shown(scan, replace(CONFIG, shell_share=1.0), 3)
    assert asked == [(5.0, 0.7, 0.7)] * 3 + [(1.25, 0.7, 0.7)] * 3


@pytest.mark.parametrize(("spacing_k", "together"), [(1.25, 4), (2.5, 2), (5.0, 1), (10.0, 1)])
def test_thick_slices_are_about_five_millimetres(spacing_k, together, monkeypatch):
    scan = scan_of({1: (range(10, 14), 130, 130)}, spacing_k=spacing_k)
    asked = []
    whole = TrainingScan.tile
    monkeypatch.setattr(TrainingScan, "tile", lambda self, *of: asked.append(of[3]) or whole(self, *of))
    levels_shown(scan, replace(CONFIG, thick_share=1.0), 3)
    assert asked == [together] * 3


def test_larger_pixels_show_more_of_the_scan():
    """At scale 0.5 a disc of 12 px becomes one of 6 px: a quarter of the area."""
    scan = scan_of({1: (range(10, 14), 130, 130)})
    crops = crops_of(np.zeros((1, 128, 128), np.uint8), disc(128, 64, 64, 6).astype(np.uint8)[None], [TRAIN], [0])
    still = replace(
        CONFIG, batch_size=16, scan_share=1.0, turn_degrees=0.0, scale=(0.5, 0.5), scan_least_scale=0.5,
        lone_slice_share=0.0,
    )  # fmt: skip
    labels = Sampler(crops, [scan], still, Normalisation(method="minmax"), 3, 0).batch(0)[1].numpy()
    whole = [int((label == 1).sum()) for label in labels]
    assert np.median(whole) == pytest.approx(disc(128, 64, 64, 6).sum() / 4, rel=0.2)
