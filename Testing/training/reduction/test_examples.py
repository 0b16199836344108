"""Stacks to learn from: out of made-up crops and of made-up candidates."""

from __future__ import annotations

import numpy as np

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate
from Testing.training.synthetic import crops_of, disc
from training.reduction.examples import (
    BESIDE,
    FALSE,
    FOUND,
    MARGIN_PX,
    NODULE,
    blobs,
    candidate_examples,
    crop_examples,
    joined,
)


def crops_with_vessels():
    """Three slices of a nodule in the middle of a crop in lung, and two round vessels, 45 and 10 px away from it."""
    rng = np.random.default_rng(0)
    images = rng.normal(30, 3, (3, 128, 128))
    label = disc(128, 64, 64, 6)
    for place, radius in (((64, 64), 6), ((64, 34), 3), ((70, 78), 3)):
        images[:, disc(128, *place, radius)] = 180
    images[:, :, 110:] = 200  # a wall
    return crops_of(images.clip(0, 255), np.stack([label] * 3).astype(np.uint8), ["LIDC-IDRI-0001"] * 3, [0] * 3)


def test_a_crop_gives_its_nodule_and_what_is_beside_it():
    found = crop_examples(crops_with_vessels(), np.arange(3))
    assert found.kinds.tolist()[0] == NODULE and set(found.kinds[1:]) == {BESIDE}
    assert found.stacks.shape == (len(found), 5, MARGIN_PX, MARGIN_PX) and found.stacks.dtype == np.float16
    assert found.readers.tolist() == [1] + [0] * (len(found) - 1)
    assert set(found.patients) == {"LIDC-IDRI-0001"}
    middle = slice(MARGIN_PX // 2 - 2, MARGIN_PX // 2 + 2)
    assert (found.stacks[:, :, middle, middle].mean(axis=(1, 2, 3)) > 0.5).all()


def test_some_nodules_come_with_a_cavity_too():
    plain, both = (crop_examples(crops_with_vessels(), np.arange(3), share) for share in (0.0, 1.0))
    assert (plain.kinds == NODULE).sum() == 1 and (both.kinds == NODULE).sum() == 2
    solid, hollow = both.stacks[both.kinds == NODULE].astype(np.float32)
    changed = np.argwhere(solid - hollow > 0.3)
    assert len(changed) and (np.linalg.norm(changed[:, 1:] - (MARGIN_PX - 1) / 2, axis=1) < 7).all()


def test_nothing_near_an_outline_or_the_border_is_taken_for_what_is_beside():
    crops = crops_with_vessels()
    plane = crops.images[0].astype(np.float32) / 255
    places = np.array(blobs(plane, crops.labels[0] == 1, 0.7, np.random.default_rng(0)))
    near = np.linalg.norm(places - (64, 34), axis=1) < 3
    assert near.sum() == 1
    # Of the nodule, and of the vessel 15 px (11 mm) from its middle but 5 mm from its border, there is none.
    assert (np.linalg.norm(places - (64, 64), axis=1) > 6 + 8 / 0.7).all()
    assert ((places >= 26) & (places < 102)).all()


def candidate(k):
    return Candidate((k, 60, 60), np.ones((1, 4, 4), bool), 0.5, 0.5, (0.0, 0.0, 0.0), 3.0)


def test_candidates_by_kind():
    ct = CT.from_array(np.full((6, 150, 150), -850, np.int16), spacing_mm=(2.5, 0.7, 0.7))
    found = candidate_examples(ct, "P", [(candidate(0), 4), (candidate(2), 0)])
    assert found.kinds.tolist() == [FOUND, FALSE] and found.readers.tolist() == [4, 0]
    nothing = candidate_examples(ct, "Q", [])
    both = joined([found, nothing, found])
    assert len(nothing) == 0 and len(both) == 4
    assert len(both.without({"P"})) == 0 and len(both.without({"Q"})) == 4


def test_crops_without_any_outline_are_passed_over():
    crops = crops_with_vessels()
    crops.votes[:] = 0
    assert len(crop_examples(crops, np.arange(3))) == 0
