"""Clicks one after another to a worker, whatever it answers."""

from __future__ import annotations

import pytest


@pytest.fixture
def clicks(module):
    from LungNoduleSegPanel import clicks

    return clicks


class Scripted:
    """Stands for the worker's process."""

    log, alive = "", True

    def __init__(self):
        self.asked, self.waiting, self.calls = [], [], []

    def warm(self, ct, model, device):
        self.calls.append(("warm", ct, model, device))

    def click(self, *arguments):
        self.asked.append(arguments)
        return len(self.asked)

    def events(self):
        found, self.waiting = self.waiting, []
        return found

    def cancel(self):
        self.calls.append("cancel")

    def close(self):
        self.calls.append("close")


@pytest.fixture
def workers():
    return []


@pytest.fixture
def queue(clicks, workers):
    def start():
        workers.append(Scripted())
        return workers[-1]

    made = clicks.ClickQueue(start)
    yield made
    made.close()


def ask(queue, name, done):
    return queue.add(
        lambda: ("ct", "model", "cpu", [name], [], None),
        lambda result: (f"segment of {result}", "node", f"{result} segmented"),
        done.append,
    )


def test_the_second_click_waits_for_the_first(queue, workers):
    done = []
    first, second = ask(queue, "one", done), ask(queue, "two", done)
    worker = workers[0]
    assert [job[3] for job in worker.asked] == [["one"]] and queue.busy
    worker.waiting = [{"event": "progress", "job": 1}, {"event": "result", "job": 1, "result": "A"}]
    queue.poll()
    assert done == [first] and first.segmentId == "segment of A" and first.segmentationNode == "node"
    assert [job[3] for job in worker.asked] == [["one"], ["two"]]
    worker.waiting = [{"event": "result", "job": 2, "result": "B"}]
    queue.poll()
    assert done == [first, second] and second.message == "B segmented" and not queue.busy
    assert len(workers) == 1


def test_what_a_click_refines_is_read_when_it_is_its_turn(queue, workers):
    state = ["as it was"]
    queue.add(lambda: ("ct", "m", "cpu", [1], [], None), lambda result: (state.append("changed"), None, ""))
    queue.add(lambda: ("ct", "m", "cpu", [2], [], state[-1]), lambda result: (None, None, ""))
    workers[0].waiting = [{"event": "result", "job": 1, "result": None}]
    queue.poll()
    assert workers[0].asked[1][-1] == "changed"


def test_an_error_is_that_clicks_alone(queue, workers, clicks):
    done = []
    first, second = ask(queue, "one", done), ask(queue, "two", done)
    workers[0].waiting = [{"event": "error", "job": 1, "message": "killed", "remedy": "Close other programs."}]
    queue.poll()
    with pytest.raises(clicks.RunFailed, match=r"^killed\. Close other programs\.$"):
        first.wait()
    workers[0].waiting = [{"event": "result", "job": 2, "result": "B"}]
    assert second.wait() == "segment of B"


def test_a_click_that_cannot_be_sent_lets_the_next_one_through(queue, workers):
    def fails():
        raise RuntimeError("Choose a CT.")

    done = []
    refused = queue.add(fails, None, done.append)
    assert refused.finished and str(refused.error) == "Choose a CT."
    ask(queue, "next", done)
    assert [job[3] for job in workers[0].asked] == [["next"]]


def test_an_error_while_publishing_is_told(queue, workers):
    def refuses(result):
        raise ValueError("the scene refuses")

    click = queue.add(lambda: ("ct", "m", "cpu", [1], [], None), refuses)
    workers[0].waiting = [{"event": "result", "job": 1, "result": "A"}]
    queue.poll()
    assert str(click.error) == "the scene refuses" and not queue.busy


def test_cancelling_drops_what_waits(queue, workers):
    done = []
    first, second = ask(queue, "one", done), ask(queue, "two", done)
    queue.cancel()
    assert done == [second] and second.message == "Cancelled; nothing was changed." and second.error is None
    assert workers[0].calls == ["cancel"]
    workers[0].waiting = [{"event": "cancelled", "job": 1}]
    queue.poll()
    assert first.finished and first.segmentId is None and not queue.busy


def test_closing_ends_the_worker_and_the_next_click_starts_another(queue, workers):
    done = []
    ask(queue, "one", done)
    queue.close()
    assert workers[0].calls == ["close"] and done[0].finished and not queue.warm
    ask(queue, "two", done)
    assert len(workers) == 2


def test_a_worker_that_is_not_used_gives_its_memory_back(queue, workers, clicks, monkeypatch):
    queue.warmUp("ct", "model", "cpu")
    assert workers[0].calls == [("warm", "ct", "model", "cpu")] and queue.warm
    queue.poll()
    assert queue.warm
    later = clicks.time.monotonic() + 60 * clicks.IDLE_MINUTES + 1
    monkeypatch.setattr(clicks.time, "monotonic", lambda: later)
    queue.poll()
    assert workers[0].calls[-1] == "close" and not queue.warm
