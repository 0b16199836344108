"""A tutorial's commands, taken out of its text and run in this process."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs" / "tutorials"

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r"[A-Z_]+=.*")


def command_lines(text: str) -> list[str]:
    """Every line of every ``sh`` block: continued lines joined, comments and empty lines left out."""
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [" ".join(line.split()) for line in lines if line.strip() and not line.lstrip().startswith("#")]


@dataclass
class Ended:
    """How a command ended, and everything that it printed."""

    line: str
    code: int
    out: str


@dataclass
class Walk:
    """Runs commands as a shell would, with sizes made small on the way.

    Parameters
    ----------
    smaller
        Pieces of commands and what stands for them here. Each must be found, so that text and test stay together.
    elsewhere
        Beginnings of commands that are not run here, because they install or download.
    """

    monkeypatch: pytest.MonkeyPatch
    smaller: dict[str, str]
    elsewhere: tuple[str, ...] = ("pip install ",)
    used: set[str] = field(default_factory=set)
    ended: list[Ended] = field(default_factory=list)

    def run(self, text: str, fails: dict[str, int] | None = None) -> list[Ended]:
        """All commands of a tutorial, in order; ``fails`` gives the exit code of those that must not end with 0."""
        expected = fails or {}
        for line in command_lines(text):
            if line.startswith(self.elsewhere):
                continue
            ended = self.command(line)
            wanted = next((code for start, code in expected.items() if line.startswith(start)), 0)
            assert ended.code == wanted, f"{line}\nended with {ended.code}:\n{ended.out[-4000:]}"
        unused = set(self.smaller) - self.used
        assert not unused, f"the tutorial says nothing of {unused}"
        return self.ended

    def command(self, line: str) -> Ended:
        """One command, made smaller, with the environment that it sees."""
        small = line
        for piece, instead in self.smaller.items():
            if piece in small:
                self.used.add(piece)
                small = small.replace(piece, instead)
        words = [os.path.expanduser(os.path.expandvars(word)) for word in shlex.split(small, comments=True)]
        if words[0] == "export":
            for setting in words[1:]:
                self.monkeypatch.setenv(*setting.split("=", 1))
            return Ended(line, 0, "")
        with pytest.MonkeyPatch.context() as here:
            while _SETTING.fullmatch(words[0]):
                here.setenv(*words.pop(0).split("=", 1))
            ended = Ended(line, *in_process(words))
        self.ended.append(ended)
        return ended

    def of(self, start: str) -> Ended:
        """The last command that began so."""
        return [ended for ended in self.ended if ended.line.startswith(start)][-1]


def in_process(words: list[str]) -> tuple[int, str]:
    """Exit code and output of ``python -m training ...`` or ``lungnoduleseg ...``."""
    with pytest.MonkeyPatch.context() as here, redirect_stdout(StringIO()) as out, redirect_stderr(out):
        try:
            if words[:3] == ["python", "-m", "training"]:
                from training.cli import main

                here.setattr("sys.argv", ["training", *words[3:]])
                main()
            elif words[0] == "lungnoduleseg":
                from LungNoduleSegLib.cli.app import app

                app(words[1:])
            else:
                raise AssertionError(f"the test does not know how to run {words}")
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()
