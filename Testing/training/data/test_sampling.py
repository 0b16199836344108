"""Batches: repeatable from (seed, step), labels that move with their image, the shares asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from LungNoduleSegLib.inference.normalise import Normalisation
from Testing.training.synthetic import TEST, TRAIN, VALIDATION, crops_of, disc, disc_crops, made_scan
from training.data.crops import IGNORE
from training.data.sampling import Sampler
from training.data.sampling_config import SamplingConfig
from training.data.scans import TrainingScan

STILL = SamplingConfig(
    batch_size=8, scan_share=0.0, shift_px=0, scale=(1.0, 1.0), turn_degrees=0.0, gain=0.0, offset=0.0, noise=0.0,
    lone_slice_share=0.0,
)  # fmt: skip
"""Nothing but flips and quarter turns."""

MINMAX = Normalisation(method="minmax", min_range=1.0)


def sampler(crops=None, scans=(), config=STILL, *, slices=3, seed=0, normalisation=MINMAX, **changes) -> Sampler:
    crops = disc_crops((TRAIN,)) if crops is None else crops
    return Sampler(crops, list(scans), replace(config, **changes), normalisation, slices, seed)


def chiral() -> np.ndarray:
    """Labels (128, 128) that no flip or turn maps onto themselves, with a part that is left out."""
    labels = np.zeros((128, 128), np.uint8)
    labels[40:80, 50:58] = 1
    labels[72:80, 50:76] = 1
    labels[40:50, 80:92] = IGNORE
    return labels


def drawn_crops(labels: np.ndarray, patients=(TRAIN,)):
    """Crops whose image is their own labels: 255 in the nodule, 0 elsewhere."""
    images = np.where(labels == 1, 255, 0).astype(np.uint8)
    count = len(patients)
    return crops_of(np.stack([images] * count), np.stack([labels] * count), list(patients), list(range(count)))


def test_shapes_and_types():
    images, labels = sampler(scans=[made_scan()], scan_share=0.5, tile_px=96).batch(0)
    assert images.shape == (8, 3, 96, 96)
    assert images.dtype == torch.float32
    assert labels.shape == (8, 96, 96)
    assert labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) <= {0, 1, IGNORE}
    assert torch.isfinite(images).all()


def test_a_batch_depends_on_seed_and_step_alone():
    config = SamplingConfig(batch_size=6, tile_px=64)
    one, other = (sampler(scans=[made_scan()], config=config, seed=3) for _ in range(2))
    for step in (0, 1, 2):
        one.batch(step)
    for step in (2, 0):
        for a, b in zip(one.batch(step), other.batch(step)):
            assert torch.equal(a, b)
    assert not torch.equal(one.batch(0)[0], one.batch(1)[0])
    assert not torch.equal(one.batch(0)[0], sampler(scans=[made_scan()], config=config, seed=4).batch(0)[0])


def test_flips_and_quarter_turns_are_exact_and_all_eight_come():
    labels = chiral()
    made = sampler(drawn_crops(labels), slices=1)
    eight = [np.rot90(side, turns) for side in (labels, labels[:, ::-1]) for turns in range(4)]
    seen = set()
    for step in range(8):
        for image, label in zip(*(part.numpy() for part in made.batch(step))):
            (which,) = [n for n, one in enumerate(eight) if np.array_equal(one, label)]
            assert np.allclose(image[0], eight[which] == 1, atol=1e-3)
            seen.add(which)
    assert seen == set(range(8))


@pytest.mark.parametrize("tile_px", [128, 96])
def test_labels_move_with_the_image(tile_px):
    config = replace(STILL, tile_px=tile_px, shift_px=24, scale=(0.8, 1.25), turn_degrees=20.0)
    made = sampler(drawn_crops(chiral()), config=config, slices=1)
    places = []
    for step in range(4):
        images, labels = made.batch(step)
        for image, label in zip(images[:, 0].numpy(), labels.numpy()):
            sure = np.abs(image - 0.5) > 0.01
            assert np.array_equal((image > 0.5)[sure], (label == 1)[sure])
            assert (label == 1).sum() > 100
            places.append(np.argwhere(label == 1).mean(axis=0))
    assert np.std(places, axis=0).min() > 8, "nothing moved"


def test_what_is_left_out_moves_along():
    labels = chiral()
    marked = np.where(labels == IGNORE, 255, 0).astype(np.uint8)
    crops = crops_of(marked[None], labels[None], [TRAIN], [0])
    config = replace(STILL, shift_px=24, scale=(0.8, 1.25), turn_degrees=20.0)
    images, moved = sampler(crops, config=config, slices=1).batch(0)
    sure = (images[:, 0] - 0.5).abs() > 0.01
    assert torch.equal((images[:, 0] > 0.5)[sure], (moved == IGNORE)[sure])
    assert (moved == IGNORE).any()


def distances(made: Sampler, steps: int) -> np.ndarray:
    """Of a disc that lies in the middle of its crop: how far from the middle it is, along the worse axis."""
    centres = [np.argwhere(label == 1).mean(axis=0) for step in range(steps) for label in made.batch(step)[1].numpy()]
    return np.abs(np.array(centres) - 63.5).max(axis=1)


def test_a_shift_goes_no_further_than_asked():
    labels = disc(128, 63.5, 63.5, 8).astype(np.uint8)
    far = distances(sampler(drawn_crops(labels), shift_px=20, near_share=0.0), 12)
    assert 18 < far.max() <= 20.01
    assert np.median(far) > 8
    near = distances(sampler(drawn_crops(labels), shift_px=20, near_share=1.0, near_shift_px=4), 12)
    assert 3 < near.max() <= 4.01
    # A small shift stays the limit.
    assert distances(sampler(drawn_crops(labels), shift_px=2, near_share=0.5, near_shift_px=8), 4).max() <= 2.01


def test_share_of_crops_near_the_middle():
    labels = disc(128, 63.5, 63.5, 8).astype(np.uint8)
    moved = distances(sampler(drawn_crops(labels), shift_px=32, near_share=0.6, near_shift_px=4), 25)
    # Of the far ones, (9 / 65)^2 are within 4 pixels by chance.
    expected = 0.6 + 0.4 * (9 / 65) ** 2
    assert np.mean(moved < 4.01) == pytest.approx(expected, abs=3 * (0.24 / len(moved)) ** 0.5)


def test_magnification_is_within_its_range():
    labels = disc(128, 63.5, 63.5, 12).astype(np.uint8)
    made = sampler(drawn_crops(labels), scale=(0.8, 1.25))
    areas = np.concatenate([(made.batch(step)[1].numpy() == 1).sum(axis=(1, 2)) for step in range(8)])
    zoom = np.sqrt(areas / labels.sum())
    assert 0.78 < zoom.min() < 0.9
    assert 1.12 < zoom.max() < 1.28


def test_only_training_patients_come():
    labels = disc(128, 64, 64, 8).astype(np.uint8)
    crops = drawn_crops(labels, (TRAIN, VALIDATION, TEST, "LIDC-IDRI-0063"))
    crops.images[1:] = 77  # without contrast: normalises to nothing
    for step in range(8):
        images, _ = sampler(crops).batch(step)
        assert (images.amax(dim=(1, 2, 3)) == 1).all()


def test_a_consensus_of_one_to_eight_pixels_never_comes():
    small = np.zeros((128, 128), np.uint8)
    small[60:62, 60:64] = 1
    large = disc(128, 64, 64, 8).astype(np.uint8)
    labels = np.stack([small, large, np.zeros_like(small)])
    crops = crops_of(np.stack([large * 200] * 3), labels, [TRAIN] * 3, [0, 1, 2])
    areas = [int(a) for step in range(60) for a in (sampler(crops).batch(step)[1] == 1).sum(dim=(1, 2))]
    assert set(areas) == {0, int(large.sum())}
    # Crops whose readers disagree entirely are true negatives, and rare.
    assert 0.005 < areas.count(0) / len(areas) < 0.08


def test_neighbouring_slices_in_their_order():
    """Slices of one nodule that differ by their grey value: the middle one's labels, neighbours at equal distance."""
    count = 7
    labels = np.zeros((count, 128, 128), np.uint8)
    for k in range(count):
        labels[k, 20 : 40 + k, 20:40] = 1
    images = np.stack([np.full((128, 128), 10 * k) for k in range(count)])
    images[:, 0, 0], images[:, 0, 1] = 0, 255
    crops = crops_of(images, labels, [TRAIN] * count, [0] * count)
    made = sampler(crops, slices=5)
    reaches = set()
    for step in range(10):
        for image, label in zip(*(part.numpy() for part in made.batch(step))):
            k = int((label == 1).sum()) // 20 - 20
            order = [round(float(np.median(plane)) * 255 / 10) for plane in image]
            reach = 2 if order[3] - order[2] == 2 or order[2] - order[1] == 2 else 1
            expected = [min(max(k + reach * n, 0), count - 1) for n in (-2, -1, 0, 1, 2)]
            assert order == expected
            reaches.add(reach)
    assert reaches == {1, 2}


