"""One piece of preparing: a series, a patient's public crops, a case. Done whole, or not there."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from LungNoduleSegLib.ct import lung_mask, read_ct
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import CLIP_HU
from training.data.crops import read_nodule
from training.data.other_nodules import find_place, other_nodules
from training.data.scans import TrainingScan, annotated_scan, read_lidc_scan, read_lung_box
from training.lidc.clusters import cluster
from training.prepare.arrays import Stored, disk_errors, write_array
from training.prepare.cropping import ROW, CropSet, crop_set, joined, lidc_crops
from training.prepare.pair_crops import pair_crops
from training.prepare.segmentation import read_segmentation
from training.prepare.task import FORMAT, Task

ITEM_FILE = "item.json"
PART = ".part-"


def work(task: Task, items: Path) -> dict[str, Any]:
    """Do a task, unless it is done; what it made, as in its ``item.json``.

    Raises
    ------
    InputError
        The input is at fault, or the disk is full.
    """
    folder, fingerprint = items / task.key, task.fingerprint()
    done = read_item(folder)
    if done is not None and done["fingerprint"] == fingerprint:
        return done
    beside = items / f"{PART}{task.key}-{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    with disk_errors(beside):
        beside.mkdir(parents=True)
        try:
            item = {"format": FORMAT, "key": task.key, "kind": task.kind, "patient": task.patient}
            item |= _MAKERS[task.kind](task, beside) | {"fingerprint": fingerprint}
            item["remarks"] = [*task.remarks, *item.get("remarks", ())]
            (beside / ITEM_FILE).write_text(json.dumps(item, indent=1), encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            beside.replace(folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    return item


def read_item(folder: Path) -> dict[str, Any] | None:
    """What is known of a finished item; None where there is none, it is of another format, or a file lacks."""
    try:
        item = json.loads((folder / ITEM_FILE).read_text(encoding="utf-8"))
        whole = all((folder / n).stat().st_size == f["bytes"] for n, f in item["files"].items())
        return item if whole and item["format"] == FORMAT else None
    except (OSError, ValueError, KeyError):
        return None


def _dicom(task: Task, folder: Path) -> dict[str, Any]:
    ct, z_mm, origin = read_lidc_scan(list(task.paths))
    return _series(task, folder, ct, z_mm, origin)


def _box(task: Task, folder: Path) -> dict[str, Any]:
    ct, z_mm, origin = read_lung_box(task.paths[0])
    return _series(task, folder, ct, z_mm, origin)


def _series(task: Task, folder: Path, ct, z_mm: np.ndarray, origin: tuple[int, int]) -> dict[str, Any]:
    (scan,) = task.scans
    whole = ct.shape[1:] if task.kind == "dicom" else None
    hu = np.clip(ct.hu, *CLIP_HU)
    crops = lidc_crops(hu, scan, z_mm, origin, whole)
    item = _write_crops(folder, crops)
    if task.keep_scan:
        made = annotated_scan(task.patient, ct, scan, z_mm, origin, task.marks)
        item["scan"] = _write_scan(folder, made, item["files"])
    return item | {"series": scan.series_uid, "scan_id": scan.id, "remarks": list(ct.warnings)}


def _public(task: Task, folder: Path) -> dict[str, Any]:
    by_uid = {scan.series_uid: (scan, cluster(scan)) for scan in task.scans}
    parts: list[CropSet] = []
    series: list[str] = []
    for row in task.rows:
        scan, groups = by_uid[row["series_instance_uid"]]
        images, masks = read_nodule(task.paths[0] / row["nodule_dir"])
        number = next((n for n, g in enumerate(groups) if any(a.id == int(row["annotation_id"]) for a in g)), None)
        if number is None:
            raise InputError(f"the database has no annotation {row['annotation_id']} of {row['nodule_dir']}")
        place = find_place(scan, groups[number], masks)
        rows = np.zeros(len(images), ROW)
        rows["nodule"] = number
        rows["k"] = np.arange(place[0], place[0] + len(images)) if place else -1
        rows["row"], rows["column"] = place[1:] if place else (-1, -1)
        rows["spacing_mm"] = float(row["pixel_spacing"])
        near = other_nodules(scan, groups, int(row["annotation_id"]), masks)
        parts.append(crop_set(images, masks, near, rows))
        series += [scan.series_uid] * len(images)
    ids = {scan.series_uid: scan.id for scan in task.scans}
    return _write_crops(folder, joined(parts)) | {"series_of_crops": series, "scan_ids": ids}


def _pair(task: Task, folder: Path) -> dict[str, Any]:
    assert task.pair is not None
    ct = read_ct(task.pair.ct)
    if ct.slice_orientation != "axial":
        raise InputError(
            f"slices are {ct.slice_orientation}, not axial", path=task.pair.ct, remedy="Give axial slices."
        )
    nodules, remarks = read_segmentation(task.pair.segmentation, ct)
    series = ct.series_uid or f"case:{task.pair.case}"
    hu = np.clip(ct.hu, *CLIP_HU)
    item = _write_crops(folder, pair_crops(hu, nodules, ct.spacing_mm[1]))
    if task.keep_scan:
        made = TrainingScan(
            task.patient, series, hu, (nodules > 0).astype(np.uint8), nodules, lung_mask(ct), ct.spacing_mm
        )
        item["scan"] = _write_scan(folder, made, item["files"])
    return item | {"series": series, "scan_id": -1, "remarks": [*ct.warnings, *remarks]}


def _clean(task: Task, folder: Path) -> dict[str, Any]:
    files = sorted(task.paths[0].glob("slice-*.png"), key=lambda p: int(re.findall(r"\d+", p.stem)[0]))
    slices = np.stack([np.asarray(Image.open(path)) for path in files])
    if slices.ndim != 3 or slices.dtype != np.uint8:
        raise InputError("not grey slices of 8 bits", path=task.paths[0], remedy="Unpack them again.")
    stored = write_array(folder / "clean-images.npy", slices)
    return {"files": {"clean-images.npy": stored.to_dict()}, "crops": 0, "slices": len(slices)}


_MAKERS = {"dicom": _dicom, "box": _box, "public": _public, "pair": _pair, "clean": _clean}


def _write_crops(folder: Path, crops: CropSet) -> dict[str, Any]:
    files: dict[str, Stored] = {}
    for name in ("images", "votes", "labels", "marks", "rows"):
        files[f"crop-{name}.npy"] = write_array(folder / f"crop-{name}.npy", getattr(crops, name))
    nodules = len(set(crops.rows["nodule"].tolist()))
    return {
        "files": {name: stored.to_dict() for name, stored in files.items()},
        "crops": len(crops.images), "nodules": nodules, "cut_off": crops.cut_off,
    }  # fmt: skip


def _write_scan(folder: Path, scan: TrainingScan, files: dict[str, Any]) -> dict[str, Any]:
    arrays = {"hu": scan.hu, "labels": scan.labels, "nodules": scan.nodules, "lung": scan.lung}
    arrays |= {"positive": scan.positive_index, "lung_rows": scan.lung_rows}
    for name, array in arrays.items():
        files[f"scan-{name}.npy"] = write_array(folder / f"scan-{name}.npy", array).to_dict()
    return {"shape": list(scan.hu.shape), "spacing_mm": list(scan.spacing_mm), "nodules": int(scan.nodules.max())}
