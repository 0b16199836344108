"""The process that answers clicks."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import numpy as np
import pytest

from LungNoduleSegLib.client import worker
from LungNoduleSegLib.client.exchange import Base
from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.worker import ClickWorker
from Testing.cli.tiny import NODULES, phantom
from Testing.client.fakes import gone, last, own_folders, pid_of

POINT = [(1.0, 2.0, 3.0)]

# Answers every job; a click with the x of a key in `do` does that instead.
SERVER = """
ready()
import shutil, threading, queue
lines = queue.Queue()
def read():
    for line in sys.stdin:
        lines.put(json.loads(line))
    os._exit(0)
threading.Thread(target=read, daemon=True).start()
while True:
    job = lines.get()
    if job.get("cancel"):
        continue
    x = job["positive_ras"][0][0] if job.get("positive_ras") else 0
    say("progress", fraction=0.1, message="job", id=job["id"], told=job, pid=os.getpid())
    if x == -1:
        lines.get()
        os._exit(5)
    if x == -2:
        say("error", id=job["id"], kind="InputError", message="m", finding="outside", path=None, remedy="Move it.")
        continue
    if x == -3:
        while not lines.get().get("cancel"):
            pass
        say("cancelled", id=job["id"])
        continue
    if x == -4:
        time.sleep(120)
    if job["command"] == "load":
        say("result", id=job["id"], seconds=0.1)
        continue
    shutil.copyfile(SAVED, job["output"])
    record = job["output"][:-4] + ".json"
    shutil.copyfile(SAVED[:-4] + ".json", record)
    say("result", id=job["id"], npz=job["output"], json=record, nodules=1, headline="1 nodule", seconds=0.1)
