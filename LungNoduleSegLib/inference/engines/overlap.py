"""Batches on their way through a device: the next one is started before the last one's result is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


def overlapped(parts: Iterable[Part], start: Callable[[Part], Callable[[], Result]]) -> Iterator[Result]:
    """Results of parts, in their order.

    Parameters
    ----------
    start
        Begins work on a part, and gives what waits for its result. Two parts are under way at most: where `start`
        returns before the work is done, what it does for one part (normalising) overlaps with the work on the last.

    Notes
    -----
    Where `start` fails, the result of the part before is given first and the error raised then: nothing is under way
    any more, and nothing that was done is lost.
    """
    result: Callable[[], Result] | None = None
    for part in parts:
        try:
            following = start(part)
        except Exception:
            if result is not None:
                yield result()
            raise
        if result is not None:
            yield result()
        result = following
    if result is not None:
        yield result()
