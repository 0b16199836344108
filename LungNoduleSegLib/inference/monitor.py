"""Progress, cancelling and the time of each stage, handed down through every stage of a run."""

from __future__ import annotations

import time
from collections.abc import Callable

from LungNoduleSegLib.errors import Cancelled

Progress = Callable[[float, str], object]
Cancel = Callable[[], bool]


class Monitor:
    """Reports fractions 0..1 that never fall, and raises :class:`Cancelled` as soon as ``cancel()`` is true.

    Parameters
    ----------
    progress
        Called with (fraction, message).
    cancel
        Polled at every step, so between batches.
    """

    def __init__(self, progress: Progress | None = None, cancel: Cancel | None = None):
        self._progress, self._cancel = progress, cancel
        self._start, self._stop, self._message, self._last = 0.0, 1.0, "", 0.0

    def stage(self, start: float, stop: float, message: str) -> None:
        """Begin a stage that takes the run from fraction ``start`` to ``stop``."""
        self._start, self._stop, self._message = start, stop, message
        self.step(0.0)

    def step(self, fraction: float) -> None:
        """Report how much of the stage is done."""
        if self._cancel is not None and self._cancel():
            raise Cancelled("cancelled")
        if self._progress is not None:
            now = self._start + (self._stop - self._start) * min(max(fraction, 0.0), 1.0)
            self._last = max(self._last, now)
            self._progress(self._last, self._message)

    def polling(self) -> Monitor:
        """One that is cancelled with this one and reports nothing: for batches that are no progress of their own."""
        return Monitor(cancel=self._cancel)


class Clock:
    """Seconds of each stage, by name; a stage that comes again adds to its own."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """End a stage that began at the last one's end."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now
