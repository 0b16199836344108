"""A Python whose runner is a script of ours, and what a process leaves behind; imports nothing heavy."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from LungNoduleSegLib.client.exchange import _place, _prefix
from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.process_tree import is_alive

WAIT_S = 120.0
"""For what must come; a busy machine may take its time."""

HEAD = """
import json, os, signal, subprocess, sys, time

def say(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\\n")
    sys.stdout.flush()

def ready():
    say("ready", version="0", pid=os.getpid())

"""


@dataclass(frozen=True)
class Scripted(Interpreter):
    """A Python that runs a script instead of the runner."""

    script: Path = Path()

    def command(self, *arguments: Any) -> list[str]:
        return [str(self.path), str(self.script), *map(str, arguments)]


_UNREAD: WeakKeyDictionary[Any, list[dict]] = WeakKeyDictionary()


def _taken(follower: Any) -> list[dict]:
    return _UNREAD.pop(follower, []) + follower.events()


def last(follower: Any, *names: str, timeout_s: float = WAIT_S) -> list[dict]:
    """Events until one is of these names or, without names, the last of a run."""
    names = names or ("result", "cancelled", "error")
    found: list[dict] = []
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found += _taken(follower)
        if any(event["event"] in names for event in found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"no {names} among {found}; log:\n{follower.log}")


def pid_of(follower: Any) -> int:
    """The process number that a scripted runner tells next, its own or that of a process that it has started."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        events = _taken(follower)
        for n, event in enumerate(events, start=1):
            if "pid" in event and event["event"] == "progress":
                _UNREAD[follower] = events[n:]  # a runner that ends at once may have said its last word already
                return int(event["pid"])
        time.sleep(0.01)
    raise AssertionError(follower.log)


def own_folders() -> list[Path]:
    """Temporary folders of this process."""
    return list(_place().glob(f"{_prefix()}{os.getpid()}-*"))


def gone(pid: int, timeout_s: float = 2.0) -> bool:
    """Whether a process does not run any more, or ends within this time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if not is_alive(pid) or _is_zombie(pid):
            return True
        time.sleep(0.01)
    return False


def _is_zombie(pid: int) -> bool:
    # An orphan of a container without an init process is dead but nobody takes note of it.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
