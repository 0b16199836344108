"""A run as the panel follows it: events, cancellation, errors, and that nothing is published twice or too late."""

from __future__ import annotations

import time

import pytest
import slicer


@pytest.fixture
def runs(module):
    from LungNoduleSegPanel import runs

    return runs


class Scripted:
    """Stands for the process of a run: gives what the test tells it."""

    log, seconds_left = "said on standard error", 12.0

    def __init__(self):
        self.waiting, self.calls = [], []

    def start(self):
        self.calls.append("start")

    def events(self):
        found, self.waiting = self.waiting, []
        return found

    def cancel(self):
        self.calls.append("cancel")

    def close(self):
        self.calls.append("close")


@pytest.fixture
def run():
    return Scripted()


@pytest.fixture
def told():
    return []


@pytest.fixture
def pending(module, runs, run, told):
    published = []

    def publish(event):
        published.append(event["result"])
        return module.Outcome(message="shown")

    pending = runs.PendingRun(run, publish, module.Outcome(message="cancelled"), told.append)
    pending.published = published
    pending.start()
    return pending


PROGRESS = {"event": "progress", "fraction": 0.4, "message": "Searching"}
RESULT = {"event": "result", "result": "a result"}


def test_progress_then_result(pending, run, told):
    pending.poll()
    assert told == [] and not pending.finished
    run.waiting = [PROGRESS]
    pending.poll()
    assert told == [{**PROGRESS, "secondsLeft": 12.0}]
    run.waiting = [RESULT, PROGRESS]  # what comes after the end is not heard
    pending.poll()
    pending.poll()
    assert pending.finished and pending.published == ["a result"] and pending.outcome.message == "shown"
    assert told[1:] == [{"event": "result", "message": "shown"}]
    assert run.calls == ["start", "close"]


def test_the_end_is_told_when_the_next_run_may_start(runs, run, module):
    seen = []
    pending = runs.PendingRun(
        run, lambda event: module.Outcome(), module.Outcome(), lambda event: seen.append(pending.finished)
    )
    pending.start()
    run.waiting = [PROGRESS, RESULT]
    pending.poll()
    assert seen == [False, True]


@pytest.mark.parametrize("last", [RESULT, {"event": "cancelled"}, {"event": "error", "message": "killed"}])
def test_after_cancelling_nothing_is_published_whatever_comes(pending, run, told, last):
    pending.cancel()
    pending.cancel()
    assert run.calls == ["start", "cancel"] and pending.cancelling and not pending.finished
    run.waiting = [last]
    pending.poll()
    assert pending.finished and pending.error is None and pending.published == []
    assert pending.outcome.message == "cancelled" and told == [{"event": "cancelled", "message": "cancelled"}]


def test_an_error_is_told_with_its_remedy_and_raised_by_wait(pending, run, told, runs):
    run.waiting = [{"event": "error", "message": "no lung was found.", "remedy": "Is it a chest CT?"}]
    with pytest.raises(runs.RunFailed, match=r"^no lung was found\. Is it a chest CT\?$"):
        pending.wait()
    assert told == [{"event": "error", "message": "no lung was found. Is it a chest CT?"}]


def test_a_remedy_that_is_in_the_message_is_not_said_twice(pending, run, told):
    run.waiting = [{"event": "error", "message": "no lung. Is it a chest CT?", "remedy": "Is it a chest CT?"}]
    pending.poll()
    assert told[0]["message"] == "no lung. Is it a chest CT?"


def test_an_error_while_publishing_ends_the_run(runs, run, told, module):
    def publish(event):
        raise ValueError("the scene refuses")

    pending = runs.PendingRun(run, publish, module.Outcome(), told.append)
    pending.start()
    run.waiting = [RESULT]
    pending.poll()
    assert pending.finished and str(pending.error) == "the scene refuses"
    assert told == [{"event": "error", "message": "the scene refuses"}] and run.calls[-1] == "close"


def test_abandoning_says_nothing(pending, run, told):
    pending.abandon()
    run.waiting = [RESULT]
    pending.poll()
    assert pending.finished and told == [] and pending.published == []
    assert run.calls == ["start", "cancel", "close"]


def test_a_timer_brings_the_events(pending, run, told):
    pending.follow()
    run.waiting = [PROGRESS, RESULT]
    end = time.monotonic() + 5
    while not pending.finished and time.monotonic() < end:
        slicer.app.processEvents()
    assert [event["event"] for event in told] == ["progress", "result"]


def test_in_process_run(runs):
    from LungNoduleSegLib.errors import Cancelled

    class Segmenter:
        def segment(self, ct, roi, threshold, min_diameter_mm, progress, cancel):
            progress(0.5, "half")
            if ct == "wait":
                while not cancel():
                    time.sleep(0.001)
                raise Cancelled("cancelled")
            if ct == "bad":
                raise ValueError("bad CT")
            return ct, roi, threshold, min_diameter_mm

    def events_of(ct, cancel=False):
        run = runs.InProcessRun(Segmenter(), ct, {"threshold": 0.2, "roi": None, "min_diameter_mm": 3.0})
        run.start()
        found = []
        while run.running or not found or found[-1]["event"] == "progress":
            found += run.events()
            if cancel and found:
                run.cancel()
        return found

    assert events_of("ct") == [
        {"event": "progress", "fraction": 0.5, "message": "half"},
        {"event": "result", "result": ("ct", None, 0.2, 3.0)},
    ]
    assert events_of("wait", cancel=True)[-1] == {"event": "cancelled"}
    assert events_of("bad")[-1]["message"] == "bad CT"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""), (3, "a few seconds left"), (44, "about 40 s left"), (100, "about 2 min left"),
        (600, "about 10 min left"),
    ],
)
def test_time_left_is_rough(runs, seconds, words):
    assert runs.timeLeft(seconds) == words


def test_an_event_that_could_not_be_told_does_not_hide_the_end(runs, run, module):
    told = []

    def tell(event):
        told.append(event["event"])
        if event["event"] == "progress":
            raise ValueError("the listener fails")

    pending = runs.PendingRun(run, lambda event: module.Outcome(message="shown"), module.Outcome(), tell)
    pending.start()
    run.waiting = [PROGRESS, RESULT]
    with pytest.raises(ValueError, match="the listener fails"):
        pending.poll()
    pending.poll()
    assert pending.finished and pending.outcome.message == "shown" and told == ["progress", "result"]


def test_who_polls_while_being_told_hears_all_in_order(runs, run, module):
    told = []

    def tell(event):
        told.append(event["event"])
        pending.poll()

    pending = runs.PendingRun(run, lambda event: module.Outcome(), module.Outcome(), tell)
    pending.start()
    run.waiting = [PROGRESS, PROGRESS, RESULT]
    pending.poll()
    assert told == ["progress", "progress", "result"]


def test_waiting_for_a_run_that_was_abandoned_gives_the_outcome_of_a_cancelled_one(pending, run, told):
    pending.abandon()
    assert pending.wait().message == "cancelled" and told == []
