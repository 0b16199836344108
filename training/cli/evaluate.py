"""``evaluate``: whole CTs against the annotations of LIDC-IDRI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    source: Annotated[
        Path, typer.Argument(help="Folder with LIDC-IDRI's DICOM in whatever layout, or the development data.")
    ],
    model: Annotated[str, typer.Option(help="Model of the catalog.")] = "model-2-compact",
    patients: Annotated[
        list[str] | None, typer.Option(help="LIDC-IDRI-NNNN, repeatable or with commas; default: all found.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the tables; default: evaluation-MODEL.")] = None,
    marks: Annotated[
        Path | None,
        typer.Option(help="Readers' marks without contour (.csv[.gz]); default: SOURCE/lidc_marks.csv."),
    ] = None,
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
    """Two tables (rich): FROC at LUNA16's rates, and the operating point, a row a group."""
    from rich.table import Table

    name = summary["model"]["model"]
    curve = Table(title=f"{name}: FROC by LUNA16's rule (found of nodules of 3 and 4 readers)", box=None)
    point = Table(title=f"{name} at threshold {summary['model']['threshold']:.3f}", box=None)
    for column in ("scans", "n", *("1/8", "1/4", "1/2", "1", "2", "4", "8"), "CPM"):
        curve.add_column(column, justify="left" if column == "scans" else "right")
    for column in ("scans", "n", "3-4 readers", "any", "strict FP", "luna16 FP", "3D Dice", "HD95 mm", "vol. error"):
        point.add_column(column, justify="left" if column == "scans" else "right")
    for group, figures in summary["groups"].items():
        froc, at, n = figures["froc_luna16"], figures["at_operating_point"], str(figures["scans"])
        if froc is None:
            curve.add_row(group, n, *["n/a"] * 8)
        else:
            cells = [f"{p['sensitivity']:.2f} ({p['found']}/{p['nodules']})" for p in froc["points"]]
            interval = "" if froc["cpm_low"] is None else f" [{froc['cpm_low']:.3f}, {froc['cpm_high']:.3f}]"
            curve.add_row(group, n, *cells, f"{froc['cpm']:.3f}{interval}")
        outlines = figures["outlines_of_found"]["of_any"]
        point.add_row(
            group, n, _of(at["found_of_3_and_4_readers"]), _of(at["found_of_any"]),
            f"{at['false_strict']} ({at['false_strict_a_scan']} a scan)",
            f"{at['false_luna16']} ({at['false_luna16_a_scan']} a scan)",
            *(_mean(outlines[key], digits) for key, digits in (("dice_3d", 3), ("hd95_mm", 1), ("volume_error", 2))),
        )  # fmt: skip
    return [curve, point]


def _of(counts: dict[str, int]) -> str:
    return f"{counts['found']}/{counts['nodules']}"


def _mean(figure: dict[str, Any] | None, digits: int) -> str:
    if figure is None:
        return "n/a"
    interval = "" if figure["low"] is None else f" [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"
    return f"{figure['mean']:.{digits}f}{interval} (n={figure['n_nodules']})"
