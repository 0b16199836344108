"""One job in a process of its own, followed from a timer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from LungNoduleSegLib.client.closing import close_at_exit
from LungNoduleSegLib.client.estimate import Estimate
from LungNoduleSegLib.client.exchange import Exchange
from LungNoduleSegLib.client.failure import Failure, explain_error, explain_event, explain_exit, no_answer
from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.log import Log
from LungNoduleSegLib.client.results import load_event, prepare
from LungNoduleSegLib.client.talk import Talk
from LungNoduleSegLib.client.threads import let_others_run, thread_count
from LungNoduleSegLib.errors import Cancelled

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT

GRACE_S = 0.7
"""How long a cancelled run may take to end by itself; killing takes some time more on a busy machine."""

ANSWER_S = 120.0
"""How long a process may take to its first word; starting Python from a slow disk takes long the first time."""

FINAL = ("result", "cancelled", "error")


class Run:
    """A job of the runner in a process of its own.

    Every method returns at once, and none raises because of what the process does.

    Parameters
    ----------
    interpreter
        The Python that runs it.
    job
        As the runner takes it (:mod:`LungNoduleSegLib.runner`), without ``output``; with ``volume`` given, without
        ``volume`` and ``ct``.
    volume
        The CT; it is written for the process, and the result is loaded on it.
    threads
        For the CPU: 0 means all but one, None leaves it to the engine.
    environment
        To begin with; see :meth:`Interpreter.environment`.
    finish
        For subclasses of jobs: makes the last event from the runner's "result", in a thread.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        job: Mapping[str, Any],
        *,
        volume: CT | None = None,
        threads: int | None = None,
        environment: Mapping[str, str] | None = None,
        finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ):
        self._interpreter, self._job, self._volume = interpreter, dict(job), volume
        self._threads, self._environment = threads, environment
        self._load = finish or (lambda event: load_event(event, self._ct()))
        self._log = Log()
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._estimate = Estimate()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._cancelled = threading.Event()
        self._started = self._finished = self._closed = self._loading = False
        self._talk: Talk | None = None
        self._exchange: Exchange | None = None
        self._said: dict[str, Any] | None = None
        self._ready = False
        self._exit_code: int | None = None

    # What the panel calls ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins: a thread writes the volume and starts the process."""
        with self._lock:
            if self._started:
                return
            self._started = True
            if self._finished:  # cancelled or closed before
                return
        close_at_exit(self)
        self._log.note(f"Run: {self._job.get('command')}, model {self._job.get('model')}.")
        threading.Thread(target=self._work, name="client-run", daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        """What has come since the last call.

        "ready" and "progress" (``fraction``, ``message``) as the runner says them, then exactly one of

        * "result": the runner's fields with ``result`` (a segmenter's Result, loaded) and ``record`` (a dict);
        * "cancelled";
        * "error": ``kind``, ``message`` (a sentence) and ``remedy`` (a sentence, or "").
        """
        if self.running:
            let_others_run(busy=self._talk is None or self._loading)
        found = []
        while True:
            try:
                found.append(self._events.get_nowait())
            except queue.Empty:
                return found

    @property
    def running(self) -> bool:
        """From :meth:`start` until the last event is there."""
        return self._started and not self._finished

    @property
    def fraction(self) -> float:
        """How far it is, 0..1."""
        return self._estimate.fraction

    @property
    def seconds_left(self) -> float | None:
        """How long it may still take, from its progress so far; None at the beginning and the end."""
        return self._estimate.seconds_left if self.running else None

    @property
    def log(self) -> str:
        """What the process wrote to standard error, and when it started and ended; the last 200 kB."""
        return self._log.text

    def cancel(self) -> None:
        """Ends the run: it is asked to, and soon its whole process tree is ended. "cancelled" comes then."""
        with self._lock:
            if self._finished or self._cancelled.is_set():
                return
            self._cancelled.set()
            talk, loading = self._talk, self._loading
            self._changed.notify_all()
        self._log.note("Cancelled.")
        if talk is None or loading:
            # No process yet, or it is done. The thread that prepares one sees the flag, and leaves nothing behind.
            self._finish({"event": "cancelled"})
        else:
            threading.Thread(target=self._end, args=(talk,), name="client-cancel", daemon=True).start()

    def close(self) -> None:
        """Ends what is left of the process, and removes the temporary folder; also done when the application ends."""
        with self._lock:
            self._closed = True
            self._cancelled.set()
            talk, exchange = self._talk, self._exchange
            self._changed.notify_all()
        if talk is not None:
            talk.kill()
        self._finish({"event": "cancelled"})
        if talk is not None or exchange is not None:
            threading.Thread(target=self._close_now, args=(10.0,), name="client-close", daemon=True).start()

    # Threads ----------------------------------------------------------------------------------------------------------

    def _close_now(self, wait_s: float) -> None:
        """Ends everything and waits for it."""
        self._closed = True
        self._cancelled.set()
        talk, exchange = self._talk, self._exchange
        if talk is not None:
            talk.kill()
            talk.wait(wait_s)
        self._finish({"event": "cancelled"})
        if exchange is not None:
            exchange.remove()

    def _work(self) -> None:
        try:
            last = self._outcome()
        except Cancelled:
            last = {"event": "cancelled"}
        except Exception as error:
            self._log.note(f"{type(error).__name__}: {error}")
            last = explain_error(error, self._interpreter).event()
        self._finish(last)
        if self._talk is not None:
            self._talk.stop(GRACE_S)
        # The files of a result stay until close(), for who wants them.
        if self._exchange is not None and (self._closed or self._cancelled.is_set() or last["event"] != "result"):
            self._exchange.remove()

    def _outcome(self) -> dict[str, Any]:
        """Prepares, starts and awaits the process; the last event."""
        exchange = self._exchange = Exchange()
        job = {**self._job, "threads": thread_count(self._threads)}
        if job.get("command") in ("segment", "click"):
            job["output"] = str(exchange.path("result.npz"))
        if self._volume is not None:
            self._put({"event": "progress", "fraction": 0.0, "message": "Handing the CT over"})
            job["volume"] = str(exchange.write_volume("volume.npz", self._volume, self._cancelled.is_set))
        arguments = [str(exchange.write_job("job.json", job))]
        if self._cancelled.is_set():
            raise Cancelled("cancelled")
        talk = Talk(
            self._interpreter,
            arguments,
            folder=exchange.folder,
            threads=self._threads,
            environment=self._environment,
            log=self._log,
            on_event=self._hear,
            on_end=self._ended,
            low_priority=True,
        )
        with self._lock:
            self._talk = talk
        if self._cancelled.is_set():
            talk.kill()
        if "output" in job:
            threading.Thread(target=prepare, name="client-prepare", daemon=True).start()
        begun = time.monotonic()
        while True:
            with self._changed:
                if self._said is None and self._exit_code is None:
                    self._changed.wait(1.0)
                said, code = self._said, self._exit_code
            if self._cancelled.is_set():
                # Said only when nothing of it runs any more; whoever set the flag sees to that.
                talk.wait(GRACE_S + 5.0)
                raise Cancelled("cancelled")
            if said is not None:
                return self._last(said)
            if code is not None:
                return explain_exit(code, talk.errors, self._interpreter, ready=self._ready).event()
            if not self._ready and time.monotonic() - begun > ANSWER_S:
                talk.kill()
                return no_answer(self._interpreter, ANSWER_S).event()

    def _last(self, said: dict[str, Any]) -> dict[str, Any]:
        if said["event"] == "error":
            return explain_event(said, self._interpreter).event()
        if said["event"] == "cancelled":  # nobody asked for it here: its standard input has ended
            return Failure("Ended", "The run was ended from outside.", "Start it again.").event()
        with self._lock:
            self._loading = True
        return self._load(said)

    def _ct(self) -> CT | None:
        if self._volume is None and self._job.get("ct"):
            from LungNoduleSegLib.ct import read_ct

            return read_ct(self._job["ct"], series=self._job.get("series"))
        return self._volume

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] in FINAL:
            with self._changed:
                self._said = self._said or event
                self._changed.notify_all()
            return
        if event["event"] == "ready":
            self._ready = True
        elif event["event"] == "progress":
            self._estimate.update(float(event.get("fraction") or 0.0))
        self._put(event)

    def _ended(self, code: int) -> None:
        with self._changed:
            self._exit_code = code
            self._changed.notify_all()

    def _end(self, talk: Talk) -> None:
        # Before its first word there is nothing that it could end in good order.
        if not (self._ready and talk.send('{"cancel": true}') and talk.wait(GRACE_S)):
            talk.kill()

    def _put(self, event: dict[str, Any]) -> None:
        with self._lock:
            if not self._finished:
                self._events.put(event)

    def _finish(self, event: dict[str, Any]) -> None:
        """The last event, once."""
        with self._lock:
            if self._finished:
                return
            if event["event"] == "result":
                self._estimate.update(1.0)
            self._finished = True
            self._events.put(event)
        said = event["message"] if event["event"] == "error" else event["event"]
        self._log.note(f"Last event: {said}")
