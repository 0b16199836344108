"""Where a run's weights come from: the data that it saw, and the weights that it started from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import CatalogEntry, checks
from training.data.crops import Crops
from training.data.scans import TrainingScan
from training.data.split import side
from training.prepare.description import KIND_NAMES
from training.sources import Sources

START_FILE = "start.json"
LIDC = "LIDC-IDRI (Armato et al. 2011, CC BY 3.0)"
UNPREPARED = f"{LIDC}: crops of 128x128 pixels around annotated nodules, and complete scans of six training patients"

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def write_start(folder: Path, start: dict[str, Any]) -> None:
    """Beside a run: what its first weights were."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / START_FILE).write_text(json.dumps(start), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror or error})", path=folder / START_FILE, remedy="Make room on this disk."
        ) from error


def forget_start(folder: Path) -> None:
    """A run that starts from nothing."""
    (folder / START_FILE).unlink(missing_ok=True)


def start_of_model(entry: CatalogEntry) -> dict[str, Any]:
    """What is kept of a model that a run starts from: that model may be gone when the run is published."""
    card = entry.card
    training = checks.thawed(card.training)
    return {
        "model": card.name, "version": card.version, "sha256": card.sha256, "data": training["data"],
        "series": training["series"], "licence": card.licence,
    }  # fmt: skip


def parent_of(sources: Sources, folder: Path) -> dict[str, Any] | None:
    """The model that a run, or the first of the runs before it, started from; None where none did."""
    start = read_start([folder, *runs_before(sources, folder)][-1])
    return start if start and "model" in start else None


def runs_before(sources: Sources, folder: Path) -> list[Path]:
    """Folders of the runs that a run started from, the last one first."""
    chain = [folder]
    while (start := read_start(chain[-1])) and "run" in start and sources.run(start["run"]) not in chain:
        chain.append(sources.run(start["run"]))
    return chain[1:]


def read_start(folder: Path) -> dict[str, Any] | None:
    """What `write_start` kept beside a run; None for a run that started from nothing."""
    try:
        return json.loads((folder / START_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"damaged ({error})", path=folder / START_FILE, remedy="Train the run again.") from error


def series_by_side(
    crops: Crops, sources: Sources, parent: dict[str, Any] | None = None, leave_out: Collection[str] = ()
) -> dict[str, list[str]]:
    """Every SeriesInstanceUID that training or validation saw, those of the model that it started from included.

    Patients of ``leave_out`` trained nothing.

    A case without such a UID gets one that is made of its name.
    """
    trained = {s.series for s in sources.scans() if s.patient not in leave_out}
    seen: dict[str, set[str]] = {"train": trained, "validation": set()}
    for patient, series in zip(crops.patients, crops.series):
        part = side(str(patient))
        if part in seen and not (part == "train" and patient in leave_out):
            seen[part].add(str(series))
    by_side = {part: {as_uid(name) for name in names} for part, names in seen.items()}
    for part, names in by_side.items():
        names.update(parent["series"][part] if parent else ())
    by_side["validation"] -= by_side["train"]
    return {part: sorted(uids) for part, uids in by_side.items()}


def series_of(patients: Collection[str], crops: Crops, scans: Iterable[TrainingScan]) -> set[str]:
    """Every SeriesInstanceUID of those patients' crops and scans."""
    names = {str(s) for p, s in zip(crops.patients, crops.series) if str(p) in patients}
    return {as_uid(name) for name in names | {scan.series for scan in scans if scan.patient in patients}}


def check_not_seen(start: dict[str, Any], series: set[str], path: Path) -> None:
    """InputError where the model that a run starts from was trained on one of these series."""
    seen = series & set(start["series"]["train"])
    if seen:
        raise InputError(
            f"it was trained on {len(seen)} of the series that this run leaves out, such as {min(seen)}",
            path=path,
            remedy="Start afresh, or from a run that leaves them out too (--init).",
        )


def as_uid(series: str) -> str:
    """A DICOM UID: the series' own, else one (2.25, of 128 bits) that follows from its name."""
    if _UID.fullmatch(series) and len(series) <= checks.UID_LENGTH:
        return series
    return f"2.25.{int.from_bytes(hashlib.sha256(series.encode()).digest()[:16], 'big')}"


def data_text(description: dict[str, Any], parent: dict[str, Any] | None = None) -> str:
    """What the data was, as a sentence of the card."""
    parts = [UNPREPARED]
    if "crops_in_all" in description:
        parts = [_source(name, counts) for name, counts in description["sources"].items()]
        if is_lidc(description):
            parts[0] = f"{LIDC}: {parts[0]}"
    if parent:
        parts.append(f"started from {parent['model']} {parent['version']}, which was trained on {parent['data']}")
    return "; ".join(parts)


def is_lidc(description: dict[str, Any]) -> bool:
    """Whether any of the data is LIDC-IDRI's."""
    return set(description["sources"]) != {KIND_NAMES["pair"]}


def _source(name: str, counts: dict[str, int]) -> str:
    words = {"patients": "patients", "crops": "crops around nodules", "complete_scans": "whole volumes"}
    return f"{name}, " + ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts.get(key))
