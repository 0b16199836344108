"""What must not outlive the application: closed when it ends."""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import Protocol
from weakref import WeakSet


class Closable(Protocol):
    """Something with a process or files."""

    def _close_now(self, wait_s: float) -> None: ...


_open: WeakSet[Closable] = WeakSet()
_lock = threading.Lock()


def close_at_exit(thing: Closable) -> None:
    """Has ``thing._close_now(wait_s)`` called when the application ends, if the thing is still there."""
    with _lock:
        _open.add(thing)


@atexit.register
def _close_all() -> None:
    with _lock:
        things = list(_open)
    for thing in things:
        with contextlib.suppress(Exception):  # the next one must be closed too
            thing._close_now(3.0)
