"""The process that answers clicks: it keeps the network and the CT in memory from one click to the next."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from LungNoduleSegLib.client.closing import close_at_exit
from LungNoduleSegLib.client.exchange import Base, Exchange, as_line
from LungNoduleSegLib.client.failure import Failure, explain_error, explain_event, explain_exit, no_answer
from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.log import Log
from LungNoduleSegLib.client.results import load_event, prepare
from LungNoduleSegLib.client.run import ANSWER_S, FINAL
from LungNoduleSegLib.client.talk import Talk
from LungNoduleSegLib.client.threads import let_others_run, thread_count
from LungNoduleSegLib.errors import Cancelled

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT

Point = Sequence[float]

FIRST_WORD_S = 60.0
"""A job that the process does not even begin within this time never reached it."""

STUCK_S = 5.0
"""After a cancellation a process that says nothing for this long is ended; the next click starts another one."""

_WARM = 0
"""The job number that events of warming up carry."""


@dataclass(eq=False)
class _Job:
    number: int
    """As the panel knows it."""
    id: int
    ct: CT
    model: str
    device: str
    fields: dict[str, Any]
    base: Base | None = None
    talk: Talk | None = None
    volume: Path | None = None
    sent_at: float = 0.0
    heard: bool = False
    dropped: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> tuple[CT, str, str]:
        return self.ct, self.model, self.device


class ClickWorker:
    """Segments clicks in a process that stays; every method returns at once.

    Parameters
    ----------
    interpreter
        The Python that runs it.
    threads
        For the CPU: 0 means all but one, None leaves it to the engine.
    environment
        To begin with; see :meth:`Interpreter.environment`.
    """

    def __init__(
        self, interpreter: Interpreter, *, threads: int | None = None, environment: Mapping[str, str] | None = None
    ):
        self._interpreter, self._threads, self._environment = interpreter, threads, environment
        self._log = Log()
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._numbers, self._ids, self._files = itertools.count(1), itertools.count(1), itertools.count(1)
        self._todo: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._driver: threading.Thread | None = None
        # Held for moments only, by the main thread too.
        self._lock = threading.Lock()
        self._waiting: dict[int, _Job] = {}
        self._warm: tuple[ReferenceType[CT], str, str] | None = None
        # Held while a process starts: never taken by what the main thread calls.
        self._process_lock = threading.Lock()
        self._talk: Talk | None = None
        self._exchange: Exchange | None = None
        self._generation = 0  # counts the times it was closed
        self._volume: tuple[ReferenceType[CT], Path] | None = None
        self._loading = 0
        self._ready = False
        self._last_word = 0.0
        self._reasons: dict[int, Failure] = {}
        close_at_exit(self)

    # What the panel calls ---------------------------------------------------------------------------------------------

    def warm(self, ct: CT, model: str, device: str) -> None:
        """Gets a process ready for clicks on a CT: starts it, hands the CT over, loads the network.

        Its events carry the job number 0: "progress", then "warm" (``model``, ``device``, ``seconds``) or "error".
        Nothing happens where the worker is warm for these already, or about to be.
        """
        with self._lock:
            if any(job.key == (ct, model, device) for job in self._waiting.values()):
                return
        if self.warm_for != (ct, model, device):
            self._add(_Job(_WARM, next(self._ids), ct, model, device, {"command": "load"}))

    def click(
        self,
        ct: CT,
        model: str,
        device: str,
        positive_ras: Sequence[Point],
        negative_ras: Sequence[Point] = (),
        base: Base | None = None,
    ) -> int:
        """Segments the nodule at points in RAS mm, or changes a segment by them; returns the job's number.

        See :meth:`LungNoduleSegLib.segmenter.Segmenter.click`. Clicks are answered in their order.
        """
        points = {
            "command": "click",
            "positive_ras": [[float(x) for x in point] for point in positive_ras],
            "negative_ras": [[float(x) for x in point] for point in negative_ras],
        }
        job = _Job(next(self._numbers), next(self._ids), ct, model, device, points, base)
        self._add(job)
        return job.number

    def events(self) -> list[dict[str, Any]]:
        """What has come since the last call, as :meth:`Run.events`, each with ``job``.

        Every click gets exactly one "result", "cancelled" or "error".
        """
        with self._lock:
            waiting = bool(self._waiting)
            busy = self._loading > 0 or any(job.sent_at == 0.0 for job in self._waiting.values())
        if waiting:
            let_others_run(busy)
        found = []
        while True:
            try:
                found.append(self._events.get_nowait())
            except queue.Empty:
                return found

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        talk = self._talk
        return talk is not None and talk.alive

    @property
    def busy(self) -> bool:
        """Whether something that was asked for has not been answered."""
        with self._lock:
            return bool(self._waiting)

    @property
    def warm_for(self) -> tuple[CT, str, str] | None:
        """(CT, model, device) that a click is answered for without loading anything, or None."""
        warm = self._warm
        if warm is None or not self.alive:
            return None
        ct = warm[0]()
        return None if ct is None else (ct, warm[1], warm[2])

    @property
    def log(self) -> str:
        """What the processes wrote to standard error, and when they started and ended; the last 200 kB."""
        return self._log.text

    def cancel(self) -> None:
        """Gives up everything that was asked for: "cancelled" comes at once, and the process stays for the next click.

        One that does not react is ended after a few seconds.
        """
        with self._lock:
            dropped, talk = self._drop_all(), self._talk
        if dropped and talk is not None:
            threading.Thread(target=self._cancel, args=(talk,), name="client-cancel", daemon=True).start()

    def close(self) -> None:
        """Gives up everything, ends the process and removes the files; the next click would start anew."""
        talk, exchange = self._let_go()
        if talk is not None or exchange is not None:
            threading.Thread(target=_end, args=(talk, exchange, 10.0), name="client-close", daemon=True).start()

    # Threads ----------------------------------------------------------------------------------------------------------

    def _add(self, job: _Job) -> None:
        with self._lock:
            self._waiting[job.id] = job
            self._put_off(job)

    def _put_off(self, job: _Job) -> None:
        """Has a thread hand the job over; with the lock held."""
        job.talk, job.sent_at, job.heard = None, 0.0, False
        self._todo.put(job)
        if self._driver is None:
            self._driver = threading.Thread(target=self._drive, name="client-worker", daemon=True)
            self._driver.start()

    def _drop_all(self) -> list[_Job]:
        dropped = list(self._waiting.values())
        self._waiting.clear()
        for job in dropped:
            job.dropped.set()
            self._events.put({"event": "cancelled", "job": job.number})
        return dropped

    def _drive(self) -> None:
        """Hands jobs over, one after another; ends when there is none for a while."""
        while True:
            try:
                job = self._todo.get(timeout=5.0)
            except queue.Empty:
                with self._lock:
                    if not self._todo.empty():
                        continue
                    self._driver = None
                    return
            if job.dropped.is_set():
                continue
            try:
                self._hand_over(job)
            except Cancelled:
                continue
            except Exception as error:
                self._log.note(f"{type(error).__name__}: {error}")
                self._fail(job, explain_error(error, self._interpreter))

    def _hand_over(self, job: _Job) -> None:
        while not job.dropped.is_set():
            with self._lock:
                generation, exchange = self._generation, self._exchange
            try:
                exchange = exchange or self._new_exchange(generation)
                job.volume = self._volume_of(job, exchange)
                message = self._message(job, exchange)
            except OSError:
                if generation != self._generation:
                    continue  # closed meanwhile, with all files
                raise
            talk = self._given_to(job, exchange, generation)
            if talk is not None:
                job.sent_at = time.monotonic()
                talk.send(message)
                return

    def _given_to(self, job: _Job, exchange: Exchange, generation: int) -> Talk | None:
        """The process whose end is an error for the job from now on; None if the worker was closed meanwhile."""
        with self._process_lock:
            with self._lock:
                if generation != self._generation:
                    return None
                if self._talk is not None and self._talk.alive:
                    job.talk = self._talk
                    return job.talk
            talk = self._start(exchange)
            with self._lock:
                if generation == self._generation:
                    self._talk = job.talk = talk
                    return talk
        talk.kill()
        return None

    def _new_exchange(self, generation: int) -> Exchange:
        exchange = Exchange()
        with self._lock:
            if generation == self._generation:
                self._exchange = exchange
                return exchange
        exchange.remove()
        raise FileNotFoundError(exchange.folder)

    def _message(self, job: _Job, exchange: Exchange) -> str:
        message = {
            **job.fields,
            "id": job.id,
            "model": job.model,
            "device": job.device,
            "volume": job.volume,
            "threads": thread_count(self._threads),
        }
        if job.number != _WARM:
            message["output"] = exchange.path(f"result-{job.id}.npz")
        if job.base is not None:
            message["base"] = {"labels": exchange.write_base(f"base-{job.id}.npz", job.base)}
        return as_line(message)

    def _volume_of(self, job: _Job, exchange: Exchange) -> Path:
        known = self._volume
        if known is not None and known[0]() is job.ct and known[1].parent == exchange.folder:
            return known[1]
        self._put(job, {"event": "progress", "fraction": 0.0, "message": "Handing the CT over"})
        path = exchange.write_volume(f"volume-{next(self._files)}.npz", job.ct, job.dropped.is_set)
        with self._lock:
            used = {other.volume for other in self._waiting.values()}
        self._volume = (ref(job.ct), path)
        for old in exchange.folder.glob("volume-*.npz"):
            if old != path and old not in used:
                exchange.discard(old.name)
        return path

    def _start(self, exchange: Exchange) -> Talk:
        self._ready = False
        box: list[Talk] = []
        talk = Talk(
            self._interpreter,
            ["--serve"],
            folder=exchange.folder,
            threads=self._threads,
            environment=self._environment,
            log=self._log,
            on_event=self._hear,
            on_end=lambda code: self._ended(box, code),
        )
        box.append(talk)
        threading.Thread(target=prepare, name="client-prepare", daemon=True).start()
        threading.Thread(target=self._watch, args=(talk,), name="client-watch", daemon=True).start()
        return talk

    def _hear(self, event: dict[str, Any]) -> None:
        self._last_word = time.monotonic()
        if event["event"] == "ready":
            self._ready = True
            return
        with self._lock:
            job = self._waiting.get(event.get("id") or 0)
        if job is None:
            return  # dropped meanwhile
        job.heard = True
        fields = {name: value for name, value in event.items() if name != "id"}
        if event["event"] not in FINAL:
            self._put(job, fields)
        elif event["event"] == "result":
            self._warm = (ref(job.ct), job.model, job.device)
            self._finish(job, self._loaded(job, fields))
        elif event["event"] == "error":
            self._fail(job, explain_event(event, self._interpreter))
        else:
            self._finish(job, {"event": "cancelled"})

    def _loaded(self, job: _Job, fields: dict[str, Any]) -> dict[str, Any]:
        if job.number == _WARM:
            return {**fields, "event": "warm", "model": job.model, "device": job.device}
        with self._lock:
            self._loading += 1
        try:
            loaded = load_event(fields, job.ct)
        except Exception as error:
            return explain_error(error, self._interpreter).event()
        finally:
            with self._lock:
                self._loading -= 1
        # The files are removed at once: what they held is in the event.
        return {name: value for name, value in loaded.items() if name not in ("npz", "json", "probability")}

    def _ended(self, box: list[Talk], code: int) -> None:
        with self._process_lock:  # so that a job that is just being given to it counts
            talk, ready = box[0], self._ready
        with self._lock:
            if self._talk is talk:
                self._talk = self._warm = None
            lost = [job for job in self._waiting.values() if job.talk is talk]
        if lost:
            known = self._reasons.pop(talk.pid, None)
            failure = known or explain_exit(code, talk.errors, self._interpreter, ready=ready)
            for job in lost:
                self._fail(job, failure)

    def _watch(self, talk: Talk) -> None:
        """Ends a process that never answers."""
        begun = time.monotonic()
        while not talk.wait(1.0):
            now = time.monotonic()
            with self._lock:
                sent = [job for job in self._waiting.values() if job.talk is talk and job.sent_at]
            if not sent:
                continue
            silent = now - max(begun, self._last_word, sent[0].sent_at)
            limit = FIRST_WORD_S if self._ready else ANSWER_S
            if not (self._ready and sent[0].heard) and silent > limit:
                self._reasons[talk.pid] = no_answer(self._interpreter, limit)
                talk.kill()

    def _cancel(self, talk: Talk) -> None:
        asked = time.monotonic()
        talk.send('{"cancel": true}')
        if not talk.wait(STUCK_S) and self._last_word < asked:
            self._log.note("The process did not react; it is ended.")
            with self._lock:
                if self._talk is talk:
                    self._talk = self._warm = None
                # What was asked for since then goes to the next process.
                for job in self._waiting.values():
                    if job.talk is talk:
                        self._put_off(job)
            talk.kill()

    def _put(self, job: _Job, event: dict[str, Any]) -> None:
        with self._lock:
            if job.id in self._waiting:
                self._events.put({**event, "job": job.number})

    def _fail(self, job: _Job, failure: Failure) -> None:
        self._log.note(failure.message)
        self._finish(job, failure.event())

    def _finish(self, job: _Job, event: dict[str, Any]) -> None:
        """The last event of a job, once."""
        with self._lock:
            if self._waiting.pop(job.id, None) is not None:
                self._events.put({**event, "job": job.number})
        exchange = self._exchange
        if exchange is not None and job.number != _WARM:
            for name in (f"result-{job.id}.npz", f"result-{job.id}.json", f"base-{job.id}.npz"):
                exchange.discard(name)

    def _let_go(self) -> tuple[Talk | None, Exchange | None]:
        with self._lock:
            self._drop_all()
            self._generation += 1
            talk, exchange = self._talk, self._exchange
            self._talk = self._exchange = self._volume = self._warm = None
        return talk, exchange

    def _close_now(self, wait_s: float) -> None:
        _end(*self._let_go(), wait_s)


def _end(talk: Talk | None, exchange: Exchange | None, wait_s: float) -> None:
    if talk is not None:
        talk.kill()
        talk.wait(wait_s)
    if exchange is not None:
        exchange.remove()
