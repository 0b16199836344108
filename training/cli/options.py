"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="Folder with the data; default: LUNGNODULESEG_DATA.")]
Cache = Annotated[Path | None, typer.Option(help="Folder for caches and runs; default: ~/.cache/lungnoduleseg.")]
