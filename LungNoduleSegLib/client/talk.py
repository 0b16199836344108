"""One runner process: started, its lines read by threads, its end noticed."""

from __future__ import annotations

import codecs
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.log import Log
from LungNoduleSegLib.client.process_tree import ProcessTree
from LungNoduleSegLib.client.threads import thread_environment

_LINE_BYTES = 1 << 20
"""A longer line is none of the runner's."""

_TAIL = 20_000
"""Characters of standard error that an explanation is looked for in."""


class Talk:
    """A runner that speaks JSON lines.

    Parameters
    ----------
    interpreter, arguments
        The Python, and what the runner is given: a path, or ``--serve``.
    folder
        The process's working folder; nothing in it should look like a Python module.
    threads, environment
        Threads of numerical libraries, and the environment to begin with; None: this process's own.
    log
        Gets standard error, and what is printed but is no event.
    on_event
        Called with each event, by a thread.
    on_end
        Called once with the exit code when the process tree has ended and all it said was read, by a thread.
    low_priority
        Lets other programs come first.

    Raises
    ------
    OSError
        If the program cannot be started.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        arguments: Sequence[str],
        *,
        folder: Path,
        threads: int | None,
        environment: Mapping[str, str] | None,
        log: Log,
        on_event: Callable[[dict[str, Any]], None],
        on_end: Callable[[int], None],
        low_priority: bool = False,
    ):
        self._log, self._on_event, self._on_end = log, on_event, on_end
        self._errors = Log(_TAIL)
        self._tree = ProcessTree(
            interpreter.command(*arguments),
            environment={**interpreter.environment(environment), **thread_environment(threads)},
            folder=folder,
            low_priority=low_priority,
        )
        log.note(f"Started {interpreter.path} as process {self._tree.pid}.")
        self._readers = [
            threading.Thread(target=read, name=f"client-{name}", daemon=True)
            for name, read in (("stdout", self._read_events), ("stderr", self._read_errors))
        ]
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._await_end, name="client-end", daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the process that was started."""
        return self._tree.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._tree.exit_code is None

    @property
    def errors(self) -> str:
        """The end of its standard error."""
        return self._errors.text

    def send(self, line: str) -> bool:
        """Writes a line to the process; may wait, so not for the main thread."""
        return self._tree.send(line)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether the process tree has ended, after waiting for it."""
        return self._tree.wait(timeout_s)

    def kill(self) -> None:
        """Ends the whole tree now; returns without waiting."""
        self._tree.kill()

    def stop(self, grace_s: float) -> None:
        """Lets the process end by itself for a while, then ends the whole tree."""
        self._tree.stop(grace_s)

    def _read_events(self) -> None:
        with self._tree.stdout as stream:
            while line := stream.readline(_LINE_BYTES):
                text = line.decode("utf-8", "replace")
                try:
                    event = json.loads(text)
                except ValueError:
                    event = None
                if isinstance(event, dict) and isinstance(event.get("event"), str):
                    self._on_event(event)
                elif text.strip():
                    self._log.write(text)
                    self._errors.write(text)

    def _read_errors(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with self._tree.stderr as stream:
            while block := stream.read1(1 << 16):  # type: ignore[attr-defined]
                text = decoder.decode(block)
                self._log.write(text)
                self._errors.write(text)

    def _await_end(self) -> None:
        self._tree.wait()
        for reader in self._readers:
            # The tree is gone, so the pipes end; something that left the tree must not hold up the end.
            reader.join(2.0)
        code = self._tree.exit_code or 0
        self._log.note(f"Process {self.pid} ended with exit code {code}.")
        self._on_end(code)