@pytest.mark.parametrize(("share", "alike"), [(0.0, 0), (1.0, 8)])
def test_lone_slices(share, alike):
    images, _ = sampler(lone_slice_share=share).batch(0)
    same = [bool((image == image[1]).all()) for image in images]
    assert sum(same) == alike


def test_share_of_lone_slices():
    made = sampler(lone_slice_share=0.25)
    same = [bool((image == image[1]).all()) for step in range(40) for image in made.batch(step)[0]]
    # Ends of nodules repeat one neighbour only, so they are not alike by chance.
    assert np.mean(same) == pytest.approx(0.25, abs=3 * (0.25 * 0.75 / len(same)) ** 0.5)


def test_shares_of_cavities_and_sharpness():
    labels = disc(128, 64, 64, 12).astype(np.uint8)
    crops = drawn_crops(labels)
    inside = {}
    for share in (0.0, 0.5, 1.0):
        images, _ = sampler(crops, slices=1, batch_size=64, cavity_share=share).batch(0)
        inside[share] = float((images[:, 0, 64, 64] < 0.5).float().mean())
    assert inside[0.0] == 0.0
    assert 0.2 < inside[0.5] < 0.75
    assert inside[1.0] > 0.9
    sharp, _ = sampler(crops, slices=1).batch(0)
    changed, _ = sampler(crops, slices=1, sharpness_share=1.0).batch(0)
    assert set(sharp.unique().tolist()) == {0.0, 1.0}
    assert all(len(image.unique()) > 2 for image in changed)


