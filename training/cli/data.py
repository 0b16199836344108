"""``prepare``: read the data, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from training.sources import Sources

Source = Annotated[Path | None, typer.Argument(help="Folder with the data; default: LUNGNODULESEG_DATA.")]
Into = Annotated[Path | None, typer.Argument(help="Folder for caches and runs; default: ~/.cache/lungnoduleseg.")]


def prepare(
    source: Source = None,
    cache: Into = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one a processor core, at most 8.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="CSV table of your own cases: case, ct, segmentation (and patient).")
    ] = None,
    scans: Annotated[str, typer.Option(help="Whose whole scans are kept: all, train or none.")] = "all",
    verify: Annotated[
        bool, typer.Option(help="Check what is there by its SHA-256 first; what is damaged is made again.")
    ] = False,
) -> None:
    """Read crops and scans into a cache that training maps into memory; an interrupted run goes on.

    SOURCE may hold LIDC-IDRI as DICOM in any layout, the public crops (LIDC-IDRI-slices with lidc_crops.csv), scans
    cropped to the lungs (lung_boxes), and your own cases: NAME.nrrd beside NAME.seg.nrrd (or NAME_seg.nii.gz,
    NAME-label.nrrd, ...), a folder with an image and a segmentation, or any files that --pairs lists.
    """
    from training.prepare.pool import default_workers
    from training.prepare.run import prepare as run
    from training.prepare.store import Store
    from training.prepare.verify import repair

    sources = Sources.find(source, cache)
    if verify and Store.is_there(sources.cache):
        found = repair(sources.cache, progress=True)
        typer.echo(f"checked: {found.files} files, {found.bytes / 2**30:.2f} GiB, {len(found.damaged)} damaged")
        for path, reason in found.damaged:
            typer.echo(f"  {path}: {reason}; made again")
    done = run(sources.data, sources.cache, workers=workers or default_workers(), pairs=pairs, keep=scans)
    for line in summary(done.store.description(), done.plan.skipped):
        typer.echo(line)


def summary(description: dict[str, Any], skipped: list[dict[str, str]]) -> list[str]:
    """What was prepared, what was skipped and why, and what is missing, line by line."""
    lines = [f"skipped: {s['what']}: {s['reason']}" for s in skipped]
    for key, remarks in description["remarks"].items():
        lines += [f"note: {key}: {remark}" for remark in remarks]
    for name, counts in description["sources"].items():
        shown = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items() if count)
        lines.append(f"{name}: {shown}")
    for side, counts in description["crops_in_all"]["sides"].items():
        lines.append(
            f"{side}: {counts['crops']} crops of {counts['patients']} patients, "
            f"{counts['positive']} with a nodule of more than 8 pixels"
        )
    missing = description["missing"]
    if missing:
        lines.append(
            f"complete series of LIDC-IDRI: {missing['complete']} of {missing['annotated_series']}; "
            f"{missing['missing']} are missing (named in dataset.json)"
        )
    return lines
