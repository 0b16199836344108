"""How long a run will still take, from how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable

_BEGIN = 0.05
"""Up to this fraction a run reads and loads, which says nothing about its speed."""

_LEAST_FRACTION, _LEAST_S = 0.03, 1.0
"""What must have passed since then before an estimate is worth showing."""


class Estimate:
    """Progress with its times.

    Parameters
    ----------
    clock
        Seconds; another one for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None
        self.fraction = 0.0

    def update(self, fraction: float) -> None:
        """Takes a fraction 0..1; one that is smaller than the last does not count."""
        if fraction < self.fraction:
            return
        self.fraction = min(float(fraction), 1.0)
        if self.fraction >= _BEGIN:
            self._last = (self._clock(), self.fraction)
            self._first = self._first or self._last

    @property
    def seconds_left(self) -> float | None:
        """Seconds from now, at the mean speed so far; None at the beginning."""
        if self._first is None or self._last is None:
            return None
        (started, at_start), (seen, fraction) = self._first, self._last
        if fraction - at_start < _LEAST_FRACTION or seen - started < _LEAST_S:
            return None
        rest = (1.0 - fraction) * (seen - started) / (fraction - at_start)
        return max(0.0, rest - (self._clock() - seen))
