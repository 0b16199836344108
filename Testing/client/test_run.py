"""A run: its result, its cancellation at every moment, and runners that misbehave."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from LungNoduleSegLib.client import exchange, run
from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.requirements import BROUGHT_BY_SLICER, ENGINES, REQUIREMENTS
from LungNoduleSegLib.client.run import Run
from Testing.cli.tiny import NODULES
from Testing.client.fakes import gone, last, own_folders, pid_of

ROOT = Path(__file__).resolve().parents[2]
SEGMENT = {"command": "segment", "model": "tiny", "device": "cpu"}
LOAD = {"command": "load", "model": "tiny", "device": "cpu"}
CANCEL_S = 2.0

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups")


@pytest.fixture
def started():
    """Starts runs and closes them after the test."""
    runs = []

    def start(interpreter, job=LOAD, **options) -> Run:
        runs.append(Run(interpreter, job, **options))
        runs[-1].start()
        return runs[-1]

    yield start
    for one in runs:
        one.close()


def error_of(follower) -> dict:
    events = last(follower)
    assert events[-1]["event"] == "error", events
    assert "Traceback" not in events[-1]["message"]
    assert events[-1]["message"].endswith(".")
    return events[-1]


@pytest.fixture(scope="module")
def real(store, ct, tmp_path_factory):
    """A real run on one thread through a launcher, with spaces and letters in every path: run, events, modules."""
    place = tmp_path_factory.mktemp("Programme ä b")
    modules = place / "modules"
    if sys.platform == "win32":
        interpreter = Interpreter.default()
    else:
        (place / "python ß").write_text(f'#!/bin/sh\n"{sys.executable}" -X importtime "$@" 2>"{modules}"\n')
        (place / "python ß").chmod(0o755)
        interpreter = Interpreter.at(place / "python ß")
    (place / "temporary").mkdir()
    job = {**SEGMENT, "probability": True, "roi": np.array([[-90.0, -76, -35], [90, 76, 10]])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUNGNODULESEG_WEIGHTS", str(store))
        patch.setattr("tempfile.tempdir", str(place / "temporary"))
        one = Run(interpreter, job, volume=ct, threads=1)
        one.start()
        assert one.running
        events = last(one)
    yield one, events, modules
    one.close()


def test_a_ct_becomes_a_result(real, ct):
    one, events, _ = real
    assert not one.running and one.seconds_left is None
    kinds = [event["event"] for event in events]
    assert kinds[-1] == "result", (events[-1], one.log)
    assert kinds.count("ready") == 1 and set(kinds[:-1]) == {"ready", "progress"}
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert len(fractions) > 5 and fractions == sorted(fractions) and one.fraction == 1.0
    result = events[-1]["result"]
    assert result.ct is ct and len(result.nodules) == 2 and events[-1]["headline"] == "2 nodules"
    for k, j, i, _ in NODULES:
        assert result.labels[k, j, i] > 0 and result.probability()[k, j, i] > 0.5
    assert result.probability().dtype == np.float16
    record = events[-1]["record"]
    assert [nodule["uid"] for nodule in record["nodules"]] == [nodule.uid for nodule in result.nodules]
    assert record["files"] == ["result.npz", "result.probability.npz"]
    assert record["ct"]["series_uid"] == ct.series_uid


def test_the_files_lie_in_a_private_place_of_ascii_letters_until_closing(real):
    one, _, modules = real
    (folder,) = own_folders()
    assert str(folder).isascii() or sys.platform == "win32"
    assert not list((modules.parent / "temporary").iterdir()) or sys.platform == "win32"
    assert folder.stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    one.close()
    one.close()
    assert one.events() == []


@posix
def test_a_run_needs_the_packages_that_are_named(real):
    """Of all that the library may import, what a run really has imported."""
    lines = real[2].read_text().splitlines()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    imported: set[str] = set()
    for path in (ROOT / "LungNoduleSegLib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                imported.add(node.module.partition(".")[0])
    foreign = (loaded & (imported | set(ENGINES))) - set(sys.stdlib_module_names) - {"LungNoduleSegLib"}
    assert foreign - set(ENGINES) == {*REQUIREMENTS, *BROUGHT_BY_SLICER}
    assert foreign & set(ENGINES), "what computed?"


@pytest.mark.parametrize(
    "moment", ["ready", "Loading the model", pytest.param("Searching the lungs", marks=pytest.mark.slow)]
)
def test_a_real_run_is_cancelled_within_two_seconds(tiny, ct, started, moment):
    one = started(Interpreter.default(), SEGMENT, volume=ct, threads=1)
    pid = None
    while moment is not None:
        for event in one.events():
            pid = event.get("pid", pid)
            if moment in (event["event"], event.get("message")):
                moment = None
        assert one.running, one.log
        time.sleep(0.005)
    asked = time.monotonic()
    one.cancel()
    assert time.monotonic() - asked < 0.1
    assert last(one)[-1] == {"event": "cancelled"}
    assert time.monotonic() - asked < CANCEL_S
    assert gone(pid, 0.1)


def test_cancelled_before_there_is_a_process(scripted, ct, tmp_path, started, monkeypatch):
    before = own_folders()
    interpreter = scripted(f"open({str(tmp_path / 'started')!r}, 'w').close()")
    never = Run(interpreter, LOAD, volume=ct)
    never.cancel()
    never.start()
    assert never.events() == [{"event": "cancelled"}] and not never.running
    # Handing over takes long: a few bytes at a time.
    monkeypatch.setattr(exchange, "_CHUNK_BYTES", 8)
    at_once = started(interpreter, volume=ct)
    at_once.cancel()
    assert last(at_once)[-1] == {"event": "cancelled"}
    writing = started(interpreter, volume=ct)
    while not any(event.get("message") == "Handing the CT over" for event in writing.events()):
        time.sleep(0.001)
    asked = time.monotonic()
    writing.cancel()
    assert last(writing)[-1] == {"event": "cancelled"} and time.monotonic() - asked < 0.5
    time.sleep(0.3)
    assert not (tmp_path / "started").exists()
    assert own_folders() == before


@posix
@pytest.mark.parametrize("group", ["start_new_session=False", "start_new_session=True"])
def test_cancelling_ends_the_whole_tree_of_a_process_that_does_not_react(scripted, started, group):
    one = started(scripted(f"""
        ready()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], {group})
        say("progress", fraction=0.1, message="child", pid=child.pid)
        time.sleep(120)
    """))
    child, asked = pid_of(one), time.monotonic()
    one.cancel()
    one.cancel()
    assert last(one)[-1] == {"event": "cancelled"}
    assert time.monotonic() - asked < CANCEL_S
    assert gone(child, CANCEL_S)


@posix
def test_a_child_that_outlives_its_parent_is_ended_and_holds_nothing_up(scripted, started):
    one = started(scripted("""
        ready()
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
        say("progress", fraction=0.1, message="child", pid=child.pid)
        os._exit(3)
    """))
    child, begun = pid_of(one), time.monotonic()
    error = error_of(one)
    assert error["kind"] == "Ended" and "exit code 3" in error["message"]
    assert time.monotonic() - begun < 5 and gone(child)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("ready(); sys.exit(7)", "Ended", "exit code 7"),
        ("sys.exit('my words')", "CannotStart", "my words"),
        ("ready(); sys.stdout.write('{\"event\": \"resu'); sys.stdout.flush(); os._exit(1)", "Ended", "exit code 1"),
        ("ready(); raise MemoryError", "OutOfMemory", "memory ran out"),
        ("ready(); import nothing_of_this_name", "MissingPackage", "nothing_of_this_name"),
        ("ready(); say('cancelled')", "Ended", "from outside"),
        ("ready(); say('error', kind='InputError', message='x', finding='no lung was found', path=None, remedy='Do.')",
         "InputError", "No lung was found."),
        ("ready(); say('result', npz='absent.npz', json='absent.json')", "InputError", "absent.npz"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_sentence(scripted, started, ct, code, kind, said):
    one = started(scripted(code), SEGMENT, volume=ct)
    error = error_of(one)
    assert error["kind"] == kind and said in error["message"] and isinstance(error["remedy"], str)
    time.sleep(0.05)
    assert one.events() == []  # exactly one last event
    assert not one.running


def test_a_python_without_packages_is_one_sentence(bare, started, ct):
    error = error_of(started(bare, SEGMENT, volume=ct))
    assert error["kind"] == "MissingPackage" and "numpy is missing in" in error["message"]
    assert "-m pip install" in error["remedy"] and str(bare.path) in error["remedy"]


@posix
@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (signal.SIGKILL, "OutOfMemory", "memory"),
        (signal.SIGSEGV, "Crash", "SIGSEGV"),
        (signal.SIGABRT, "Crash", "SIGABRT"),
        (signal.SIGTERM, "Killed", "SIGTERM"),
    ],
)
def test_signals_have_their_sentences(scripted, started, number, kind, said):
    error = error_of(started(scripted(f"""
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ready()
        os.kill(os.getpid(), {number:d})
    """)))
    assert error["kind"] == kind and said in error["message"] and error["remedy"]


def test_a_program_that_cannot_be_started_is_named(started, tmp_path):
    program = tmp_path / "python"
    program.write_text("")
    error = error_of(started(Interpreter(program, own=False)))
    assert error["kind"] == "CannotStart" and str(program) in error["message"]
    absent = error_of(started(Interpreter(tmp_path / "absent", own=False)))
    assert str(tmp_path / "absent") in absent["message"]


@posix
def test_silence_ends_with_an_error(scripted, started, monkeypatch):
    monkeypatch.setattr(run, "ANSWER_S", 0.3)
    one = started(scripted("time.sleep(120)"))
    assert error_of(one)["kind"] == "NoAnswer"
    pid = int(one.log.partition("as process ")[2].partition(".")[0])
    assert gone(pid)


def test_what_is_printed_beside_events_is_logged_only(scripted, started):
    one = started(scripted("""
        print("Loading personal settings"); print("[1, 2]"); print('{"no": "event"}'); sys.stdout.flush()
        ready()
        for n in range(100_000):
            sys.stderr.write(f"complaint {n} ä " + "x" * 40 + "\\n")
        sys.stderr.flush()
        say("result", seconds=1.0)
        say("result", seconds=2.0)
        say("error", kind="E", message="too late")
    """))
    events = last(one)
    assert [event["event"] for event in events] == ["ready", "result"]
    assert events[-1]["seconds"] == 1.0 and events[-1]["result"] is None
    while "ended with exit code" not in one.log:
        time.sleep(0.01)
    assert one.events() == []
    assert len(one.log) <= 200_000 and "complaint 99999 ä" in one.log and "complaint 100 " not in one.log
    quiet = started(scripted("print('Loading personal settings'); ready(); say('result', seconds=0)"))
    last(quiet)
    assert "Loading personal settings" in quiet.log and "as process" in quiet.log


def test_a_result_after_cancelling_counts_as_cancelled(scripted, started):
    one = started(scripted("ready(); sys.stdin.readline(); say('result', seconds=1.0)"))
    last(one, "ready")
    one.cancel()
    assert last(one)[-1] == {"event": "cancelled"}


def test_the_process_gets_threads_job_and_an_empty_folder(scripted, started, ct):
    one = started(scripted("""
        ready()
        job = json.load(open(sys.argv[1], encoding="utf-8"))
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OWN")
        say("result", job=job, variables=[os.environ.get(name) for name in names], files=os.listdir("."))
    """), {**SEGMENT, "roi": ((np.float32(1), 2, 3), (4, 5, 6))}, volume=ct, threads=3, environment={"OWN": "1"},
    )  # fmt: skip
    event = last(one)[-1]
    assert event["variables"] == ["3", "3", "3", "1"]
    assert event["job"]["threads"] == 3 and event["job"]["roi"] == [[1, 2, 3], [4, 5, 6]]
    assert sorted(event["files"]) == ["job.json", "volume.npz"]
    free = started(scripted("""
        ready()
        say("result", variable=os.environ.get("OMP_NUM_THREADS"), job=json.load(open(sys.argv[1], encoding="utf-8")))
    """), environment={})  # fmt: skip
    assert last(free)[-1]["variable"] is None and last_job(free)["threads"] is None


def last_job(follower) -> dict:
    again = Run(follower._interpreter, LOAD, environment={})
    again.start()
    job = last(again)[-1]["job"]
    again.close()
    return job


def test_closing_ends_the_process_and_removes_the_files(scripted, started):
    one = started(scripted("ready(); say('progress', fraction=0.5, message='child', pid=os.getpid()); time.sleep(120)"))
    pid = pid_of(one)
    begun = time.monotonic()
    one.close()
    assert time.monotonic() - begun < 0.5
    assert gone(pid) and last(one)[-1] == {"event": "cancelled"}


_APPLICATION = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from Testing.client.fakes import Scripted
from LungNoduleSegLib.client.run import Run
run = Run(Scripted(Path(sys.executable), own=True, script=Path({script!r})), dict(command="load"))
run.start()
while not (said := [e for e in run.events() if e.get("message") == "child"]):
    time.sleep(0.01)
print(said[0]["pid"], run._exchange.folder, flush=True)
{end}
"""