def test_shells_are_drawn_into_scans_alone():
    scan = made_scan()
    plain = sampler(scans=[scan], scan_share=0.5, batch_size=16, scan_positive_share=0.0)
    shelled = sampler(scans=[scan], scan_share=0.5, batch_size=16, scan_positive_share=0.0, shell_share=1.0)
    _, without = plain.batch(0)
    _, labels = shelled.batch(0)
    assert sum(bool((label == 1).any()) for label in labels[:8]) > sum(
        bool((label == 1).any()) for label in without[:8]
    )
    none = sampler(shell_share=1.0).batch(1), sampler().batch(1)
    assert torch.equal(none[0][0], none[1][0])


def test_share_of_mixed_images():
    """Without windows of others every image has its one nodule; with them, some have two or none."""

    def pieces(share: float) -> list[int]:
        _, labels = sampler(slices=1, batch_size=32, mix_share=share).batch(0)
        return [int(ndimage.label(label.numpy() == 1)[1]) for label in labels]

    assert set(pieces(0.0)) == {1}
    assert len(set(pieces(0.6))) > 1


@pytest.mark.parametrize(("share", "tiles"), [(0.0, 0), (0.4, 3), (0.5, 4), (1.0, 8)])
def test_share_of_tiles_of_scans(share, tiles, monkeypatch):
    made = sampler(scans=[made_scan()], scan_share=share)
    asked = []
    whole = TrainingScan.tile
    monkeypatch.setattr(TrainingScan, "tile", lambda self, *place: asked.append(place) or whole(self, *place))
    made.batch(0)
    assert len(asked) == tiles


