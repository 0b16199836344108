"""Progress never falls; cancelling stops."""

from __future__ import annotations

import pytest

from LungNoduleSegLib.errors import Cancelled
from LungNoduleSegLib.inference import monitor as module
from LungNoduleSegLib.inference.monitor import Clock, Monitor


def test_fractions_rise_through_the_stages():
    seen = []
    monitor = Monitor(lambda fraction, message: seen.append((fraction, message)))
    monitor.stage(0.0, 0.5, "one")
    monitor.step(0.5)
    monitor.step(2.0)
    monitor.stage(0.5, 1.0, "two")
    monitor.step(1.0)
    assert seen == [(0.0, "one"), (0.25, "one"), (0.5, "one"), (0.5, "two"), (1.0, "two")]
    monitor.stage(0.2, 0.4, "back")
    assert seen[-1] == (1.0, "back")


def test_cancel_raises():
    answers = iter([False, False, True])
    monitor = Monitor(None, lambda: next(answers))
    monitor.step(0)
    monitor.step(0)
    with pytest.raises(Cancelled):
        monitor.step(0)


def test_a_stage_that_comes_again_adds_up(monkeypatch):
    times = iter([0.0, 1.0, 3.0, 6.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    clock = Clock()
    for name in ("search", "screen", "search"):
        clock.lap(name)
    assert clock.laps == {"search": 4.0, "screen": 2.0}
