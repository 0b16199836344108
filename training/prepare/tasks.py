"""From what was found to what is to be done, and what cannot be used."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.lidc.database import Scan
from training.prepare.finding import Damaged, Found, Header, by_series
from training.prepare.pairs import Pair
from training.prepare.series import check_series
from training.prepare.task import Task

KEEP = ("all", "train", "none")
"""Which complete scans go into the cache with their whole volume."""


@dataclass
class Plan:
    """Tasks; what was skipped, with its reason; and which annotated series the source lacks."""

    tasks: list[Task] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    missing: dict[str, Any] = field(default_factory=dict)

    def skip(self, what: object, reason: str) -> None:
        self.skipped.append({"what": str(what), "reason": reason})


def make_plan(
    found: Found, headers: Iterable[Header | Damaged], scans: Sequence[Scan], pairs: Sequence[Pair], keep
) -> Plan:
    """What to do.

    Parameters
    ----------
    scans
        The annotated series of LIDC-IDRI; none where the source has none of it.
    keep
        patient -> whether the whole volume goes into the cache.
    """
    plan = Plan()
    known = {scan.series_uid: scan for scan in scans}
    headers = list(headers)
    for one in headers:
        if isinstance(one, Damaged):
            plan.skip(one.path, f"damaged: {one.reason}")
    series = by_series(h for h in headers if isinstance(h, Header))
    others: dict[str, int] = {}
    for header in headers:
        if isinstance(header, Header) and header.modality != "CT":
            others[header.modality or "none"] = others.get(header.modality or "none", 0) + 1
    for modality, count in sorted(others.items()):
        plan.skip(f"{count} files of modality {modality}", "not CT")
    used = {path for pair in pairs for path in (pair.ct, pair.segmentation)}
    for uid, files in series.items():
        _add_series(plan, uid, files, known.get(uid), found.marks, keep, used)
    _add_boxes(plan, found, known, keep)
    _add_public(plan, found, known)
    for folder in found.clean:
        plan.tasks.append(Task("clean", folder.name, (folder,)))
    for pair in pairs:
        files = (pair.ct, pair.segmentation)
        plan.tasks.append(Task("pair", pair.patient, files, pair=pair, keep_scan=keep(pair.patient)))
    if known:
        there = {s.series_uid for task in plan.tasks if task.kind == "dicom" for s in task.scans}
        lacking = [scan for scan in scans if scan.series_uid not in there]
        names = [f"{scan.patient_id} {scan.series_uid}" for scan in lacking]
        plan.missing = {"annotated_series": len(scans), "complete": len(there), "missing": len(lacking), "names": names}
    return plan


def _add_series(
    plan: Plan, uid: str, files: Sequence[Header], scan: Scan | None, marks: Path | None, keep, used: set[Path]
) -> None:
    folder = files[0].path.parent
    if scan is None:
        if not any(folder == path or path in folder.parents or files[0].path == path for path in used):
            plan.skip(
                f"{files[0].patient or folder}, series {uid} ({len(files)} files in {folder})",
                "unknown series: not annotated",
            )
        return
    checked = check_series(files, scan)
    if checked.fault:
        plan.skip(f"{scan.patient_id}, series {uid} ({folder})", checked.fault)
        return
    plan.tasks.append(
        Task("dicom", scan.patient_id, checked.files, (scan,), (), marks, None, keep(scan.patient_id), checked.remarks)
    )


def _add_boxes(plan: Plan, found: Found, known: dict[str, Scan], keep) -> None:
    seen: dict[str, Path] = {}
    for path in found.boxes:
        try:
            with np.load(path) as data:
                uid = str(data["series"])
                data["origin_rc"], data["z_mm"], data["spacing_mm"]
        except Exception as error:  # a zip file's damage has many names
            plan.skip(path, f"damaged: {error}")
            continue
        if uid not in known:
            plan.skip(path, f"unknown series: not annotated ({uid})")
        elif uid in seen:
            plan.skip(path, f"given twice: {seen[uid]} is used")
        else:
            seen[uid] = path
            scan = known[uid]
            plan.tasks.append(
                Task("box", scan.patient_id, (path,), (scan,), (), found.marks, None, keep(scan.patient_id))
            )


def _add_public(plan: Plan, found: Found, known: dict[str, Scan]) -> None:
    if not found.public:
        return
    if found.crops_table is None:
        plan.skip(
            found.public[0].parent,
            f"{len(found.public)} patients of public crops without the table of their series (lidc_crops.csv)",
        )
        return
    with found.crops_table.open(newline="", encoding="utf-8") as stream:
        rows: dict[str, list[dict[str, str]]] = {}
        for row in csv.DictReader(stream):
            rows.setdefault(row["patient"], []).append(row)
    seen: dict[str, Path] = {}
    for folder in found.public:
        patient = folder.name
        if patient in seen:
            plan.skip(folder, f"given twice: {seen[patient]} is used")
            continue
        seen[patient] = folder
        own = [r for r in rows.get(patient, []) if r["series_instance_uid"] in known]
        there = [r for r in own if (folder / r["nodule_dir"]).is_dir()]
        if not own:
            plan.skip(folder, "unknown series: the table of public crops does not list it, or it is not annotated")
            continue
        for row in own:
            if row not in there:
                plan.skip(folder / row["nodule_dir"], "missing, though the table lists it")
        if there:
            scans = tuple(known[uid] for uid in dict.fromkeys(r["series_instance_uid"] for r in there))
            plan.tasks.append(Task("public", patient, (folder,), scans, tuple(there)))
