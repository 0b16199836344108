"""The JSON-lines process: what it says, what it writes, and how it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from LungNoduleSegLib.errors import Cancelled, InputError
from LungNoduleSegLib.report.processes import library_environment
from LungNoduleSegLib.report.saved import load_result
from LungNoduleSegLib.runner import Channel, Worker, check_job, describe_error
from Testing.cli.tiny import NODULES, TRAINED_SERIES, phantom, write_store

ROOT = Path(__file__).resolve().parents[1]
WAIT_S = 300


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_store(folder)
    return folder


@pytest.fixture(scope="module")
def volume(tmp_path_factory) -> Path:
    """The phantom as the panel hands a volume over."""
    ct = phantom(series_uid=TRAINED_SERIES)
    path = tmp_path_factory.mktemp("volume") / "volume.npz"
    np.savez(path, hu=ct.hu, ijk_to_ras=ct.ijk_to_ras, series_uid=np.array(ct.series_uid))
    return path


class Process:
    """The runner as a child, with its events read in the background."""

    def __init__(self, store: Path, *arguments: str):
        environment = {**library_environment(), "LUNGNODULESEG_WEIGHTS": str(store), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "LungNoduleSegLib.runner", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        self._events: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._events.put(json.loads(line))  # every line must be JSON
        self._events.put(None)

    def event(self) -> dict | None:
        return self._events.get(timeout=WAIT_S)

    def until(self, *names: str) -> dict:
        """The next event of these names; progress may come before it."""
        while True:
            event = self.event()
            assert event is not None, self.process.stderr.read()
            if event["event"] in names:
                return event
            assert event["event"] in ("ready", "progress"), event

    def send(self, message: dict | str) -> None:
        self.process.stdin.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        self.process.stdin.close()
        code = self.process.wait(timeout=WAIT_S)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture
def start(store):
    started = []

    def run(*arguments: object) -> Process:
        started.append(Process(store, *map(str, arguments)))
        return started[-1]

    yield run
    for process in started:
        process.process.kill()
        process.process.wait()
        for pipe in (process.process.stdin, process.process.stdout, process.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def write_job(tmp_path: Path, **job) -> Path:
    path = tmp_path / "job ä.json"
    path.write_text(json.dumps({"model": "tiny", "device": "cpu", **job}), encoding="utf-8")
    return path


def test_one_job_from_file_to_result(start, volume, tmp_path):
    target = tmp_path / "Ergebnis ä" / "result.npz"
    target.parent.mkdir()
    process = start(write_job(tmp_path, command="segment", volume=str(volume), output=str(target)))
    ready = process.event()
    assert ready["event"] == "ready"
    assert ready["pid"] == process.process.pid
    fractions = []
    while (event := process.event())["event"] == "progress":
        fractions.append(event["fraction"])
        assert isinstance(event["message"], str)
    assert len(fractions) > 5
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    assert event["event"] == "result", event
    assert event["nodules"] == 2
    assert event["headline"] == "2 nodules"
    assert process.end() == 0

    ct = phantom(series_uid=TRAINED_SERIES)
    result = load_result(event["npz"], ct)
    assert len(result._measured) == len(result.candidates)  # at any threshold nothing is left to measure
    for k, j, i, _ in NODULES:
        assert result.labels[k, j, i] > 0
    assert result.model == "tiny"
    assert result.seen_in_training == "train"
    assert len(result.at(0.0).nodules) == len([c for c in result.candidates if c.diameter_mm >= 3])
    record = json.loads(Path(event["json"]).read_text(encoding="utf-8"))
    assert [nodule["uid"] for nodule in record["nodules"]] == [nodule.uid for nodule in result.nodules]
    assert sorted(path.name for path in target.parent.iterdir()) == ["result.json", "result.npz"]


def test_end_of_input_cancels_and_nothing_is_written(start, volume, tmp_path):
    target = tmp_path / "result.npz"
    process = start(write_job(tmp_path, command="segment", volume=str(volume), output=str(target)))
    assert process.event()["event"] == "ready"
    process.process.stdin.close()
    assert process.until("cancelled", "result")["event"] == "cancelled"
    assert process.process.wait(timeout=WAIT_S) == 130
    assert not target.exists()
    assert not list(tmp_path.glob("result*"))


def test_cancel_line_cancels(start, volume, tmp_path):
    target = tmp_path / "result.npz"
    process = start(write_job(tmp_path, command="segment", volume=str(volume), output=str(target)))
    process.until("progress")
    process.send({"cancel": True})
    assert process.until("cancelled", "result")["event"] == "cancelled"
    assert process.end() == 130
    assert not target.exists()


def test_error_names_finding_remedy_and_path(start, tmp_path):
    absent = tmp_path / "absent.nrrd"
    job = write_job(tmp_path, command="segment", ct=str(absent), output=str(tmp_path / "r.npz"))
    process = start(job)
    error = process.until("error", "result")
    assert error["event"] == "error"
    assert str(absent) in (error["path"] or "") + error["message"]
    assert error["finding"]
    assert error["exit_code"] == 2
    assert "Traceback" not in error["message"]
    assert process.end() == 2
    assert not (tmp_path / "r.npz").exists()


def test_unreadable_arguments_are_an_error_event(start, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    process = start(tmp_path / "bad.json")
    error = process.until("error")
    assert "bad.json" in error["path"]
    assert process.end() == 2


def test_server_keeps_the_network_for_clicks(start, volume, tmp_path):
    process = start("--serve")
    assert process.event()["event"] == "ready"
    common = {"model": "tiny", "device": "cpu", "volume": str(volume)}
    process.send({"id": 1, "command": "load", **common})
    first = process.until("result", "error")
    assert (first["event"], first["id"]) == ("result", 1)
    ct = phantom()
    for number, (k, j, i, radius) in enumerate(NODULES, 2):
        x, y, z = ct.kji_to_ras(np.array([k, j, i], float)).tolist()
        target = tmp_path / f"{number}.npz"
        process.send({"id": number, "command": "click", "positive_ras": [[x, y, z]], "output": str(target), **common})
        event = process.until("result", "error")
        assert (event["event"], event["id"], event["nodules"]) == ("result", number, 1), event
        (nodule,) = load_result(target, ct).nodules
        assert np.linalg.norm(np.subtract(nodule.centroid_ras, (x, y, z))) < 2
        assert nodule.mean_diameter_mm == pytest.approx(2 * radius, abs=2.5)
    # A job that fails, and lines that are no job, leave the server alive.
    process.send({"id": 9, "command": "click", "output": "x.npz", "positive_ras": [[999, 0, 0]], **common})
    error = process.until("error", "result")
    assert (error["event"], error["id"], error["exit_code"]) == ("error", 9, 2)
    process.send("not JSON")
    assert "JSON object" in process.until("error")["message"]
    process.send({"id": 10, "command": "load", **common})
    assert process.until("result")["id"] == 10
    assert process.end() == 0


def test_wrong_number_of_arguments_ends_with_2():
    done = subprocess.run(
        [sys.executable, "-m", "LungNoduleSegLib.runner"], capture_output=True, env=library_environment(), cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"usage" in done.stderr
    assert done.stdout == b""


def channel(lines: str = "") -> tuple[Channel, io.StringIO]:
    sink = io.StringIO()
    return Channel(io.StringIO(lines), sink), sink


def events(sink: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_cancellation_counts_for_the_jobs_read_before_it_only():
    source, target = os.pipe()
    reader, writer = os.fdopen(source), os.fdopen(target, "w")
    talk = Channel(reader, io.StringIO())
    assert not talk.cancelled(0)
    writer.write('{"id": 1}\n{"id": 2}\n{"cancel": true}\n{"id": 3}\n')
    writer.flush()
    talk.listen()
    numbers = [talk.jobs.get(timeout=WAIT_S)[0] for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert [talk.cancelled(n) for n in (0, 1, 2, 3)] == [True, True, True, False]
    writer.close()
    assert talk.jobs.get(timeout=WAIT_S) == (-1, None)
    assert talk.cancelled(3)  # nobody listens any more
    reader.close()


_BUSY = """
import sys, time
from LungNoduleSegLib import runner
runner.ORPHAN_S = 0.2
runner.Worker.do = lambda *job, **tags: time.sleep(120)
runner.run(sys.argv[1:])
"""


def test_a_process_that_nobody_listens_to_ends_whatever_it_does(tmp_path):
    job = write_job(tmp_path, command="load", volume="v.npz")
    busy = subprocess.Popen(
        [sys.executable, "-c", _BUSY, str(job)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=library_environment(), cwd=ROOT,
    )  # fmt: skip
    with busy:
        assert json.loads(busy.stdout.readline())["event"] == "ready"
        assert busy.poll() is None
        busy.stdin.close()
        assert busy.wait(timeout=WAIT_S) == 130


def test_lost_reader_counts_as_the_end():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    talk = Channel(io.StringIO(""), Gone())
    talk.emit("progress", fraction=0.5)
    assert talk.closed.is_set()


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ([], "JSON object"),
        ({"command": "fly", "model": "m", "ct": "x", "output": "o"}, "Expected `command`"),
        ({"command": "segment", "model": "m", "ct": "x"}, "output"),
        ({"command": "segment", "ct": "x", "output": "o"}, "model"),
        ({"command": "click", "model": "m", "ct": "x", "output": "o"}, "positive_ras"),
        ({"command": "click", "model": "m", "ct": "x", "output": "o", "negative_ras": [[0, 0, 0]]}, "positive_ras"),
        ({"command": "click", "model": "m", "ct": "x", "output": "o", "base": {"labels": "b"}}, "positive_ras"),
        ({"command": "load", "model": "m"}, "either `ct` or `volume`"),
        ({"command": "load", "model": "m", "ct": "x", "volume": "y"}, "either `ct` or `volume`"),
        ({"command": "load", "model": "m", "ct": "x", "modle": "y"}, "modle"),
    ],
)
def test_bad_jobs_are_refused_with_the_reason(job, said):
    with pytest.raises(InputError, match=said):
        check_job(job)
    talk, sink = channel()
    assert Worker(talk).do(job, id=7) == 2
    (event,) = events(sink)
    assert event["event"] == "error"
    assert event["id"] == 7
    assert said.strip("`") in event["message"]


def test_bad_volume_and_mask_are_named(tmp_path, store, monkeypatch):
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(store))
    (tmp_path / "volume.npz").write_bytes(b"no zip")
    talk, sink = channel()
    job = {"command": "segment", "model": "tiny", "volume": str(tmp_path / "volume.npz"), "output": "o.npz"}
    assert Worker(talk).do(job) == 2
    assert events(sink)[-1]["path"] == str(tmp_path / "volume.npz")


@pytest.fixture
def worker(store, monkeypatch):
    """A worker in this process, and a function that does a job on it and gives its last event."""
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(store))
    talk, sink = channel()
    one = Worker(talk)

    def do(**job) -> dict:
        one.do({"model": "tiny", "device": "cpu", **job})
        return events(sink)[-1]

    return do


def test_probabilities_are_written_beside_the_result_when_asked_for(worker, volume, tmp_path):
    ct = phantom()
    (k, j, i, _), _ = NODULES
    click = {"command": "click", "volume": str(volume), "positive_ras": [ct.kji_to_ras((k, j, i)).tolist()]}
    without = worker(**click, output=str(tmp_path / "a.npz"))
    assert without["event"] == "result" and "probability" not in without
    event = worker(**click, output=str(tmp_path / "b.npz"), probability=True)
    assert event["probability"] == str(tmp_path / "b.probability.npz")
    with np.load(event["probability"]) as data:
        values = data["probability"]
    assert values.dtype == np.float16 and values.shape == ct.shape
    labels = load_result(tmp_path / "b.npz", ct).labels
    assert values[labels > 0].min() > 0.3 and values.max() <= 1 and (values == 0).mean() > 0.9
    assert json.loads((tmp_path / "b.json").read_text())["files"] == ["b.npz", "b.probability.npz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.json", "a.npz", "b.json", "b.npz", "b.probability.npz",
    ]  # fmt: skip


def test_uncertainty_is_in_the_result_when_asked_for(worker, volume, tmp_path):
    ct = phantom()
    segment = {"command": "segment", "volume": str(volume), "roi": [[10, -20, -20], [80, 20, 20]]}
    assert worker(**segment, output=str(tmp_path / "a.npz"))["event"] == "result"
    assert load_result(tmp_path / "a.npz", ct).spread is None
    assert worker(**segment, output=str(tmp_path / "b.npz"), uncertainty=True)["event"] == "result"
    result = load_result(tmp_path / "b.npz", ct)
    values = result.uncertainty()
    assert values.shape == ct.shape and not np.isnan(values[result.labels > 0]).any() and np.nanmax(values) <= 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.npz", "b.json", "b.npz"]


def test_a_click_changes_the_segment_that_it_is_given(worker, volume, tmp_path):
    ct = phantom()
    (k, j, i, _), _ = NODULES
    mask = np.ones((3, 9, 9), bool)
    np.savez(tmp_path / "base.npz", mask=mask, offset_kji=np.array([k - 1, j - 4, i - 4]))
    corner = ct.kji_to_ras((k - 1, j - 4, i - 4)).tolist()
    click = {"command": "click", "volume": str(volume), "output": str(tmp_path / "r.npz")}
    event = worker(**click, negative_ras=[corner], base={"labels": str(tmp_path / "base.npz")})
    assert event["event"] == "result", event
    result = load_result(tmp_path / "r.npz", ct)
    assert 0 < (result.labels == 1).sum() < mask.sum() and result.kind == "SEMIAUTOMATIC"
    assert result.labels[k - 1, j - 4, i - 4] == 0 and result.labels[k, j, i] == 1
    for base, said in (({"labels": str(volume)}, "no segment"), ("base.npz", "Expected `base`")):
        error = worker(**click, negative_ras=[corner], base=base)
        assert error["event"] == "error" and said in error["message"]


def test_threads_are_set_for_the_job(worker, volume):
    import torch

    before = torch.get_num_threads()
    try:
        assert worker(command="load", volume=str(volume), threads=1, engine="torch")["event"] == "result"
        assert torch.get_num_threads() == 1
        assert worker(command="load", volume=str(volume), threads=2, engine="torch")["event"] == "result"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_check_needs_neither_ct_nor_output(worker):
    event = worker(command="check")
    assert event["event"] == "result" and event["missing"] == [] and event["devices"][0]["name"] == "cpu"
    assert event["precision"] is not None and event["seconds_a_tile_batch"] > 0


def test_a_click_can_be_cancelled(store, volume, tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(store))
    talk, sink = channel()
    seen = []
    monkeypatch.setattr(talk, "cancelled", lambda number: any("Segmenting" in line for line in seen))
    emit = talk.emit
    monkeypatch.setattr(talk, "emit", lambda event, **fields: (seen.append(str(fields)), emit(event, **fields)))
    point = phantom().kji_to_ras(NODULES[0][:3]).tolist()
    job = {"command": "click", "model": "tiny", "device": "cpu", "volume": str(volume), "positive_ras": [point]}
    assert Worker(talk).do({**job, "output": str(tmp_path / "r.npz")}) == 130
    assert events(sink)[-1]["event"] == "cancelled" and not list(tmp_path.iterdir())


def test_errors_become_events():
    event = describe_error(InputError("no lung", path="a/b", remedy="Give a chest CT."))
    assert event == {
        "kind": "InputError", "message": "a/b: no lung. Give a chest CT.", "finding": "no lung",
        "remedy": "Give a chest CT.", "path": "a/b", "exit_code": 2,
    }  # fmt: skip
    assert describe_error(RuntimeError("x"))["exit_code"] == 1
    assert "not enough memory" in describe_error(MemoryError())["message"]
    assert describe_error(Cancelled("c"))["exit_code"] == 130
