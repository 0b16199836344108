"""How many threads a process may use, and how the panel's own threads get their turn."""

from __future__ import annotations

import os
import time

_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip


def thread_count(threads: int | None) -> int | None:
    """Threads for a wish: 0 means all processors but one, at least one; None leaves it to the libraries."""
    if threads is None:
        return None
    return int(threads) if threads > 0 else max(1, (os.cpu_count() or 2) - 1)


def thread_environment(threads: int | None) -> dict[str, str]:
    """Variables that OpenMP, MKL and OpenBLAS read when they are loaded; none for None."""
    count = thread_count(threads)
    return {} if count is None else dict.fromkeys(_VARIABLES, str(count))


def let_others_run(busy: bool) -> None:
    """Lets the threads of this process have Python's lock for a moment; called from the panel's timer.

    Slicer's event loop keeps the lock while it waits, so that other Python threads only run while the main thread is in
    Python and gives it away. A moment at each tick is enough for reading lines; ``busy`` (a result is being loaded, a
    volume written) takes a longer one, still too short to be seen.
    """
    time.sleep(0.012 if busy else 0.001)
