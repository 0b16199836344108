"""What the packaging tests share: where the project is, what it ships, and how commands are run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLICER_STUB = Path(__file__).resolve().parent / "stub"


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """The standard output of a command that must succeed; its last words otherwise."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, text=True, capture_output=True, timeout=600, check=False
    )
    if done.returncode:
        pytest.fail(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def shipped_models() -> list[str]:
    """Names of the models whose weights lie in the checkout."""
    cards = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "Resources" / "Weights").glob("*.json")]
    return sorted(
        card["name"] for card in cards if card.get("file") and (ROOT / "Resources" / "Weights" / card["file"]).is_file()
    )
