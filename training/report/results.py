"""A results folder of the studies: ``STUDY/ROW/seed-K/{run.json, images.csv.gz, calibration.json}``."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.metrics import Calibration
from training.report.images import Images, read_images

_NEEDED = ("study", "row", "seed", "scale", "protocol")
SCALES = ("full", "compact")
PROTOCOLS = ("patient", "slice")
SLICE_SUFFIX = "-slice"
"""The studies keep runs of the slice split in a folder of their own; the report knows them by ``protocol``."""


def read_calibration(path: Path) -> Calibration:
    """Reads a ``calibration.json``: ``counts``, ``positives`` of equal bins from 0 to 1, and ``confidence`` if given.

    Raises
    ------
    InputError
        It is damaged, or more pixels are nodule than there are.
    """
    remedy = "Run that row of the study again, or remove the file."
    bins = _json(path)
    try:
        counts, positives = (np.asarray(bins[name], dtype=np.int64) for name in ("counts", "positives"))
        if counts.ndim != 1 or counts.shape != positives.shape or (positives < 0).any() or (positives > counts).any():
            raise ValueError("`positives` are not between 0 and `counts`")
        if bins.get("confidence") is None:
            return Calibration(counts, positives)
        confidence = np.array([0.0 if value is None else float(value) for value in bins["confidence"]])
        return Calibration(counts, positives, confidence * counts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"is no calibration ({error})", path=path, remedy=remedy) from error


@dataclass(frozen=True)
class Run:
    """One trained network and what it made of the test images. ``facts`` is all of ``run.json``."""

    study: str
    row: str
    seed: int
    scale: str
    protocol: str
    facts: dict[str, Any]
    images: Images
    calibration: Calibration | None = None
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"`scale` is {self.scale!r}, not one of {', '.join(SCALES)}")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"`protocol` is {self.protocol!r}, not one of {', '.join(PROTOCOLS)}")

    def number(self, name: str) -> float | None:
        """A number out of ``run.json``, None where it has none."""
        value = self.facts.get(name)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    @property
    def log(self) -> list[dict[str, Any]]:
        """``validation_log``: one entry a check on the validation patients."""
        entries = self.facts.get("validation_log") or []
        return [entry for entry in entries if isinstance(entry, dict)]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path, remedy="Run that row of the study again.") from error


def read_run(folder: Path) -> Run:
    """Reads one run's folder.

    Raises
    ------
    InputError
        A file is damaged or lacks something; ``calibration.json`` alone may be absent.
    """
    remedy = "Run that row of the study again, or remove the folder."
    facts = _json(folder / "run.json")
    missing = [n for n in _NEEDED if n not in facts] if isinstance(facts, dict) else list(_NEEDED)
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", path=folder / "run.json", remedy=remedy)
    images, calibration = read_images(folder / "images.csv.gz"), None
    if (folder / "calibration.json").is_file():
        calibration = read_calibration(folder / "calibration.json")
    try:
        return Run(
            str(facts["study"]).removesuffix(SLICE_SUFFIX), str(facts["row"]), int(facts["seed"]),
            facts["scale"], facts["protocol"], facts, images, calibration, folder,
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise InputError(str(error), path=folder / "run.json", remedy=remedy) from error


def read_results(folder: Path) -> list[Run]:
    """Every finished run below a results folder, by study, row, protocol and seed.

    A run's folder without ``run.json`` is one that is still running; it is passed over.

    Raises
    ------
    InputError
        The folder is absent or holds no run, a run is damaged, or two runs have the same place.
    """
    if not folder.is_dir():
        raise InputError("is no folder", path=folder, remedy="Give the folder that the studies wrote to.")
    found = sorted(path.parent for path in folder.rglob("run.json"))
    if not found:
        raise InputError(
            "holds no run (no run.json below it)", path=folder, remedy="Run one first: python -m training study NAME."
        )
    runs = sorted((read_run(f) for f in found), key=lambda r: (r.scale, r.study, r.row, r.protocol, r.seed))
    for one, other in itertools.pairwise(runs):
        if _place(one) == _place(other):
            raise InputError(
                f"holds the run {' / '.join(map(str, _place(one)))} twice, the other time in {other.folder}",
                path=one.folder, remedy="Remove one of them.",
            )  # fmt: skip
    return runs


def _place(run: Run) -> tuple[str, str, str, str, int]:
    return run.scale, run.study, run.row, run.protocol, run.seed


def read_trials(folder: Path) -> dict[tuple[str, str], str]:
    """What was tried of rows that the data at hand cannot give: (study, row) to a clause, from ``trial.json`` files.

    Raises
    ------
    InputError
        One of them cannot be read.
    """
    found = {}
    for path in sorted(folder.rglob("trial.json")):
        facts = _json(path)
        if isinstance(facts, dict) and "study" in facts and "row" in facts:
            found[str(facts["study"]), str(facts["row"])] = str(facts.get("tried_on", ""))
    return found


_COST = ("row", "title", "parameters", "mib", "gflop", "ms_per_image", "px", "threads", "device")


def read_costs(folder: Path) -> list[dict[str, Any]]:
    """What the networks cost at full width, from ``cost.json`` files, the smaller first.

    Raises
    ------
    InputError
        One of them cannot be read, or lacks something.
    """
    found = []
    for path in folder.rglob("cost.json"):
        facts = _json(path)
        missing = [n for n in _COST if n not in facts] if isinstance(facts, dict) else list(_COST)
        if missing:
            raise InputError(f"lacks {', '.join(missing)}", path=path, remedy="Remove it, and run study E again.")
        found.append(facts)
    return sorted(found, key=lambda facts: (facts["parameters"], facts["row"]))
