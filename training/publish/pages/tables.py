"""Markdown out of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float | None, digits: int = 3) -> str:
    """.655 for .6549; n/a for None."""
    if value is None:
        return "n/a"
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text


def estimate(metric: Mapping[str, Any] | None) -> str:
    """.655 [.625, .680], or the value alone; n/a for None."""
    if metric is None:
        return "n/a"
    interval = f" [{number(metric['low'])}, {number(metric['high'])}]" if "low" in metric else ""
    return number(metric["value"]) + interval


def size(metric: Mapping[str, Any]) -> str:
    """Images and patients of a metric."""
    return f"{metric['n_images']:,} / {metric['n_patients']}"
