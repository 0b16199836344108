"""``lungnoduleseg models``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from LungNoduleSegLib.cli.console import out, reported


@reported
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with the whole cards.")] = False,
) -> None:
    """List the models: name, parameters, size, whether the weights are here, and what their card says."""
    from LungNoduleSegLib.weights import models as catalog

    entries = catalog()
    if as_json:
        typer.echo(json.dumps([_as_json(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("model", "left"), ("parameters", "right"), ("size", "right"), ("available", "left"),
                       ("summary", "left")):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=name != "summary")  # type: ignore[arg-type]
    for entry in entries:
        card = entry.card
        table.add_row(
            card.name, f"{card.parameters / 1e6:.2f} M", _size(card.size_bytes), "yes" if entry.available else "no",
            card.summary,
        )  # fmt: skip
    console = out()
    console.print(table)
    for entry in entries:
        if not entry.available:
            said = [entry.reason, entry.card.how_to_get]
            console.print(f"{entry.name}: {' '.join(filter(None, said))}", style="dim", markup=False)
    for entry in entries:
        if entry.available:
            console.print(f"{entry.name}: {entry.path}", style="dim", markup=False)


def _size(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1e6:.1f} MB"


def _as_json(entry) -> dict:
    card = entry.card
    return {
        "name": card.name,
        "parameters": card.parameters,
        "size_bytes": card.size_bytes,
        "available": entry.available,
        "reason": entry.reason,
        "shipped": entry.shipped,
        "path": None if entry.path is None else str(entry.path),
        "card": card.to_dict(),
    }
