"""Work begun before its turn: order, errors, cancelling, and who talks to the caller."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet

import pytest

from LungNoduleSegLib.errors import Cancelled
from LungNoduleSegLib.inference.ahead import AHEAD, Ahead, in_order
from LungNoduleSegLib.inference.monitor import Monitor


def test_results_come_in_their_order_whichever_is_ready_first():
    def work(n, _):
        time.sleep(0.02 if n % 2 == 0 else 0)
        return n * n

    assert list(in_order(work, range(7), Monitor())) == [(n, n * n) for n in range(7)]
    assert list(in_order(work, [], Monitor())) == []


def test_the_next_part_is_computed_while_a_result_is_used():
    begun = {n: threading.Event() for n in range(4)}

    def work(n, _):
        begun[n].set()
        return n

    results = in_order(work, range(4), Monitor())
    assert next(results) == (0, 0)
    assert begun[1].wait(10) and not begun[3].is_set()  # no more than so many are under way
    assert [n for n, _ in results] == [1, 2, 3] and AHEAD == 2


def test_parts_are_asked_for_one_by_one():
    """A batch that halves when memory runs out is halved for the next ones too."""
    asked = []

    def parts():
        for n in range(5):
            asked.append(n)
            yield n

    results = in_order(lambda n, _: n, parts(), Monitor())
    next(results)
    assert asked == [0, 1]
    list(results)
    assert asked == [0, 1, 2, 3, 4]


def test_an_error_of_the_work_comes_at_its_turn_and_ends_the_rest():
    seen = []

    def work(n, _):
        seen.append(n)
        if n == 1:
            raise ZeroDivisionError
        return n

    results = in_order(work, range(50), Monitor())
    assert next(results) == (0, 0)
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert max(seen) <= 2


def test_a_timeout_of_the_work_itself_is_an_error_like_any_other():
    def work(n, _):
        raise TimeoutError("the work's own")

    with pytest.raises(TimeoutError, match="the work's own"):
        list(in_order(work, range(3), Monitor()))


def test_a_result_that_comes_just_as_the_wait_ends_is_not_lost(monkeypatch):
    """The wait for it is over, and it is there when that is looked at."""
    usual = Future.result
    waits = []

    def result(self, timeout=None):
        if timeout is None:
            return usual(self)
        while not self.done():
            time.sleep(0.001)
        waits.append(timeout)
        raise NotYet

    monkeypatch.setattr(Future, "result", result)
    assert list(in_order(lambda n, _: n, range(3), Monitor())) == [(n, n) for n in range(3)] and len(waits) == 3


def test_cancelling_ends_a_part_that_is_under_way():
    """Within the part, by the monitor that it is given; and the caller is asked by its own thread alone."""
    askers, stopped, cancelled = set(), [], threading.Event()

    def cancel():
        askers.add(threading.current_thread().name)
        return cancelled.is_set()

    def work(n, monitor):
        cancelled.set()
        try:
            while True:  # ends by the monitor alone
                monitor.step(0.0)
                time.sleep(0.001)
        except Cancelled:
            stopped.append(n)
            raise

    with pytest.raises(Cancelled):
        list(in_order(work, range(9), Monitor(cancel=cancel)))
    assert stopped and set(stopped) <= {0, 1}
    assert askers == {threading.main_thread().name}


def test_what_is_not_waited_for_is_stopped():
    stopped = threading.Event()

    def work(n, monitor):
        try:
            while True:
                monitor.step(0.0)
                time.sleep(0.001)
        except Cancelled:
            stopped.set()
            raise

    with Ahead(work, Monitor()) as ahead:
        ahead.begin(1)
        assert len(ahead) == 1 and ahead.free
    assert stopped.is_set()
