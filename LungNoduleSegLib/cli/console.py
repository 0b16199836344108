"""What the user sees of a command: messages, the progress bar, and how it ends."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from LungNoduleSegLib.errors import LungNoduleSegError

INTERRUPTED = 130  # what shells report for a command that Ctrl-C ended
NOTHING_WRITTEN = "Cancelled; nothing was written."
_Function = TypeVar("_Function", bound=Callable[..., Any])


def out() -> Console:
    """Standard output: what the command was asked for."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 120  # a file has no width to fit; the tables keep their full words
    console.soft_wrap = True
    return console


def err() -> Console:
    """Standard error: progress, remarks and failures."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def remark(text: str, style: str = "yellow") -> None:
    """One sentence on standard error."""
    err().print(escape(text), style=style)


def reported(function: _Function) -> _Function:
    """Turns every failure of a command into a sentence on standard error and an exit code.

    2 for an input that cannot be used, 130 for Ctrl-C, 1 for the rest. ``LUNGNODULESEG_DEBUG=1`` shows the traceback.
    """

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except KeyboardInterrupt:
            remark(NOTHING_WRITTEN)
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, SystemExit):
            raise
        except LungNoduleSegError as error:
            _debug(error)
            err().print(f"[bold red]Error:[/] {escape(str(error))}")
            raise typer.Exit(error.exit_code) from None
        except MemoryError as error:
            _debug(error)
            remark("Error: not enough memory. Close other programs, or give a smaller region with --roi.", "red")
            raise typer.Exit(1) from None
        except OSError as error:
            _debug(error)
            where = f"{error.filename}: " if error.filename else ""
            err().print(f"[bold red]Error:[/] {escape(f'{where}{error.strerror or error}')}.")
            raise typer.Exit(1) from None
        except Exception as error:
            _debug(error)
            what = escape(f"{type(error).__name__}: {error}")
            err().print(f"[bold red]Unexpected error:[/] {what}")
            remark("Nothing was written. LUNGNODULESEG_DEBUG=1 shows where it happened; please report it with that.")
            raise typer.Exit(1) from None

    return wrapped  # type: ignore[return-value]


def _debug(error: BaseException) -> None:
    if os.environ.get("LUNGNODULESEG_DEBUG"):
        raise error


@contextlib.contextmanager
def ending_cleanly() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C does, so that nothing half-written stays; late interrupts show no traceback."""
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def ended(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, ended)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell told background jobs to ignore it
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        _leave(INTERRUPTED, at_once=interrupted)
    except SystemExit as error:
        _leave(error.code, at_once=interrupted)


def _leave(code: object, *, at_once: bool) -> NoReturn:
    """End the process; ``at_once`` after everything was unwound by an interrupt.

    Where Ctrl-C met code that a C extension runs while it is imported, Python remembers it as unhandled, whoever
    caught it, and would end the process by the signal instead of with the exit code.
    """
    if at_once and isinstance(code, int):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


class ProgressBar:
    """One bar with the time left over the steps of a run, on standard error; silent where that is no terminal.

    ``steps`` are (name, share of the time); :meth:`step` gives the callback ``(fraction, message)`` of one of them.
    """

    def __init__(self, steps: list[tuple[str, float]]):
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        total = sum(share for _, share in steps)
        self._spans = {}
        start = 0.0
        for name, share in steps:
            self._spans[name] = (start, start + share / total)
            start += share / total
        console = err()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=36), TaskProgressColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=console, transient=True,
            disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, name: str) -> Callable[[float, str], None]:
        """Begins a step and returns its callback."""
        start, end = self._spans[name]

        def tell(fraction: float, message: str = "") -> None:
            done = start + (end - start) * min(max(fraction, 0.0), 1.0)
            self._progress.update(self._task, completed=done, description=escape(message or name))

        tell(0.0)
        return tell
