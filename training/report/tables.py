"""Tables as data, and how a number is written in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.metrics import Difference, Estimate

NA = "n/a"
NOT_PRINTED = "–"
"""In the thesis' columns: it prints no such figure."""


@dataclass(frozen=True)
class Table:
    """Cells as text; ``notes`` stand below it. Every line has as many cells as the header."""

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = [line for line in self.lines if len(line) != len(self.header)]
        if wrong:
            raise ValueError(f"Expected lines of {len(self.header)} cells in {self.title!r}, got {wrong[0]}")


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits, ``n/a`` for None and what is no number; ``-0.000`` is written ``0.000``."""
    if value is None or not math.isfinite(value):
        return NA
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def interval(found: Estimate | Difference | None) -> str:
    """Value and 95 % interval."""
    return NA if found is None else str(found)


def printed_number(value: float | None, digits: int = 3) -> str:
    """A figure of the thesis, a dash where it prints none."""
    return NOT_PRINTED if value is None else number(value, digits)


def percent(value: float | None, digits: int = 1) -> str:
    return NA if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def times(values: Sequence[object]) -> str:
    """Values in a few words: each once, ``n/a`` for none."""
    seen = list(dict.fromkeys(str(v) for v in values if v is not None))
    return ", ".join(seen) if seen else NA
