"""Work that is begun before its turn: while one part's result is used, the next ones are computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from threading import Event
from typing import Generic, TypeVar

from LungNoduleSegLib.inference.monitor import Monitor

AHEAD = 2
"""Parts under way at once. On two cores a third one brought nothing."""

POLL_S = 0.02
"""The caller is asked so often, while a result is waited for, whether it wants to go on."""

Part = TypeVar("Part")
Result = TypeVar("Result")


class Ahead(Generic[Part, Result]):
    """Computes parts in threads of its own, and gives their results in the order that they were begun in.

    Only the thread that made it talks to the monitor: a caller's `cancel` need not know of threads.

    Parameters
    ----------
    work
        ``work(part, monitor)``; the monitor raises :class:`~LungNoduleSegLib.errors.Cancelled` once the run is
        cancelled, and reports nothing.
    monitor
        Of the run.
    """

    def __init__(self, work: Callable[[Part, Monitor], Result], monitor: Monitor):
        self._work, self._monitor, self._over = work, monitor.polling(), Event()
        self._inner = Monitor(cancel=self._over.is_set)
        self._pool = ThreadPoolExecutor(AHEAD, "ahead")
        self._begun: deque[tuple[Part, Future[Result]]] = deque()

    def __enter__(self) -> Ahead[Part, Result]:
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def free(self) -> bool:
        """Whether another part can be begun."""
        return len(self._begun) < AHEAD

    def begin(self, part: Part) -> None:
        """Compute a part; it waits for its turn where none is free."""
        self._begun.append((part, self._pool.submit(self._work, part, self._inner)))

    def __len__(self) -> int:
        return len(self._begun)

    def next(self) -> tuple[Part, Result]:
        """The part that was begun first, and its result, waited for.

        Raises
        ------
        Cancelled
            If the run is cancelled meanwhile; whatever the work raises.
        """
        part, future = self._begun.popleft()
        while True:
            try:
                return part, future.result(POLL_S)
            except NotYet:
                if future.done():  # just now, or the error is the work's own
                    return part, future.result()
                self._monitor.step(0.0)


def in_order(
    work: Callable[[Part, Monitor], Result], parts: Iterable[Part], monitor: Monitor
) -> Iterator[tuple[Part, Result]]:
    """Parts and their results, in their order; see :class:`Ahead`."""
    with Ahead(work, monitor) as ahead:
        for part in parts:
            ahead.begin(part)
            if not ahead.free:
                yield ahead.next()
        while len(ahead):
            yield ahead.next()
