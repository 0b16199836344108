"""What a process said, kept for people: the end of it, however much it was."""

from __future__ import annotations

import threading
import time
from collections import deque

LIMIT_BYTES = 200_000


class Log:
    """Text that grows at its end and is cut at its beginning; any thread may write and read.

    Parameters
    ----------
    limit
        Characters that are kept.
    """

    def __init__(self, limit: int = LIMIT_BYTES):
        self._limit, self._size = limit, 0
        self._parts: deque[str] = deque()
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Adds text as it is."""
        with self._lock:
            self._parts.append(text[-self._limit :])
            self._size += len(self._parts[-1])
            while self._size - len(self._parts[0]) >= self._limit:
                self._size -= len(self._parts.popleft())

    def note(self, sentence: str) -> None:
        """Adds a line of our own, with the time."""
        self.write(f"[{time.strftime('%H:%M:%S')}] {sentence}\n")

    @property
    def text(self) -> str:
        """The last of it, at most as many characters as are kept."""
        with self._lock:
            return "".join(self._parts)[-self._limit :]
