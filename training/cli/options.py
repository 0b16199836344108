"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="Folder with the data; default: LUNGNODULESEG_DATA.")]
Cache = Annotated[Path | None, typer.Option(help="Folder for caches and runs; default: ~/.cache/lungnoduleseg.")]
Scans = Annotated[Path, typer.Argument(help="Folder with the scans, in whatever layout, or the development data.")]
Marks = Annotated[
    Path | None,
    typer.Option(help="Readers' marks without contour (.csv[.gz]); default: the source's table or XML files."),
]
