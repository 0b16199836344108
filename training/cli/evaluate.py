"""``evaluate``: whole CTs against the annotations of LIDC-IDRI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from training.cli.options import Marks


def evaluate(
    source: Annotated[
        Path, typer.Argument(help="Folder with LIDC-IDRI's DICOM in whatever layout, or the development data.")
    ],
    model: Annotated[str, typer.Option(help="Model of the catalog.")] = "model-2-compact",
    patients: Annotated[
        list[str] | None, typer.Option(help="LIDC-IDRI-NNNN, repeatable or with commas; default: all found.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the tables; default: evaluation-MODEL.")] = None,
    marks: Marks = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """FROC and CPM, outlines in 3D and false positives of a model on whole CTs; goes on where it was stopped."""
    from rich.console import Console

    from LungNoduleSegLib import load_segmenter
    from training.evaluate.run import evaluate_source

    names = [name for given in patients or () for name in given.split(",") if name]
    folder = output or Path(f"evaluation-{model}")
    segmenter = load_segmenter(model, device, threads=threads)
    summary = evaluate_source(segmenter, source, folder, patients=names or None, marks=marks, say=typer.echo)
    console = Console(soft_wrap=True)
    for table in tables(summary):
        console.print(table)
    for line in summary["skipped"]:  # type: ignore[attr-defined]
        typer.echo(f"skipped: {line}")
    typer.echo(f"written: {folder}")


def tables(summary: dict[str, Any]) -> list[Any]:
    """Two tables (rich), a column a group: FROC at LUNA16's rates, and the operating point."""
    from rich.table import Table

    name, groups = summary["model"]["model"], summary["groups"]
    threshold = f"{summary['model']['threshold']:.3f}"
    curve = Table("false positives a scan", title=f"{name}: FROC by LUNA16's rule", box=None, title_justify="left")
    point = Table("", title=f"{name} at threshold {threshold}", box=None, title_justify="left")
    for group, figures in groups.items():
        for table in (curve, point):
            table.add_column(
                f"{group}\n(n={figures['scans']} scan{'s' if figures['scans'] > 1 else ''})", justify="right"
            )
    for row in zip(*(_curve(figures["froc_luna16"]) for figures in groups.values())):
        curve.add_row(row[0][0], *(cell for _, cell in row))
    for row in zip(*(_point(figures) for figures in groups.values())):
        point.add_row(row[0][0], *(cell for _, cell in row))
    return [curve, point]


def _curve(froc: dict[str, Any] | None) -> list[tuple[str, str]]:
    names = ("1/8", "1/4", "1/2", "1", "2", "4", "8")
    if froc is None:
        return [(name, "n/a") for name in (*names, "CPM")]
    cells = [
        f"{p['sensitivity']:.2f}{_interval(p['low'], p['high'], 2)} ({p['found']}/{p['nodules']})"
        for p in froc["points"]
    ]
    return [*zip(names, cells), ("CPM", f"{froc['cpm']:.3f}{_interval(froc['cpm_low'], froc['cpm_high'], 3)}")]


def _point(figures: dict[str, Any]) -> list[tuple[str, str]]:
    at, outlines = figures["at_operating_point"], figures["outlines_of_found"]["of_any"]
    return [
        ("found, 3 and 4 readers", _of(at["found_of_3_and_4_readers"])),
        ("found, any reader", _of(at["found_of_any"])),
        ("false positives, strict", f"{at['false_strict']} ({at['false_strict_a_scan']} a scan)"),
        ("false positives, luna16", f"{at['false_luna16']} ({at['false_luna16_a_scan']} a scan)"),
        ("3D Dice of the found", _mean(outlines["dice_3d"], 3)),
        ("95 % Hausdorff, mm", _mean(outlines["hd95_mm"], 1)),
        ("volume error", _mean(outlines["volume_error"], 2)),
    ]


def _of(counts: dict[str, int]) -> str:
    return f"{counts['found']}/{counts['nodules']}"


def _mean(figure: dict[str, Any] | None, digits: int) -> str:
    if figure is None:
        return "n/a"
    interval = _interval(figure["low"], figure["high"], digits)
    return f"{figure['mean']:.{digits}f}{interval} (n={figure['n_nodules']})"


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None else f" \\[{low:.{digits}f}, {high:.{digits}f}]"
