"""A log of every look at the test patients: many looks would make them a second validation set."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

FILE = "test_looks.jsonl"


def log_look(folder: Path, run: str, figures: dict[str, Any]) -> None:
    """Append one line: when, which run, which figures."""
    folder.mkdir(parents=True, exist_ok=True)
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "run": run, "figures": figures}
    with (folder / FILE).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