@posix
@pytest.mark.parametrize("end", ["sys.exit(0)", "import os; os.kill(os.getpid(), 9)"])
def test_nothing_outlives_the_application(scripted, end):
    code = "ready(); say('progress', fraction=0.5, message='child', pid=os.getpid()); sys.stdin.read(); time.sleep({})"
    # After a crash of the application the runner itself sees the end of its input.
    script = scripted(code.format(120 if "exit" in end else 0)).script
    application = textwrap.dedent(_APPLICATION).format(root=str(ROOT), script=str(script), end=end)
    done = subprocess.run([sys.executable, "-c", application], capture_output=True, text=True, timeout=100, check=False)
    pid, folder = done.stdout.split()
    assert gone(int(pid), 5.0), done.stderr
    if "exit" in end:
        assert not Path(folder).exists()
    else:
        assert Path(folder) in exchange.remove_left_overs() and not Path(folder).exists()


def test_python_too_old_is_said(scripted, started, tmp_path):
    """The code that starts the runner, in a Python that calls itself 3.8."""
    fake = scripted("""
        class Old(tuple):
            pass
        sys.version_info, sys.version = (3, 8, 10), "3.8.10 (made up)"
        exec(sys.argv[1])
    """)

    class OldPython(type(fake)):
        def command(self, *arguments):
            _, _, code, *rest = Interpreter.command(self, *arguments)
            return [str(self.path), str(self.script), code, *rest]

    error = error_of(started(OldPython(fake.path, own=False, script=fake.script)))
    assert error["kind"] == "WrongPython" and "is Python 3.8.10" in error["message"] and "3.10" in error["message"]


@posix
def test_a_whole_ct_run_gives_way_to_other_programs(scripted, started):
    one = started(scripted("ready(); time.sleep(0.3); say('result', nice=os.nice(0))"))
    assert last(one)[-1]["nice"] > os.nice(0)
