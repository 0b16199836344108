"""The files of a run: written into a hidden folder beside the target, then moved there together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from LungNoduleSegLib.report.overview import write_overview
from LungNoduleSegLib.report.publish import Publication
from LungNoduleSegLib.report.record import run_record, write_json
from LungNoduleSegLib.report.scene_file import SceneFile

NAMES = ("nodules.csv", "nodules.seg.nrrd", "scene.mrb", "overview.png", "uncertainty.nrrd", "run.json")


@dataclass(frozen=True)
class Written:
    """Paths of what was written, in the order of :data:`NAMES`, and a sentence for each file that was left out."""

    paths: list[Path]
    left_out: dict[str, str]


def write_outputs(
    publication: Publication,
    result: Any,
    *,
    name: str,
    command: str,
    started: datetime,
    seconds: dict[str, float],
    tell: Callable[[float, str], None] = lambda fraction, message: None,
) -> Written:
    """Writes all files of a run and publishes them.

    Parameters
    ----------
    publication
        An entered :class:`Publication` of :data:`NAMES`.
    result
        The run's result.
    name
        Name of the CT, for the picture and the scene.
    command
        "segment" or "click".
    started, seconds
        When the run began and how long its steps took; the steps here are added to the record.
    tell
        Progress: fraction 0..1 and a message.
    """
    from LungNoduleSegLib.mrml.seg_nrrd import write_seg_nrrd
    from LungNoduleSegLib.nodules.table import write_csv
    from LungNoduleSegLib.report.uncertainty_file import write_uncertainty

    begun = time.perf_counter()
    folder = publication.folder
    left_out: dict[str, str] = {}
    tell(0.0, "Writing the results")
    scene = SceneFile(folder / "scene.mrb", result, name)
    try:
        write_csv(folder / "nodules.csv", result.nodules)
        write_seg_nrrd(folder / "nodules.seg.nrrd", result)
        if result.spread is not None:
            write_uncertainty(folder / "uncertainty.nrrd", result)
        tell(0.3, "Drawing the overview")
        try:
            write_overview(folder / "overview.png", result, title=name)
        except Exception as error:  # a picture must not cost the run that it shows
            (folder / "overview.png").unlink(missing_ok=True)
            left_out["overview.png"] = f"overview.png was left out: {type(error).__name__}: {error}"
        tell(0.7, "Writing the Slicer scene")
        sentence = scene.finish()
        if sentence is not None:
            left_out["scene.mrb"] = sentence
    finally:
        scene.stop()
    files = [file for file in NAMES if file == "run.json" or (folder / file).is_file()]
    whole = (datetime.now(timezone.utc) - started).total_seconds()
    record = run_record(
        result,
        command=command,
        started=started,
        seconds={**seconds, "write": time.perf_counter() - begun, "total": whole},
        files=files,
        left_out=left_out,
    )
    write_json(folder / "run.json", record)
    paths = publication.commit()
    tell(1.0, "Done")
    return Written(paths, left_out)