"""


@pytest.fixture
def opened():
    workers = []

    def make(interpreter, **options) -> ClickWorker:
        workers.append(ClickWorker(interpreter, **options))
        return workers[-1]

    yield make
    for one in workers:
        one.close()


@pytest.fixture
def server(scripted, saved, opened):
    def make(**options) -> ClickWorker:
        return opened(scripted(f"SAVED = {str(saved)!r}\n{SERVER}"), **options)

    return make


def answers(one: ClickWorker, count: int) -> dict[int, dict]:
    """The last event of so many jobs, by job."""
    found: dict[int, dict] = {}
    while len(found) < count:
        for event in last(one):
            if event["event"] in ("result", "cancelled", "error"):
                assert event["job"] not in found
                found[event["job"]] = event
    return found


def test_clicks_on_a_real_model(tiny, ct, opened):
    one = opened(Interpreter.default(), threads=1)
    assert not one.alive and one.warm_for is None
    one.warm(ct, "tiny", "cpu")
    one.warm(ct, "tiny", "cpu")
    warm = last(one, "warm", "error")
    assert [event["event"] for event in warm].count("warm") == 1 and {event["job"] for event in warm} == {0}
    assert one.alive and one.warm_for == (ct, "tiny", "cpu")
    one.warm(ct, "tiny", "cpu")
    (k, j, i, radius), other = NODULES
    nodule = ct.kji_to_ras(np.array([k, j, i], float))
    first = one.click(ct, "tiny", "cpu", [nodule])
    events = last(one)
    assert {event["job"] for event in events} == {first}
    result = events[-1]["result"]
    assert result.ct is ct and result.kind == "SEMIAUTOMATIC" and len(result.nodules) == 1
    assert result.nodules[0].mean_diameter_mm == pytest.approx(2 * radius, abs=2.5)
    assert events[-1]["record"]["command"] == "click"
    # A part of it is cut away, and the other nodule added.
    mask = result.labels == 1
    box = tuple(slice(int(a.min()), int(a.max()) + 1) for a in np.nonzero(mask))
    base = Base((box[0].start, box[1].start, box[2].start), mask[box])
    edge = (k, j, int(np.flatnonzero(mask[k, j]).max()))
    cut = one.click(ct, "tiny", "cpu", [], [ct.kji_to_ras(edge)], base)
    more = one.click(ct, "tiny", "cpu", [ct.kji_to_ras(other[:3])], base=base)
    outside = one.click(ct, "tiny", "cpu", [(999, 0, 0)])
    found = answers(one, 3)
    smaller, larger = found[cut]["result"].labels == 1, found[more]["result"].labels == 1
    assert not smaller[edge] and 0 < smaller.sum() < mask.sum() and not (smaller & ~mask).any()
    assert larger[mask].all() and larger[other[:3]]
    assert found[outside]["kind"] == "InputError" and "outside of the CT" in found[outside]["message"]
    (folder,) = own_folders()
    assert [path.name for path in folder.iterdir()] == ["volume-1.npz"]


def test_a_ct_is_handed_over_once(server, ct):
    one = server(threads=0)
    jobs = []
    again = phantom(seed=1)
    for volume in (ct, ct, again, ct):
        one.click(volume, "m", "cpu", POINT)
        events = last(one)
        assert events[-1]["event"] == "result", events
        jobs += [event["job"] for event in events if event.get("message") == "Handing the CT over"]
    assert jobs == [1, 3, 4]
    (folder,) = own_folders()
    assert len(list(folder.glob("volume-*.npz"))) == 1
    assert one.warm_for == (ct, "m", "cpu")


def test_a_dead_process_is_an_error_for_every_waiting_job_and_the_next_click_starts_another(server, ct):
    one = server()
    first = one.click(ct, "m", "cpu", POINT)
    before = last(one)
    pids = [event["pid"] for event in before if "pid" in event]
    lost = [one.click(ct, "m", "cpu", [(-1.0, 0, 0)]), one.click(ct, "m", "cpu", POINT)]
    found = answers(one, 2)
    assert sorted(found) == lost
    for event in found.values():
        assert event["event"] == "error" and "exit code 5" in event["message"]
    assert not one.alive and one.warm_for is None
    after = one.click(ct, "m", "cpu", POINT)
    events = last(one)
    assert events[-1]["event"] == "result" and events[-1]["job"] == after > first
    assert {event["pid"] for event in events if "pid" in event}.isdisjoint(pids)
    assert one.alive and "exit code 5" in one.log


def test_an_error_leaves_the_process_alive(server, ct):
    one = server()
    one.click(ct, "m", "cpu", [(-2.0, 0, 0)])
    event = last(one)[-1]
    assert (event["kind"], event["message"], event["remedy"]) == ("InputError", "Outside.", "Move it.")
    assert one.alive
    one.click(ct, "m", "cpu", POINT)
    assert last(one)[-1]["event"] == "result"


def test_cancel_answers_at_once_and_keeps_the_process(server, ct):
    one = server()
    one.click(ct, "m", "cpu", POINT)
    pid = next(event["pid"] for event in last(one) if "pid" in event)
    jobs = [one.click(ct, "m", "cpu", [(-3.0, 0, 0)]), one.click(ct, "m", "cpu", POINT)]
    last(one, "progress")
    asked = time.monotonic()
    one.cancel()
    assert {job: event["event"] for job, event in answers(one, 2).items()} == dict.fromkeys(jobs, "cancelled")
    assert time.monotonic() - asked < 0.5 and not one.busy
    one.click(ct, "m", "cpu", POINT)
    events = last(one)
    assert events[-1]["event"] == "result" and {event["pid"] for event in events if "pid" in event} == {pid}


@pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups")
def test_a_process_that_does_not_react_to_cancelling_is_ended(server, ct, monkeypatch):
    monkeypatch.setattr(worker, "STUCK_S", 0.2)
    one = server()
    one.click(ct, "m", "cpu", [(-4.0, 0, 0)])
    pid = pid_of(one)
    one.cancel()
    one.click(ct, "m", "cpu", POINT)  # before the process is given up
    assert [event["event"] for event in answers(one, 2).values()] == ["cancelled", "result"]
    assert gone(pid)


def test_a_launcher_that_hands_no_input_on_is_found_out(scripted, opened, ct, monkeypatch):
    monkeypatch.setattr(worker, "FIRST_WORD_S", 0.3)
    one = opened(scripted("ready(); time.sleep(120)"))
    one.click(ct, "m", "cpu", POINT)
    event = last(one)[-1]
    assert event["kind"] == "NoAnswer" and "did not answer" in event["message"]


def test_a_python_that_cannot_be_started_is_an_error_for_its_job(opened, ct, tmp_path):
    one = opened(Interpreter(tmp_path / "absent", own=False))
    numbers = [one.click(ct, "m", "cpu", POINT), one.click(ct, "m", "cpu", POINT)]
    assert {job: event["kind"] for job, event in answers(one, 2).items()} == dict.fromkeys(numbers, "CannotStart")
    one.warm(ct, "m", "cpu")
    assert last(one)[-1]["job"] == 0


def test_closed_and_used_again(server, ct):
    one = server()
    one.click(ct, "m", "cpu", POINT)
    pid = next(event["pid"] for event in last(one) if "pid" in event)
    waiting = one.click(ct, "m", "cpu", [(-3.0, 0, 0)])
    one.close()
    one.close()
    assert not one.alive and one.warm_for is None
    assert last(one)[-1] == {"event": "cancelled", "job": waiting}
    again = one.click(ct, "m", "cpu", POINT)
    events = last(one)
    assert events[-1]["event"] == "result" and events[-1]["job"] == again
    assert gone(pid)
    one.close()
    one.close()


def test_the_runner_is_told_what_was_asked(server, ct):
    one = server(threads=2)
    base = Base((1, 2, 3), np.ones((2, 2, 2), bool))
    one.click(ct, "m", "cuda", np.array(POINT), [(4, 5, 6)], base)
    job = next(event["told"] for event in last(one) if "told" in event)
    assert job["command"] == "click" and job["model"] == "m" and job["device"] == "cuda" and job["threads"] == 2
    assert job["positive_ras"] == [[1, 2, 3]] and job["negative_ras"] == [[4, 5, 6]]
    assert set(job["base"]) == {"labels"} and job["volume"].endswith(".npz") and json.dumps(job).isascii()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_killed_while_idle_is_replaced(server, ct):
    one = server()
    one.click(ct, "m", "cpu", POINT)
    pid = next(event["pid"] for event in last(one) if "pid" in event)
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while one.alive and time.monotonic() < end:
        time.sleep(0.01)
    assert one.events() == [] and not one.alive
    one.click(ct, "m", "cpu", POINT)
    assert last(one)[-1]["event"] == "result"
