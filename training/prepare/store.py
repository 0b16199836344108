"""The prepared cache: what is in it, opened as memory maps, and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.data.crops import Crops
from training.data.scans import TrainingScan
from training.data.split import side
from training.prepare.arrays import checksum, open_array

FOLDER = "prepared"
MANIFEST = "manifest.json"
DATASET = "dataset.json"
FORMAT = 1

CROP_ARRAYS = ("images", "votes", "labels")
CROP_COLUMNS = ("readers", "patients", "series", "nodules", "below", "above", "spacing_mm")


@dataclass(frozen=True, eq=False)
class StoredCrops(Crops):
    """Crops of the cache. Another process that is given them opens the files itself, and shares the pages."""

    folder: Path = field(default=Path(), kw_only=True)

    @cached_property
    def rows(self) -> np.ndarray:
        """(n,) of `training.prepare.cropping.ROW`: where each crop lies in its scan."""
        return open_array(self.folder / "rows.npy")

    @cached_property
    def marks(self) -> np.ndarray:
        """uint8 (n, 128, 128): bit r is set where reader r marked."""
        return open_array(self.folder / "marks.npy")

    @cached_property
    def consensus_px(self) -> np.ndarray:
        """(n,) pixels of the consensus."""
        return np.asarray(self.rows["consensus_px"])

    def __reduce__(self):
        return open_crops, (self.folder,)


@dataclass(frozen=True, eq=False)
class StoredScan(TrainingScan):
    """A scan of the cache; pickled, it is its folder."""

    folder: Path = field(default=Path(), kw_only=True)

    @cached_property
    def positive_index(self) -> np.ndarray:
        """Flat indices of the voxels of the consensus, ascending."""
        return open_array(self.folder / "scan-positive.npy")

    @cached_property
    def lung_rows(self) -> np.ndarray:
        """int64 (k * j,): voxels of the lungs up to the end of each row."""
        return open_array(self.folder / "scan-lung_rows.npy")

    def __reduce__(self):
        return open_scan, (self.folder,)


def open_crops(folder: Path) -> StoredCrops:
    """The crops of a cache's ``crops`` folder."""
    arrays = {name: open_array(folder / f"{name}.npy") for name in CROP_ARRAYS}
    columns = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in CROP_COLUMNS}
    return StoredCrops(**arrays, **columns, folder=folder)


def open_scan(folder: Path) -> StoredScan:
    """The complete (or lung-cropped) scan of an item."""
    item = json.loads((folder / "item.json").read_text(encoding="utf-8"))
    arrays = {name: open_array(folder / f"scan-{name}.npy") for name in ("hu", "labels", "nodules", "lung")}
    return StoredScan(
        item["patient"], item["series"], **arrays, spacing_mm=tuple(item["scan"]["spacing_mm"]), folder=folder
    )


class Store:
    """A prepared cache.

    Parameters
    ----------
    cache
        The folder that was given to ``prepare``.

    Raises
    ------
    InputError
        Nothing is prepared there, or by a version whose format differs.
    """

    def __init__(self, cache: Path) -> None:
        self.root = cache / FOLDER
        path = self.root / MANIFEST
        try:
            self.manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            remedy = "Run `python -m training prepare SOURCE CACHE` first; one that was interrupted goes on."
            raise InputError("no prepared data", path=cache, remedy=remedy) from error
        except ValueError as error:
            raise InputError(f"damaged manifest ({error})", path=path, remedy="Prepare the data again.") from error
        if self.manifest.get("format") != FORMAT:
            raise InputError(
                f"prepared in format {self.manifest.get('format')}, this version reads {FORMAT}", path=path,
                remedy="Prepare the data again.",
            )  # fmt: skip

    @staticmethod
    def is_there(cache: Path) -> bool:
        """Whether a cache was prepared to its end."""
        return (cache / FOLDER / MANIFEST).is_file()

    @property
    def items(self) -> list[dict[str, Any]]:
        """What was prepared, one entry a series, patient or case: see ``item.json`` in its folder."""
        return self.manifest["items"]

    def crops(self) -> StoredCrops:
        """All crops.

        Raises
        ------
        InputError
            There is none.
        """
        if not self.manifest["crops"]["count"]:
            raise InputError("no crop was prepared", path=self.root, remedy="Prepare a source with annotated nodules.")
        return open_crops(self.root / "crops")

    def scans(self, name: str | None = None) -> list[StoredScan]:
        """Complete scans by patient and series; ``name`` keeps those whose patients are on that side of the split."""
        found = [i for i in self.items if i.get("scan") and (name is None or side(i["patient"]) == name)]
        # Of a scan that is there whole and cropped to the lungs, the whole one.
        best = {i["series"]: i for i in sorted(found, key=lambda i: i["kind"] != "box", reverse=False)}
        chosen = sorted(best.values(), key=lambda i: (i["patient"], i["series"]))
        return [open_scan(self.root / "items" / i["key"]) for i in chosen]

    def clean(self) -> dict[str, np.ndarray]:
        """Patient -> uint8 (slices, 512, 512): caudal slices of patients without nodules."""
        keys = {i["patient"]: i["key"] for i in self.items if i["kind"] == "clean"}
        return {p: open_array(self.root / "items" / key / "clean-images.npy") for p, key in sorted(keys.items())}

    def description(self) -> dict[str, Any]:
        """``dataset.json``: what was done to the data."""
        return json.loads((self.root / DATASET).read_text(encoding="utf-8"))

    def files(self) -> dict[Path, dict[str, Any]]:
        """Every file of the cache with the checksum and the length that it had when it was written."""
        listed = {self.root / "crops" / n: f for n, f in self.manifest["crops"]["files"].items()}
        for item in self.items:
            listed |= {self.root / "items" / item["key"] / n: f for n, f in item["files"].items()}
        return listed

    def verify(self) -> Iterator[tuple[Path, str]]:
        """Each file with what is wrong with it; "" where it is as it was written."""
        for path, expected in self.files().items():
            if not path.is_file():
                yield path, "missing"
                continue
            found = checksum(path)
            if found.bytes != expected["bytes"]:
                yield path, f"{found.bytes:,} bytes instead of {expected['bytes']:,}"
            else:
                yield path, "" if found.sha256 == expected["sha256"] else "changed: its SHA-256 is another"
