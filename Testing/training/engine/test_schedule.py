"""Early stopping begins the cool-down; by hand."""

from __future__ import annotations

import pytest

from LungNoduleSegLib.networks import NetworkConfig
from training.data.sampling_config import SamplingConfig
from training.engine.config import RunConfig
from training.engine.schedule import Schedule

CONFIG = RunConfig(
    network=NetworkConfig(), sampling=SamplingConfig(batch_size=10), samples=1000, cooldown=200, warmup=0,
    learning_rate=1.0, patience=2,
)  # fmt: skip


def test_two_looks_without_gain_begin_the_cool_down():
    schedule = Schedule(CONFIG)
    assert [schedule.look(figure, n) for figure, n in ((0.5, 100), (0.6, 200), (0.6, 300))] == [False] * 3
    assert (schedule.end, schedule.learning_rate(400)) == (1000, 1.0)
    assert schedule.look(0.59, 400)
    assert schedule.end == 600
    assert [schedule.learning_rate(n) for n in (400, 500, 590, 600)] == pytest.approx([1.0, 0.5, 0.05, 0.0])


def test_a_gain_starts_the_count_anew():
    schedule = Schedule(CONFIG)
    assert not any(schedule.look(figure, n) for n, figure in enumerate((0.5, 0.4, 0.51, 0.4, 0.52, 0.4)))


def test_while_cooling_down_nothing_stops():
    schedule = Schedule(CONFIG)
    assert not any(schedule.look(figure, n) for figure, n in ((0.6, 700), (0.5, 850), (0.5, 900), (0.5, 950)))
    assert schedule.end == 1000


def test_it_goes_on_after_loading():
    schedule, again = Schedule(CONFIG), Schedule(CONFIG)
    for figure, samples in ((0.6, 100), (0.5, 200)):
        schedule.look(figure, samples)
    again.load_state_dict(schedule.state_dict())
    assert again.look(0.5, 300)
    once_more = Schedule(CONFIG)
    once_more.load_state_dict(again.state_dict())
    assert once_more.end == 500
