"""The log keeps the end of what was said; the estimate follows the progress."""

from __future__ import annotations

import pytest

from LungNoduleSegLib.client.estimate import Estimate
from LungNoduleSegLib.client.log import Log
from LungNoduleSegLib.client.threads import thread_count, thread_environment


def test_the_end_is_kept():
    log = Log(100)
    assert log.text == ""
    for n in range(50):
        log.write(f"line {n:02d}\n")
    assert log.text == "".join(f"line {n:02d}\n" for n in range(50))[-100:]
    log.write("x" * 1000 + "end")
    assert log.text == "x" * 97 + "end"
    log.note("A sentence.")
    assert log.text.endswith("] A sentence.\n")


def test_seconds_left_follow_the_mean_speed():
    now = [0.0]
    estimate = Estimate(lambda: now[0])
    assert estimate.fraction == 0.0 and estimate.seconds_left is None
    estimate.update(0.0)
    now[0] = 30.0  # loading the model took this long, and does not count
    estimate.update(0.05)
    assert estimate.seconds_left is None
    now[0] = 40.0
    estimate.update(0.24)
    assert estimate.seconds_left == pytest.approx(40.0)
    now[0] = 42.0  # time goes on between two reports
    assert estimate.seconds_left == pytest.approx(38.0)
    estimate.update(0.1)
    assert estimate.fraction == 0.24
    now[0] = 200.0
    assert estimate.seconds_left == 0.0
    estimate.update(1.0)
    assert estimate.seconds_left == 0.0 and estimate.fraction == 1.0


def test_threads(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [thread_count(n) for n in (None, 0, 3)] == [None, 7, 3]
    assert thread_environment(None) == {}
    assert thread_environment(0)["OMP_NUM_THREADS"] == thread_environment(7)["MKL_NUM_THREADS"] == "7"
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert thread_count(0) == 1
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert thread_count(0) == 1
