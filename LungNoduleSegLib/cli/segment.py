"""``lungnoduleseg segment``."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from LungNoduleSegLib.cli.console import reported
from LungNoduleSegLib.cli.options import DEFAULT_MODEL, CTPath, Device, Engine, Model, Output, Series


@reported
def segment(
    ct: CTPath,
    output: Output,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    engine: Engine = "auto",
    roi: Annotated[
        Optional[tuple[float, float, float, float, float, float]],  # noqa: UP045
        typer.Option(
            "--roi",
            metavar="X0 Y0 Z0 X1 Y1 Z1",
            help="Only this box: two opposite corners, RAS mm.",
            show_default=False,
        ),
    ] = None,
    min_diameter: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--min-diameter", min=0.0, max=100.0, help="Smallest nodule reported, mm.", show_default=False),
    ] = None,
    threshold: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--threshold", min=0.0, max=1.0, help="Lowest probability reported; the model's own.", show_default=False
        ),
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Also write how far the turned and mirrored views disagree, as NRRD."),
    ] = False,
    series: Series = None,
) -> None:
    """Find and segment the nodules of a whole CT."""
    from LungNoduleSegLib.cli import pipeline
    from LungNoduleSegLib.cli.inputs import roi_box

    pipeline.run(
        ct,
        output,
        command="segment",
        model=model,
        device=device,
        engine=engine,
        series=series,
        check=lambda volume: roi_box(volume, roi),
        work=lambda segmenter, volume, box, tell: segmenter.segment(
            volume,
            roi=box,
            threshold=threshold,
            min_diameter_mm=min_diameter,
            progress=tell,
            uncertainty=uncertainty,
        ),
    )
