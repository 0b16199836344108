"""``page``: a model's page for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import Cache, Data
from training.sources import Sources

SCAN = "LIDC-IDRI-0063"
"""The only scan that may be shown, and that no part of the training saw."""


def page(
    name: Annotated[str, typer.Argument(help="Model with a card.")],
    folder: Annotated[Path, typer.Option(help="Folder of the weights and the card.")] = Path("Resources/Weights"),
    output: Annotated[Path, typer.Option(help="Folder of the pages.")] = Path("docs/models"),
    scan: Annotated[bool, typer.Option("--scan", help=f"Measure {SCAN} again, and draw it; needs the data.")] = False,
    benchmark: Annotated[Path | None, typer.Option(help="What `benchmarks/whole_ct.py --json` wrote: times.")] = None,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Write the model's page from its card, and from what was measured on a whole scan before, or now."""
    from LungNoduleSegLib.errors import InputError
    from LungNoduleSegLib.weights import Card
    from training.publish.pages.pictures import scan as draw
    from training.publish.pages.scan import measure_scan, with_times
    from training.publish.pages.write import read_scan, write_page, write_scan

    card = Card.read(folder / f"{name}.json")
    figures = read_scan(name, output)
    if scan:
        from LungNoduleSegLib import load_segmenter
        from training.publish.shipped import shipped

        shipped(name, folder)  # or the figures would be of other weights than the card's
        figures, views = measure_scan(load_segmenter(name), SCAN, Sources.find(data, cache))
        write_scan(name, output, figures, draw(views, f"{SCAN}, The Cancer Imaging Archive, CC BY 3.0"))
    if benchmark is not None:
        if figures is None:
            raise InputError("there are no figures of a scan to put the times beside", remedy="Add --scan.")
        write_scan(name, output, with_times(figures, benchmark, name))
    for path in write_page(card, output):
        typer.echo(f"written: {path}")
