"""Prepare a source: find, do every piece in processes of their own, put the crops together, write the manifest last."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from LungNoduleSegLib.errors import InputError
from training.data.split import side
from training.lidc.database import read_scans
from training.lidc.findings import write_findings
from training.lidc.readings import read_folder
from training.prepare.arrays import disk_errors
from training.prepare.description import describe_dataset
from training.prepare.finding import Damaged, Found, Header, find, read_headers
from training.prepare.merge import merge
from training.prepare.pairs import Pair, find_pairs, read_pairs
from training.prepare.pool import outcomes
from training.prepare.store import DATASET, FOLDER, FORMAT, MANIFEST, Store
from training.prepare.tasks import KEEP, Plan, make_plan
from training.prepare.work import PART, read_item

_HEADERS_AT_ONCE = 256
MARKS = "marks.csv"


@dataclass(frozen=True)
class Prepared:
    """What a run of ``prepare`` did: the store, the items of this source, and the plan with what was skipped."""

    store: Store
    items: list[dict[str, Any]]
    plan: Plan


def prepare(
    source: Path,
    cache: Path,
    *,
    workers: int = 1,
    pairs: Path | None = None,
    keep: str = "all",
    progress: bool = True,
) -> Prepared:
    """Read ``source`` into ``cache``; what is there already stays, and an interrupted run goes on.

    Parameters
    ----------
    workers
        Processes; 1 works in this one.
    pairs
        Table of the user's own cases (see `training.prepare.pairs`); without it they are found by their names.
    keep
        Which scans' whole volumes are kept: "all", "train" (of patients on the training side) or "none".

    Raises
    ------
    InputError
        No database of annotations, nothing in the source that training can use, a full disk.
    """
    if keep not in KEEP:
        raise InputError(f"no choice of scans is called {keep!r}", remedy=f"Choose one of: {', '.join(KEEP)}.")
    found = find(source)
    items_folder = cache / FOLDER / "items"
    with disk_errors(cache):
        items_folder.mkdir(parents=True, exist_ok=True)
    for left in items_folder.glob(f"{PART}*"):
        shutil.rmtree(left, ignore_errors=True)
    found.marks = found.marks or _marks_of_xml(source, found, cache / FOLDER / MARKS)
    with ExitStack() as stack:
        pool = None
        if workers > 1:
            pool = stack.enter_context(ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")))
        plan = _plan(source, found, read_pairs(pairs) if pairs else None, keep, pool, progress)
        items = list(_done(plan, items_folder, pool, progress))
    if not items:
        reasons = "; ".join(f"{s['what']}: {s['reason']}" for s in plan.skipped[:3])
        raise InputError(f"nothing in it could be prepared ({reasons})", path=source, remedy="See what is named.")
    return Prepared(_finish(cache, plan, found.marks is not None), items, plan)


def _marks_of_xml(source: Path, found: Found, table: Path) -> Path | None:
    """The readers' marks without contour, out of the XML files of the source, as a table of the cache."""
    if not found.xml:
        return None
    readings = read_folder(source).by_series
    if not readings:
        return None
    write_findings(table, {uid: r.findings for uid, r in readings.items()}, dict.fromkeys(readings, ""))
    return table


def _plan(source: Path, found: Found, pairs: list[Pair] | None, keep: str, pool, progress: bool) -> Plan:
    pairs = find_pairs(_images(source)) if pairs is None else pairs
    headers: list[Header | Damaged] = []
    chunks = [found.files[n : n + _HEADERS_AT_ONCE] for n in range(0, len(found.files), _HEADERS_AT_ONCE)]
    with tqdm(total=len(found.files), desc="headers", unit="file", disable=not progress or not chunks) as bar:
        for chunk in pool.map(read_headers, chunks) if pool else map(read_headers, chunks):
            headers += chunk
            bar.update(_HEADERS_AT_ONCE if len(chunk) == _HEADERS_AT_ONCE else len(chunk))
    lidc = bool(found.public or found.boxes or any(isinstance(h, Header) and h.modality == "CT" for h in headers))
    # A case's CT may be DICOM: the database is needed only where something else is.
    own_only = pairs and not found.public and not found.boxes
    scans = read_scans() if lidc and not own_only else _scans_if_there() if lidc else []
    wanted: Callable[[str], bool] = {
        "all": lambda patient: True, "none": lambda patient: False, "train": lambda patient: side(patient) == "train",
    }[keep]  # fmt: skip
    plan = make_plan(found, headers, scans, pairs, wanted)
    if not plan.tasks:
        if plan.skipped:
            reasons = "; ".join(f"{s['what']}: {s['reason']}" for s in plan.skipped[:3])
            raise InputError(f"nothing that training can use ({reasons})", path=source, remedy="See what is named.")
        raise InputError(
            "nothing that training can use: no CT series of LIDC-IDRI, no public crops, no pair of CT and segmentation",
            path=source, remedy="Give the folder of the download, or a table of your cases with --pairs.",
        )  # fmt: skip
    return plan


def _scans_if_there() -> list:
    try:
        return read_scans()
    except InputError:
        return []


def _images(source: Path) -> list[Path]:
    return [Path(parent, name) for parent, _, names in os.walk(source) for name in sorted(names)]


def _done(plan: Plan, items: Path, pool: ProcessPoolExecutor | None, progress: bool) -> Iterator[dict[str, Any]]:
    images = 0
    with tqdm(total=len(plan.tasks), desc="prepare", unit="series", disable=not progress) as bar:
        for task, outcome in outcomes(plan.tasks, items, pool):
            bar.update()
            if isinstance(outcome, InputError):
                plan.skip(task.name, outcome.finding + (f" ({outcome.path})" if outcome.path else ""))
                continue
            images += outcome["crops"]
            bar.set_postfix(crops=images, skipped=len(plan.skipped))
            yield outcome


def _finish(cache: Path, plan: Plan, marks: bool) -> Store:
    root = cache / FOLDER
    with disk_errors(root):
        # From here until the new manifest is in place the cache is not whole.
        (root / MANIFEST).unlink(missing_ok=True)
        known = [read_item(folder) for folder in sorted((root / "items").iterdir())]
        items = [item for item in known if item is not None]
        crops = merge(items, root / "items", root / "crops")
        description = describe_dataset(items, crops, plan.skipped, plan.missing, _sides(root / "crops"), marks)
        _write_json(root / DATASET, description)
        _write_json(root / MANIFEST, {"format": FORMAT, "crops": crops, "items": items})
    return Store(cache)


def _sides(folder: Path) -> dict[str, dict[str, int]]:
    patients, rows = np.load(folder / "patients.npy"), np.load(folder / "rows.npy")
    sides = np.array([side(str(p)) for p in patients])
    return {
        name: {"crops": int((sides == name).sum()), "patients": len(set(patients[sides == name])),
               "positive": int((rows["consensus_px"][sides == name] > 8).sum())}
        for name in ("train", "validation", "test", "none") if (sides == name).any()
    }  # fmt: skip


def _write_json(path: Path, content: dict[str, Any]) -> None:
    beside = path.with_name(f".part-{path.name}")
    beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
    beside.replace(path)
