"""Where the images for training come from, and where their caches and runs go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError


@dataclass(frozen=True)
class Sources:
    """Folder with the data, and folder for caches and runs.

    ``data`` holds ``LIDC-IDRI-slices/`` (the public crops), ``lidc_crops.csv`` (series of each nodule),
    ``LIDC-IDRI/PATIENT`` (complete scans as DICOM), ``lung_boxes/PATIENT.npz`` (scans cropped to the lungs) and
    ``lidc_marks.csv`` (marks without contour). Where ``cache`` was prepared, nothing of ``data`` is read for training:
    it need not exist.
    """

    data: Path
    cache: Path

    @classmethod
    def find(cls, data: Path | None = None, cache: Path | None = None) -> Sources:
        """From arguments, else LUNGNODULESEG_DATA and LUNGNODULESEG_CACHE or ~/.cache/lungnoduleseg.

        A prepared cache needs no data beside it.
        """
        from training.prepare.store import Store

        stored = Path(cache or os.environ.get("LUNGNODULESEG_CACHE") or Path.home() / ".cache" / "lungnoduleseg")
        named = data or os.environ.get("LUNGNODULESEG_DATA")
        if not named and Store.is_there(stored):
            return cls(stored, stored)
        if not named:
            raise InputError(
                "no training data given",
                remedy="Name the folder with --data, or set the environment variable LUNGNODULESEG_DATA.",
            )
        if not Path(named).is_dir():
            raise InputError("this folder of training data does not exist", path=named, remedy="Check the path.")
        return cls(Path(named), stored)

    def run(self, name: str) -> Path:
        """Folder of a training run."""
        return self.cache / "runs" / name

    def reduction(self, name: str) -> Path:
        """Folder of a false-positive reduction."""
        return self.cache / "reductions" / name

    @property
    def prepared(self) -> bool:
        """Whether ``python -m training prepare`` has filled the cache."""
        from training.prepare.store import Store

        return Store.is_there(self.cache)

    def crops(self):
        """The crops (`training.data.crops.Crops`): the prepared ones, else the public ones of ``data``."""
        if self.prepared:
            from training.prepare.store import Store

            return Store(self.cache).crops()
        from training.data.crops import load_crops

        return load_crops(self.data / "LIDC-IDRI-slices", self.data / "lidc_crops.csv", self.cache / "crops.npz")

    def scans(self):
        """The complete scans on the training side (list of `training.data.scans.TrainingScan`)."""
        if self.prepared:
            from training.prepare.store import Store

            return Store(self.cache).scans("train")
        from training.data.scans import load_scans

        marks = self.data / "lidc_marks.csv"
        return load_scans(self.data / "LIDC-IDRI", self.data / "lung_boxes", marks, self.cache / "scans")

    def description(self) -> dict[str, Any]:
        """What was done to the data, as a model card says it."""
        from training.prepare.description import for_card, rules, versions

        if self.prepared:
            from training.prepare.store import Store

            return for_card(Store(self.cache).description())
        return {
            **rules(),
            "sources": {"public crops (LIDC-IDRI slices)": {}, "six scans of the training side": {}},
            "versions": versions(),
        }
