"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

DEFAULT_MODEL = "model-2-compact"

CTPath = Annotated[Path, typer.Argument(help="DICOM folder, file or zip; NRRD, NIfTI or MHA file.", show_default=False)]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder for the results; made if needed.", show_default=False)
]
Model = Annotated[str, typer.Option("--model", "-m", help="Name of the model: see `lungnoduleseg models`.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps ...")]
Engine = Annotated[
    str,
    typer.Option("--engine", help="What computes: torch, openvino or onnxruntime (on the CPU), or auto."),
]
# typer reads these annotations at run time, and Python 3.10's own union syntax with Annotated tuples trips older ones.
Series = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--series", help="SeriesInstanceUID to read, where the folder holds several.", show_default=False),
]