def test_without_scans_everything_comes_from_crops():
    images, labels = sampler(scans=[], scan_share=0.5).batch(0)
    assert len(images) == 8
    assert (labels == 1).any(dim=2).any(dim=1).all()


def large_scan() -> TrainingScan:
    """One nodule in a corner; lung far from it only."""
    shape = (4, 400, 400)
    hu = np.random.default_rng(0).normal(-850, 20, size=shape).astype(np.int16)
    labels, lung = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    labels[2][disc(400, 60, 60, 8)] = 1
    lung[:, 300:, 300:] = True
    return TrainingScan(TRAIN, "1.2.3", hu, labels, labels.astype(np.int16), lung, (2.5, 0.7, 0.7))


@pytest.mark.parametrize(("share", "with_nodule"), [(0.0, 0), (1.0, 8)])
def test_tiles_with_and_without_nodule(share, with_nodule):
    made = sampler(scans=[large_scan()], scan_share=1.0, scan_positive_share=share)
    _, labels = made.batch(0)
    assert int((labels == 1).any(dim=2).any(dim=1).sum()) == with_nodule


def test_nodules_lie_anywhere_in_the_tile():
    scan = large_scan()
    scan.labels[:] = 0
    scan.labels[2][disc(400, 200, 200, 8)] = 1
    made = sampler(scans=[scan], scan_share=1.0, scan_positive_share=1.0)
    places = [
        np.argwhere(label == 1).mean(axis=0)
        for step in range(10)
        for label in made.batch(step)[1].numpy()
        if (label == 1).any()
    ]
    assert np.min(places) < 30
    assert np.max(places) > 98
    assert np.std(places) > 25


def test_mined_places_come_with_their_share(monkeypatch):
    scan = large_scan()
    place = np.array([1, 200, 240])
    asked = []
    whole = TrainingScan.tile
    monkeypatch.setattr(TrainingScan, "tile", lambda self, *where: asked.append(where[0]) or whole(self, *where))
    made = sampler(scans=[scan], scan_share=1.0, scan_positive_share=0.0, hard_share=0.5)
    made.hard = [place[None]]
    for step in range(30):
        made.batch(step)
    near = [k == 1 and abs(j - 200) <= 43 and abs(i - 240) <= 43 for k, j, i in asked]
    assert np.mean(near) == pytest.approx(0.5, abs=3 * (0.25 / len(near)) ** 0.5)
    assert all(scan.lung[tuple(where)] for where, hit in zip(asked, near) if not hit)
    assert np.array_equal(made.hard[0], place[None]), "sampling must not move what was mined"


def test_a_scan_where_nothing_was_mined_gives_its_lung():
    made = sampler(scans=[large_scan()], scan_share=1.0, scan_positive_share=0.0, hard_share=1.0)
    made.hard = [np.zeros((0, 3), np.int64)]
    _, labels = made.batch(0)
    assert not (labels == 1).any()


def test_intensity_changes_stay_small_and_are_changes():
    crops = disc_crops((TRAIN,))
    quiet = sampler(crops, slices=1).batch(0)[0]
    loud = sampler(crops, slices=1, gain=0.1, offset=0.05, noise=0.03).batch(0)[0]
    # The first image: same draws up to its intensities.
    difference = (loud[0] - quiet[0]).abs()
    assert 0 < difference.max() <= 0.1 + 0.05 + 0.03 * 6
    assert not torch.equal(loud, quiet)


def test_the_crops_themselves_are_not_changed():
    crops = disc_crops((TRAIN,))
    images, labels = crops.images.copy(), crops.labels.copy()
    scan = made_scan()
    hu = scan.hu.copy()
    sampler(crops, [scan], SamplingConfig(batch_size=12)).batch(0)
    assert np.array_equal(crops.images, images)
    assert np.array_equal(crops.labels, labels)
    assert np.array_equal(scan.hu, hu)
