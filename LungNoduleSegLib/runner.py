"""A run in a process of its own that speaks JSON lines: how the panel segments without freezing.

``python -m LungNoduleSegLib.runner ARGS.json`` does one job and ends; ``--serve`` instead of the file keeps the network
and the CT in memory and takes one job after another from standard input, for clicks.

Each line of standard output is one JSON object. Nothing else is ever printed there: what libraries print goes to
standard error.

=============  ==========================================================================================
``ready``      ``version``, ``pid``; once, before anything slow
``progress``   ``fraction`` 0..1, ``message``
``result``     ``npz`` (see :func:`LungNoduleSegLib.report.saved.load_result`), ``json`` (the run's record),
               ``nodules``, ``headline``, ``seconds``, ``peak_mb``
``cancelled``  nothing was written
``error``      ``kind``, ``message``, ``finding``, ``remedy``, ``path``, ``exit_code``
=============  ==========================================================================================

With ``--serve`` each of them carries the job's ``id``.

A job is a JSON object: ``command`` ("segment", "click", "load" or "check"), ``output`` (path of the .npz; the record is
written beside it as .json), ``model``, ``device``, ``engine`` ("auto", "torch", "openvino" or "onnxruntime"),
``threads`` (of the CPU), and the CT as ``ct`` (a path, with ``series``) or ``volume`` (an .npz with ``hu`` int16
[k, j, i], ``ijk_to_ras`` and optionally ``series_uid`` and ``study_uid``); for "segment" ``roi``, ``threshold``,
``min_diameter_mm``, ``lung_mask`` (an .npy, bool [k, j, i]) and ``uncertainty`` (true: the result keeps how far the
views disagree, for ``Result.uncertainty``); for "click" ``positive_ras``, ``negative_ras`` and ``base`` (``{"labels":
an .npz}`` with ``mask``, bool [k, j, i], and ``offset_kji``: the segment that the points change). With ``probability``
true the probabilities of the voxels are written beside the result as .probability.npz (``probability``, float16
[k, j, i]), and
"result" names the file as ``probability``. "check" needs neither CT nor output, and no package either: its "result"
says what there is (see :mod:`LungNoduleSegLib.client.probe`). A line ``{"cancel": true}``, or the end of standard
input, ends the running job.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NoReturn

from LungNoduleSegLib import __version__
from LungNoduleSegLib.errors import Cancelled, InputError, LungNoduleSegError

COMMANDS = ("segment", "click", "load", "check")
_KEYS = frozenset(
    ("id", "command", "output", "model", "device", "engine", "threads", "ct", "series", "volume", "roi", "threshold",
     "min_diameter_mm", "lung_mask", "uncertainty", "positive_ras", "negative_ras", "base", "probability")
)  # fmt: skip

ORPHAN_S = 5.0
"""A process that nobody listens to any more ends after this time, whatever it is busy with."""


class Channel:
    """The two ends: events out, jobs and cancellations in.

    Parameters
    ----------
    source
        Text lines; read by a thread until it ends.
    sink
        Where events are written.
    """

    def __init__(self, source: IO[str], sink: IO[str]):
        self._source, self._sink = source, sink
        self._lock = threading.Lock()
        self._read_jobs = 0
        self._cancelled_to = -1
        self.closed = threading.Event()
        self.jobs: queue.Queue[tuple[int, Any]] = queue.Queue()

    def listen(self) -> None:
        """Starts to read."""
        threading.Thread(target=self._read, name="runner-input", daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._source:
                if not line.strip():
                    continue
                try:
                    message = json.loads(line)
                except ValueError:
                    message = None
                if isinstance(message, dict) and message.get("cancel") is True:
                    self._cancelled_to = self._read_jobs
                else:
                    self._read_jobs += 1
                    self.jobs.put((self._read_jobs, message if isinstance(message, dict) else line.strip()))
        self.closed.set()
        self.jobs.put((-1, None))

    def cancelled(self, number: int) -> bool:
        """Whether a job is to end: a cancellation counts for every job that was read before it, running or waiting.

        The job of the arguments file has the number 0, those of standard input count from 1.
        """
        return self.closed.is_set() or number <= self._cancelled_to

    def emit(self, event: str, **fields: Any) -> None:
        """Writes one event; a reader that is gone counts as a cancellation."""
        try:
            with self._lock:
                self._sink.write(json.dumps({"event": event, **fields}, ensure_ascii=True) + "\n")
                self._sink.flush()
        except (OSError, ValueError):
            self.closed.set()


class Worker:
    """Does jobs; keeps the last CT and network for the next job."""

    def __init__(self, channel: Channel):
        self.channel = channel
        self._ct: tuple[Any, Any] | None = None
        self._segmenter: tuple[Any, Any] | None = None

    def do(self, job: Any, number: int = 0, **tags: Any) -> int:
        """Does one job, emits its events with ``tags``, and returns the exit code that it stands for."""

        def progress(fraction: float, message: str = "") -> None:
            self.channel.emit("progress", fraction=round(float(fraction), 4), message=message, **tags)

        try:
            fields = self._do(check_job(job), progress, lambda: self.channel.cancelled(number))
        except (Cancelled, KeyboardInterrupt):
            self.channel.emit("cancelled", **tags)
            return Cancelled.exit_code
        except Exception as error:
            if not isinstance(error, LungNoduleSegError):
                traceback.print_exc(file=sys.stderr)  # the panel shows standard error in its log
            self.channel.emit("error", **describe_error(error), **tags)
            return error.exit_code if isinstance(error, LungNoduleSegError) else 1
        self.channel.emit("result", **fields, **tags)
        return 0

    def _do(
        self, job: dict[str, Any], progress: Callable[[float, str], None], cancel: Callable[[], bool]
    ) -> dict[str, Any]:
        started, begun = datetime.now(timezone.utc), time.perf_counter()
        if job["command"] == "check":
            from LungNoduleSegLib.client.probe import probe

            device, engine = (job.get(name) or "auto" for name in ("device", "engine"))
            return probe(job.get("model"), device, job.get("threads"), progress, cancel, engine=engine)
        progress(0.0, "Reading the CT")  # before any import that takes time: the panel sees that the job has arrived
        from LungNoduleSegLib.report.memory import peak_memory_mb
        from LungNoduleSegLib.report.record import run_record, write_json
        from LungNoduleSegLib.report.saved import save_result
        from LungNoduleSegLib.report.text import headline

        ct = self._load_ct(job)
        self._stop_if(cancel)
        progress(0.02, "Loading the model")
        segmenter = self._load_segmenter(job)
        self._stop_if(cancel)
        if job["command"] == "load":
            return {"seconds": round(time.perf_counter() - begun, 3)}
        if job["command"] == "segment":
            result = segmenter.segment(
                ct,
                roi=job.get("roi"),
                lung_mask=_load_mask(job.get("lung_mask")),
                threshold=job.get("threshold"),
                min_diameter_mm=job.get("min_diameter_mm"),
                progress=lambda fraction, message="": progress(0.05 + 0.91 * fraction, message),
                cancel=cancel,
                **({"uncertainty": True} if job.get("uncertainty") else {}),
            )
            progress(0.97, "Measuring")
            # All candidates, so that whoever shows them at another threshold has nothing left to measure.
            _ = result.at(0.0, min_diameter_mm=0.0).nodules
        else:
            result = segmenter.click(
                ct,
                positive_ras=job.get("positive_ras") or [],
                negative_ras=job.get("negative_ras") or [],
                base=_load_base(job.get("base")),
                progress=lambda fraction, message="": progress(0.05 + 0.93 * fraction, message),
                cancel=cancel,
            )
        self._stop_if(cancel)
        target = Path(job["output"])
        record_path = target.with_suffix(".json")
        beside = {}
        if job.get("probability"):
            beside["probability"] = _save_probability(target.with_suffix(".probability.npz"), result)
            self._stop_if(cancel, beside["probability"])
        save_result(target, result)
        seconds = {"total": time.perf_counter() - begun}
        files = [target.name, *(path.name for path in beside.values())]
        record = run_record(
            result, command=job["command"], started=started, seconds=seconds, files=files, left_out={}
        )
        partial = record_path.with_name(record_path.name + ".part")
        write_json(partial, record)
        partial.replace(record_path)
        return {
            "npz": str(target),
            "json": str(record_path),
            **{name: str(path) for name, path in beside.items()},
            "nodules": len(result.nodules),
            "headline": headline(result),
            "seconds": round(seconds["total"], 3),
            "peak_mb": peak_memory_mb(),
        }

    @staticmethod
    def _stop_if(cancel: Callable[[], bool], *written: Path) -> None:
        if cancel():
            for path in written:
                path.unlink(missing_ok=True)
            raise Cancelled("cancelled")

    def _load_ct(self, job: dict[str, Any]) -> Any:
        key = (job.get("ct"), job.get("series"), job.get("volume"), _modified(job.get("volume") or job.get("ct")))
        if self._ct is None or self._ct[0] != key:
            self._ct = None  # the old one is let go before the new one is read
            self._ct = (key, _read(job))
        return self._ct[1]

    def _load_segmenter(self, job: dict[str, Any]) -> Any:
        from LungNoduleSegLib.segmenter import load_segmenter

        key = (job["model"], job.get("device") or "auto", job.get("engine") or "auto", job.get("threads"))
        if self._segmenter is None or self._segmenter[0] != key:
            self._segmenter = None
            self._segmenter = (key, load_segmenter(key[0], device=key[1], engine=key[2], threads=key[3]))
        return self._segmenter[1]


def check_job(job: Any) -> dict[str, Any]:
    """The job, or InputError that names what is missing or unknown in it."""
    if not isinstance(job, dict):
        raise InputError(f"Expected a job to be a JSON object, got {job!r}")
    unknown = sorted(set(job) - _KEYS)
    if unknown:
        raise InputError(f"Expected a job to have the keys {sorted(_KEYS)}, got {unknown}")
    if job.get("command") not in COMMANDS:
        raise InputError(f"Expected `command` to be one of {COMMANDS}, got {job.get('command')!r}")
    if job["command"] == "check":
        return job
    needed = ["model"] + ([] if job["command"] == "load" else ["output"])
    changes = job.get("base") and job.get("negative_ras")
    needed += ["positive_ras"] if job["command"] == "click" and not changes else []
    missing = [name for name in needed if not job.get(name)]
    if missing:
        raise InputError(f"Expected a job `{job['command']}` to have {', '.join(missing)}")
    if bool(job.get("ct")) == bool(job.get("volume")):
        raise InputError("Expected a job to have either `ct` or `volume`")
    return job


def describe_error(error: Exception) -> dict[str, Any]:
    """An error as the fields of its event."""
    message = str(error) if isinstance(error, LungNoduleSegError) else f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        message = "not enough memory; close other programs or choose a smaller region"
    finding, remedy, path = message, None, None
    if isinstance(error, InputError):
        finding, remedy, path = error.finding, error.remedy, error.path
    return {
        "kind": type(error).__name__,
        "message": message,
        "finding": finding,
        "remedy": remedy,
        "path": path,
        "exit_code": error.exit_code if isinstance(error, LungNoduleSegError) else 1,
    }


def _modified(path: str | None) -> float | None:
    with contextlib.suppress(OSError):
        return Path(path).stat().st_mtime if path else None
    return None


def _read(job: dict[str, Any]) -> Any:
    from LungNoduleSegLib.ct import CT, read_ct

    if job.get("ct"):
        return read_ct(job["ct"], series=job.get("series"))
    import numpy as np

    path = job["volume"]
    try:
        with np.load(path, allow_pickle=False) as data:
            series, study = (str(data[n]) if n in data.files else "" for n in ("series_uid", "study_uid"))
            return CT.from_array(
                data["hu"], ijk_to_ras=data["ijk_to_ras"], copy=False, series_uid=series, study_uid=study
            )
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"is no volume with `hu` and `ijk_to_ras` ({error})", path=path) from error


def _load_mask(path: str | None) -> Any:
    if path is None:
        return None
    import numpy as np

    try:
        return np.load(path, allow_pickle=False).astype(bool)
    except (OSError, ValueError) as error:
        raise InputError(f"is no lung mask ({error})", path=path) from error


def _load_base(base: Any) -> tuple[tuple[int, int, int], Any] | None:
    if base is None:
        return None
    import numpy as np

    path = base.get("labels") if isinstance(base, dict) else None
    if not isinstance(path, str):
        raise InputError(f"Expected `base` to be an object with `labels`, got {base!r}")
    try:
        with np.load(path, allow_pickle=False) as data:
            k, j, i = (int(v) for v in data["offset_kji"])
            return (k, j, i), data["mask"].astype(bool)
    except Exception as error:  # a damaged archive raises many kinds
        raise InputError(f"is no segment with `mask` and `offset_kji` ({error})", path=path) from error


def _save_probability(path: Path, result: Any) -> Path:
    import numpy as np

    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, probability=result.probability().astype(np.float16, copy=False))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _private_output() -> IO[str]:
    """Standard output for events alone: whatever else writes to it, C libraries included, reaches standard error."""
    sys.stdout.flush()
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return sink


def main(arguments: list[str]) -> int:
    """Runs one job or serves; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m LungNoduleSegLib.runner ARGS.json | --serve", file=sys.stderr)
        return 2
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8")  # JSON, whatever the system's own encoding is
    channel = Channel(sys.stdin, _private_output())
    worker = Worker(channel)
    channel.emit("ready", version=__version__, pid=os.getpid())
    threading.Thread(target=_end_with, args=(channel,), name="runner-orphan", daemon=True).start()
    if arguments[0] == "--serve":
        channel.listen()
        return _serve(channel, worker)
    try:
        job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = InputError(f"cannot be read as JSON ({error})", path=arguments[0])
        channel.emit("error", **describe_error(problem))
        return problem.exit_code
    channel.listen()
    return worker.do(job)


def _serve(channel: Channel, worker: Worker) -> int:
    while True:
        number, job = channel.jobs.get()
        if channel.closed.is_set():
            return 0
        worker.do(job, number, id=job.get("id") if isinstance(job, dict) else None)


def _end_with(channel: Channel) -> None:
    channel.closed.wait()
    time.sleep(ORPHAN_S)
    os._exit(Cancelled.exit_code)


def run(arguments: list[str]) -> NoReturn:
    """Runs one job or serves, and ends the process."""
    code = main(arguments)
    sys.stderr.flush()
    # Threads of numerical libraries must not keep a process alive that the panel waits for.
    os._exit(code)


if __name__ == "__main__":
    run(sys.argv[1:])
