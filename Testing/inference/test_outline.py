"""Components outlined ahead of their turn: the result is that of one after the other."""

from __future__ import annotations

import time
import types

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference import ahead, outline
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.settings import SearchSettings

SIDE = 6  # of the cubes that are outlined
CTX = CT.from_array(np.full((40, 40, 40), -800, np.int16), spacing_mm=(1.0, 1.0, 1.0))


class Part(types.SimpleNamespace):
    """A component: `at` is the first voxel of the cube that its outline gives; its own voxels lie in the middle."""

    @property
    def voxels(self):
        return np.array([np.add(self.at, SIDE // 2)])


def part(name, at, *, probability=0.9, leaves=None, takes_s=0.0):
    return Part(name=name, at=at, probability=probability, leaves=leaves, takes_s=takes_s)


@pytest.fixture
def run(monkeypatch):
    """Outlines parts; gives names of what was noted, what became a candidate, and all that was looked at."""
    looked = []

    def resegment(engine, ct, component, settings, scorer, monitor):
        looked.append(component.name)
        time.sleep(component.takes_s)
        return component, True  # the part stands for what was grown from it

    def as_candidate(ct, grown, component, scorer):
        mask = np.ones((SIDE,) * 3, bool)
        return Candidate(grown.at, mask, grown.probability, 1.0, (0.0, 0.0, 0.0), 6.0, {"name": grown.name})

    monkeypatch.setattr(outline, "resegment", resegment)
    monkeypatch.setattr(outline, "as_candidate", as_candidate)
    monkeypatch.setattr(outline, "settled", lambda ct, grown: grown)
    monkeypatch.setattr(outline, "_rest", lambda component, grown, settings, ct: component.leaves)

    def run(*parts, at_once=ahead.AHEAD):
        monkeypatch.setattr(ahead, "AHEAD", at_once)
        looked.clear()
        noted = []
        found = outline.outline(
            [(None, p) for p in parts], CTX, np.ones(CTX.shape, bool), SearchSettings(), None, Monitor(),
            lambda grown: noted.append(grown.name),
        )  # fmt: skip
        return noted, sorted(c.features["name"] for c in found), list(looked)

    return run


def test_what_was_found_before_its_turn_came_is_left_though_it_was_begun(run):
    first, same, other = part("a", (2, 2, 2), takes_s=0.05), part("b", (3, 2, 2)), part("c", (20, 20, 20))
    noted, candidates, looked = run(first, same, other)
    assert noted == ["a", "c"] and candidates == ["a", "c"]
    assert "b" in looked  # ahead of its turn
    alone = run(first, same, other, at_once=1)
    assert alone[:2] == (noted, candidates) and "b" not in alone[2]


def test_what_is_not_sure_hides_nothing(run):
    weak, same = part("a", (2, 2, 2), probability=outline.SURE - 0.1), part("b", (3, 2, 2))
    assert run(weak, same)[0] == ["a", "b"]


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_an_outline_leaves_comes_last_and_leaves_nothing_more(run, at_once):
    rest = part("rest", (30, 30, 30), leaves=part("never", (30, 2, 2)))
    parts = part("a", (2, 2, 2), leaves=rest), part("b", (10, 10, 10)), part("c", (20, 20, 20)), part("d", (2, 30, 2))
    noted, candidates, _ = run(*parts, at_once=at_once)
    assert noted == ["a", "b", "c", "d", "rest"] and candidates == sorted(noted)
