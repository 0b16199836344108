"""The public "LIDC-IDRI slices" layout, read once into one compact cache.

``LIDC-IDRI-NNNN/nodule-N/images/slice-K.png`` and ``mask-R/slice-K.png``: 128x128 pixels, 8 bits, per-crop min-max of
HU, slices of a nodule ascending in z with one origin.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from LungNoduleSegLib.errors import InputError
from training.data.other_nodules import other_nodules
from training.data.split import check_protocol, image_side, side
from training.lidc.clusters import cluster
from training.lidc.consensus import AGREEMENT, MIN_PIXELS
from training.lidc.database import read_scans

CROP_PX = 128
IGNORE = 255
"""Label of a pixel that the loss leaves out."""

_FORMAT = 4


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops in memory; n of them.

    ``images`` uint8 (n, 128, 128); ``votes`` uint8 (n, 128, 128) readers that marked a pixel; ``labels`` uint8
    (n, 128, 128): 0 background, 1 consensus, 255 left out; ``readers`` (n,) readers in the cluster; ``patients`` (n,)
    and ``series`` (n,) str; ``nodules`` (n,) running number of the nodule; ``below``, ``above`` (n,) index of the
    neighbouring slice's crop, itself at the nodule's ends; ``spacing_mm`` (n,) in-plane.
    """

    images: np.ndarray
    votes: np.ndarray
    labels: np.ndarray
    readers: np.ndarray
    patients: np.ndarray
    series: np.ndarray
    nodules: np.ndarray
    below: np.ndarray
    above: np.ndarray
    spacing_mm: np.ndarray

    @property
    def consensus_px(self) -> np.ndarray:
        """(n,) pixels of the consensus."""
        return (self.labels == 1).sum(axis=(1, 2))

    @property
    def positive(self) -> np.ndarray:
        """(n,) bool: consensus of more than 8 pixels."""
        return self.consensus_px > MIN_PIXELS

    def sides(self, protocol: str = "patient") -> np.ndarray:
        """(n,) str: the side of each crop; ``protocol`` as in `training.data.split`."""
        if check_protocol(protocol) == "patient":
            patients, inverse = np.unique(self.patients, return_inverse=True)
            return np.array([side(str(p)) for p in patients], dtype="<U10")[inverse]
        nodule, number = self.numbers
        rows = zip(self.patients, self.series, nodule, number)
        return np.array([image_side(str(p), str(s), int(n), int(k)) for p, s, n, k in rows], dtype="<U10")

    def on_side(self, name: str, protocol: str = "patient") -> np.ndarray:
        """Indices of the crops on that side of the split."""
        return np.flatnonzero(self.sides(protocol) == name)

    @property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) number of a crop's nodule among those of its series, and of its slice in the nodule, both from 0."""
        of_nodule: dict[int, int] = {}
        in_series: dict[str, int] = {}
        seen: dict[int, int] = {}
        nodule, number = np.empty((2, len(self.nodules)), dtype=np.int64)
        for i, (one, series) in enumerate(zip(self.nodules.tolist(), self.series.tolist())):
            if one not in of_nodule:
                of_nodule[one] = in_series.get(series, 0)
                in_series[series] = of_nodule[one] + 1
            nodule[i], number[i] = of_nodule[one], seen.get(one, 0)
            seen[one] = number[i] + 1
        return nodule, number


def load_crops(folder: Path, table: Path, cache: Path) -> Crops:
    """Crops of ``folder`` (public layout), with the series of ``table`` (CSV); ``cache`` (.npz) is made once.

    Raises InputError when the folder holds no crop.
    """
    if cache.is_file():
        with np.load(cache) as data:
            if int(data["format"]) == _FORMAT:
                return Crops(**{name: data[name] for name in Crops.__dataclass_fields__})
    crops = _read(folder, table)
    cache.parent.mkdir(parents=True, exist_ok=True)
    beside = cache.with_suffix(".part.npz")
    np.savez(beside, format=_FORMAT, **{name: getattr(crops, name) for name in Crops.__dataclass_fields__})
    beside.replace(cache)
    return crops


def _read(folder: Path, table: Path) -> Crops:
    if not folder.is_dir() or not table.is_file():
        missing = table if folder.is_dir() else folder
        raise InputError("no crop found", path=missing, remedy="Give the folder of the public LIDC-IDRI slices layout.")
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise InputError("no nodule listed", path=table, remedy="Give the table of the public crops' series.")
    scans = {scan.series_uid: scan for scan in read_scans(series_uids={r["series_instance_uid"] for r in rows})}
    clusters = {uid: cluster(scan) for uid, scan in scans.items()}
    parts: dict[str, list] = {name: [] for name in Crops.__dataclass_fields__}
    start = 0
    for number, row in enumerate(tqdm(rows, desc="crops", unit="nodule")):
        place = folder / row["patient"] / row["nodule_dir"]
        images, masks = read_nodule(place)
        count = len(images)
        votes = masks.sum(axis=1, dtype=np.uint8)
        readers = int(masks.any(axis=(0, 2, 3)).sum())
        labels = (votes >= AGREEMENT * max(readers, 1)).astype(np.uint8)
        scan = scans[row["series_instance_uid"]]
        other = other_nodules(scan, clusters[scan.series_uid], int(row["annotation_id"]), masks)
        labels[other & (labels == 0)] = IGNORE
        index = np.arange(start, start + count)
        parts["images"].append(images)
        parts["votes"].append(votes)
        parts["labels"].append(labels)
        parts["readers"].append(np.full(count, readers, np.uint8))
        parts["patients"].append(np.full(count, row["patient"]))
        parts["series"].append(np.full(count, scan.series_uid))
        parts["nodules"].append(np.full(count, number, np.int32))
        parts["below"].append(np.maximum(index - 1, start))
        parts["above"].append(np.minimum(index + 1, start + count - 1))
        parts["spacing_mm"].append(np.full(count, float(row["pixel_spacing"]), np.float32))
        start += count
    return Crops(**{name: np.concatenate(values) for name, values in parts.items()})


def read_nodule(place: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (s, 128, 128) uint8 and masks (s, 4, 128, 128) bool of one nodule's folder."""
    slices = sorted((place / "images").glob("slice-*.png"), key=lambda p: int(re.findall(r"\d+", p.stem)[0]))
    if not slices:
        raise InputError("no slice found", path=place, remedy="Unpack the crops again; the folder is incomplete.")
    images, masks = [], []
    for path in slices:
        images.append(np.asarray(Image.open(path)))
        readers = [place / f"mask-{r}" / path.name for r in range(4)]
        masks.append([np.asarray(Image.open(p)) > 0 if p.is_file() else np.zeros((CROP_PX, CROP_PX)) for p in readers])
    return np.stack(images), np.asarray(masks, dtype=bool)
