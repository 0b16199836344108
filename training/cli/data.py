"""``prepare``: read the data, once."""

from __future__ import annotations

import typer

from training.cli.options import Cache, Data
from training.sources import Sources


def prepare(data: Data = None, cache: Cache = None) -> None:
    """Read crops and complete scans into the cache, once."""
    sources = Sources.find(data, cache)
    crops, scans = sources.crops(), sources.scans()
    for side in ("train", "validation", "test"):
        index = crops.on_side(side)
        typer.echo(
            f"{side}: {len(index)} crops of {len(set(crops.patients[index]))} patients, "
            f"{int(crops.positive[index].sum())} with a nodule of more than 8 pixels"
        )
    for scan in scans:
        typer.echo(f"{scan.patient}: {scan.hu.shape[0]} slices, {int(scan.nodules.max())} annotated nodules")
