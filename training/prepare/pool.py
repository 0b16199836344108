"""Tasks done here or in processes of their own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError
from training.prepare.task import Task
from training.prepare.work import work


def default_workers() -> int:
    """One a processor core that this process may use, at most 8: a worker holds a whole scan, about 1 GB."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


def outcomes(
    tasks: Sequence[Task], items: Path, pool: ProcessPoolExecutor | None
) -> Iterator[tuple[Task, dict[str, Any] | InputError]]:
    """Each task with what it made, or with the error that is its input's fault. A full disk ends everything."""
    if pool is None:
        for task in tasks:
            yield task, _attempt(task, items)
        return
    waiting: dict[Any, Task] = {}
    left: Iterable[Task] = iter(tasks)
    try:
        while True:
            for task in left:
                waiting[pool.submit(_attempt, task, items)] = task
                if len(waiting) >= 2 * pool._max_workers:  # the annotations travel with a task: not all at once
                    break
            if not waiting:
                return
            ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ready:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a working process was ended from outside, usually for lack of memory",
            remedy="Run the same command again with fewer --workers: what is done is kept.",
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _attempt(task: Task, items: Path) -> dict[str, Any] | InputError:
    try:
        return work(task, items)
    except InputError as error:
        if isinstance(error.__cause__, OSError) and "space" in error.finding:
            raise
        return error
