"""The crops of all items as one set of arrays, each nodule once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.prepare.arrays import ArrayWriter, Stored, disk_errors, open_array, write_array
from training.prepare.cropping import ROW
from training.prepare.task import KINDS

_STACKS = ("images", "votes", "labels", "marks")


def chosen_crops(items: Sequence[dict[str, Any]], folder: Path) -> list[tuple[dict[str, Any], int, str, np.ndarray]]:
    """(item, number of the nodule in its series, series, indices of its crops in the item), in the final order.

    A nodule that several items show comes from the first of complete scan, case, public crops, scan cropped to the
    lungs: complete scans have every reader's mask, lung boxes cut crops off.
    """
    best: dict[tuple[str, int], tuple] = {}
    for item in sorted((i for i in items if i["crops"]), key=lambda i: KINDS.index(i["kind"])):
        rows = open_array(folder / item["key"] / "crop-rows.npy")
        series = np.array(item.get("series_of_crops") or [item["series"]] * len(rows))
        for uid in dict.fromkeys(series.tolist()):
            scan_id = item["scan_ids"][uid] if "scan_ids" in item else item["scan_id"]
            for number in dict.fromkeys(rows["nodule"][series == uid].tolist()):
                if (uid, number) not in best:
                    index = np.flatnonzero((series == uid) & (rows["nodule"] == number))
                    best[uid, number] = ((item["patient"], scan_id, uid, number), (item, number, uid, index))
    return [entry for _, entry in sorted(best.values(), key=lambda pair: pair[0])]


def merge(items: Sequence[dict[str, Any]], folder: Path, target: Path) -> dict[str, Any]:
    """Write the crops of ``items`` (below ``folder``) into ``target``; what the manifest says of them."""
    chosen = chosen_crops(items, folder)
    total = sum(len(index) for *_, index in chosen)
    beside = target.with_name(f".part-{target.name}")
    shutil.rmtree(beside, ignore_errors=True)
    files: dict[str, Stored] = {}
    with disk_errors(beside):
        beside.mkdir(parents=True)
        for name in _STACKS:
            with ArrayWriter(beside / f"{name}.npy", (total, 128, 128), np.dtype(np.uint8)) as writer:
                for item, _, _, index in chosen:
                    writer.append(open_array(folder / item["key"] / f"crop-{name}.npy")[index])
            files[f"{name}.npy"] = writer.stored
        for name, column in _columns(chosen, folder).items():
            files[f"{name}.npy"] = write_array(beside / f"{name}.npy", column)
        if target.exists():
            shutil.rmtree(target)
        beside.replace(target)
    return {
        "count": total, "nodules": len(chosen), "files": {name: stored.to_dict() for name, stored in files.items()},
    }  # fmt: skip


def _columns(chosen: list, folder: Path) -> dict[str, np.ndarray]:
    counts = [len(index) for *_, index in chosen]
    owner = np.repeat(np.arange(len(chosen)), counts)
    rows = [open_array(folder / item["key"] / "crop-rows.npy")[index] for item, _, _, index in chosen]
    joined = np.concatenate(rows) if rows else np.zeros(0, ROW)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    index = np.arange(len(owner))
    # Neighbours in the scan: known places must follow each other, those of public crops without a place do.
    gap = np.diff(joined["k"], prepend=-9) != 1
    gap &= joined["k"] >= 0
    starts = np.isin(index, first)
    ends = np.append(starts[1:], True)
    joins = ~starts & ~gap
    return {
        "rows": joined,
        "readers": joined["readers"].copy(),
        "patients": np.repeat(np.array([item["patient"] for item, *_ in chosen], dtype=np.str_), counts),
        "series": np.repeat(np.array([uid for _, _, uid, _ in chosen], dtype=np.str_), counts),
        "nodules": owner.astype(np.int32),
        "below": np.where(joins, index - 1, index),
        "above": np.where(~ends & np.append(joins[1:], False), index + 1, index),
        "spacing_mm": joined["spacing_mm"].copy(),
    }
