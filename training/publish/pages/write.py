"""A model's page and its pictures in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import Card
from training.publish.pages.text import page


def write_page(card: Card, output: Path) -> list[Path]:
    """Write ``NAME.md`` and the picture of its calibration, from the card and what lies in ``output`` already.

    ``NAME.json`` there holds the whole scan's figures, ``NAME-scan.png`` its picture (`write_scan`).

    Returns
    -------
    What was written.
    """
    from training.publish.pages.pictures import reliability

    output.mkdir(parents=True, exist_ok=True)
    written = []
    picture = reliability(card)
    path = output / f"{card.name}-reliability.png"
    if picture is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(picture)
        written.append(path)
    text = output / f"{card.name}.md"
    text.write_text(page_in(card, output), encoding="utf-8")
    return [text, *written]


def page_in(card: Card, folder: Path) -> str:
    """The text that the page in a folder should have, from the card and the files beside it."""
    return page(card, read_scan(card.name, folder), [path.name for path in folder.glob(f"{card.name}-*.png")])


def read_scan(name: str, folder: Path) -> dict[str, Any] | None:
    """The whole scan's figures that lie beside a page; None where there are none."""
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"damaged ({error})", path=path, remedy="Measure the scan again, with --scan.") from error


def write_scan(name: str, output: Path, figures: dict[str, Any], picture: bytes | None = None) -> list[Path]:
    """Write a scan's figures, and its picture where there is one, for `write_page`."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{name}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if picture is None:
        return [path]
    (output / f"{name}-scan.png").write_bytes(picture)
    return [path, output / f"{name}-scan.png"]
