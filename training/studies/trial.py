"""A row that the data at hand cannot give, tried on what there is: its code runs, and no figure comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.networks import count_parameters
from LungNoduleSegLib.report.record import cpu_name, versions
from training.studies import results
from training.studies.definitions import NEEDS
from training.studies.fitting import try_out
from training.studies.plan import Run
from training.studies.runner import Material

BATCHES, BATCH_SIZE = 4, 2


def trial(run: Run, material: Material, folder: Path, *, batches: int = BATCHES) -> dict[str, Any]:
    """A few batches of tiles of complete scans at the row's size; ``trial.json`` in the row's folder.

    Raises
    ------
    InputError
        When there is no complete scan.
    """
    scans = material.on_side("train")
    if not scans:
        raise InputError(f"{run.study}/{run.row} {NEEDS}", remedy="Prepare at least one complete scan to try it.")
    settings = replace(run.settings, batch_size=BATCH_SIZE, samples=batches * BATCH_SIZE, scan_share=1.0)
    with TemporaryDirectory() as place:
        losses, network = try_out(replace(run, settings=settings), material.crops, scans, Path(place))
    facts = {
        "study": run.study,
        "row": run.row,
        "needs": NEEDS,
        "why": f"the crops at hand are {material.px} px wide, the row asks for {run.px}",
        "tried_on": f"{settings.samples} tiles of {len(scans)} complete scans of training patients",
        "scale": settings.scale,
        "px": run.px,
        "parameters": count_parameters(network),
        "losses": [round(float(v), 4) for v in losses],
        "finite": bool(np.isfinite(losses).all()),
        "threads": torch.get_num_threads(),
        "cpu": cpu_name(),
        "versions": versions(),
    }
    results.write_json(folder / run.study / run.row / results.TRIAL, facts)
    return facts
