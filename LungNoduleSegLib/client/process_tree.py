"""A child process with everything that it starts, ended together.

Slicer's PythonSlicer is a launcher whose child does the work, so ending the child alone would leave an orphan. On POSIX
the child leads a process group of its own; on Windows it is put into a job object.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_WINDOWS = sys.platform == "win32"
_NICE = 5
"""Added to the niceness of a child of low priority: other programs come first, and an idle machine is used in full."""


class ProcessTree:
    """A started child; its three pipes are binary.

    Parameters
    ----------
    command, environment, folder
        What to run, in which environment, in which folder.
    low_priority
        Lets other programs come first.

    Raises
    ------
    OSError
        If the program cannot be started.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, low_priority: bool = False
    ):
        options: dict[str, Any] = {"start_new_session": True}
        self._job: Any = None
        if _WINDOWS:
            from LungNoduleSegLib.client.windows_job import Job

            self._job = Job()
            flags = subprocess.CREATE_NO_WINDOW | (subprocess.BELOW_NORMAL_PRIORITY_CLASS if low_priority else 0)  # type: ignore[attr-defined]
            options = {"creationflags": flags}
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            **options,
        )
        self.pid: int = self._process.pid
        self._ended = threading.Event()
        self._input_lock = threading.Lock()
        if self._job is not None:
            # A grandchild of the first milliseconds could be missed; the launcher starts its child later than that.
            self._job.add(int(self._process._handle))  # type: ignore[attr-defined]
        elif low_priority:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self.pid, os.getpriority(os.PRIO_PROCESS, self.pid) + _NICE)
        threading.Thread(target=self._reap, name="client-reaper", daemon=True).start()

    @property
    def stdout(self) -> IO[bytes]:
        """What it prints."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """What it complains of."""
        assert self._process.stderr is not None
        return self._process.stderr

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode if self._ended.is_set() else None

    def send(self, line: str) -> bool:
        """Writes a line to its standard input; False if it is no longer read.

        It may wait while the pipe is full: not to be called by a thread that must not wait.
        """
        assert self._process.stdin is not None
        try:
            with self._input_lock:
                self._process.stdin.write(line.encode("utf-8") + b"\n")
                self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended, after waiting for it; nothing that it started is left then."""
        return self._ended.wait(timeout_s)

    def kill(self) -> None:
        """Ends it and all that it started, now; returns without waiting."""
        if self._job is not None:
            self._job.kill()
        elif not self._ended.is_set():
            _kill_group(self.pid)

    def stop(self, grace_s: float) -> None:
        """Closes its standard input, waits ``grace_s`` for it to end by itself, and ends the whole tree for certain."""
        threading.Thread(target=self._close_input, name="client-input", daemon=True).start()
        if not self.wait(grace_s):
            self.kill()
            self.wait(5.0)

    def _close_input(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _reap(self) -> None:
        """Waits for the child, then ends what it left behind, before its number can be given to another process."""
        if _WINDOWS:
            self._process.wait()
            self._job.kill()
        elif hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            _kill_group(self.pid)
            self._process.wait()
        else:
            self._process.wait()
            _kill_group(self.pid)
        self._ended.set()
        self._close_input()
        if self._job is not None:
            self._job.close()


def _kill_group(pid: int) -> None:
    # What the child has put into groups of its own is found by its parents, as long as those are there.
    for other in (*_others_below(pid), 0):
        with contextlib.suppress(OSError):
            if other:
                os.kill(other, signal.SIGKILL)
            else:
                os.killpg(pid, signal.SIGKILL)


def _others_below(pid: int) -> list[int]:
    """Descendants of a process that lie outside of its group, youngest last; none where the system does not tell."""
    parents: dict[int, tuple[int, int]] = {}
    for process, parent, group in _processes():
        parents[process] = (parent, group)
    below, todo = [], [pid]
    while todo:
        above = todo.pop()
        children = [process for process, (parent, _) in parents.items() if parent == above]
        below += children
        todo += children
    return [process for process in below if parents[process][1] != pid]


def _processes() -> list[tuple[int, int, int]]:
    """(process, parent, group) of what runs."""
    found = []
    if Path("/proc/self/stat").exists():
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in brackets may hold anything; what follows are numbers.
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
                found.append((int(folder.name), int(fields[1]), int(fields[2])))
        return found
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        table = subprocess.run(
            ["/bin/ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True, timeout=1, check=False
        )
        found = [tuple(map(int, line.split())) for line in table.stdout.splitlines()]  # type: ignore[misc]
    return found


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs; True where that cannot be told."""
    if _WINDOWS:
        from LungNoduleSegLib.client.windows_job import process_runs

        return process_runs(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def wait_until(condition: Any, timeout_s: float, step_s: float = 0.01) -> bool:
    """Polls a condition; for threads that wait on what has no event."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step_s)
    return True
