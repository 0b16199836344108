"""The folder of one run: ``run.json``, ``images.csv.gz``, ``calibration.json`` and the weights; written whole."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError
from training.studies.evaluation import Seen

COLUMNS = (
    "patient", "series", "nodule", "slice", "readers", "area_px", "spacing_mm", "tp", "fp", "fn",
    "mean_probability_in_truth", "max_probability", "source",
)  # fmt: skip
RUN, IMAGES, CALIBRATION, WEIGHTS, TRIAL = (
    "run.json", "images.csv.gz", "calibration.json", "weights.safetensors", "trial.json",
)  # fmt: skip


def write_json(path: Path, data: Any) -> None:
    """Beside, then renamed: there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """What `write_json` wrote, None where there is nothing; InputError when it is damaged."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"not readable ({error})", path=path, remedy="Delete it; it is made again.") from error


def read_run(folder: Path) -> dict[str, Any] | None:
    """``run.json`` of a finished run, None where there is none; InputError when it is damaged."""
    return read_json(folder / RUN)


def write_seen(folder: Path, seen: Seen) -> None:
    """Images and calibration."""
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(seen.rows)
    beside = folder / (IMAGES + ".part")
    # No time stamp inside, so that the same results are the same file.
    beside.write_bytes(gzip.compress(text.getvalue().encode("utf-8"), compresslevel=9, mtime=0))
    beside.replace(folder / IMAGES)
    edges = [round(n / len(seen.counts), 4) for n in range(len(seen.counts) + 1)]
    data = {"edges": edges, "counts": seen.counts.tolist(), "positives": seen.positives.tolist()}
    write_json(folder / CALIBRATION, data)


def read_images(folder: Path) -> list[dict[str, str]]:
    """Lines of ``images.csv.gz`` as text."""
    with gzip.open(folder / IMAGES, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
