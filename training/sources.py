"""Where the images for training come from, and where their caches and runs go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from LungNoduleSegLib.errors import InputError


@dataclass(frozen=True)
class Sources:
    """Folder with the data, and folder for caches and runs.

    ``data`` holds ``LIDC-IDRI-slices/`` (the public crops), ``lidc_crops.csv`` (series of each nodule),
    ``LIDC-IDRI/PATIENT`` (complete scans as DICOM), ``lung_boxes/PATIENT.npz`` (scans cropped to the lungs) and
    ``lidc_marks.csv`` (marks without contour).
    """

    data: Path
    cache: Path

    @classmethod
    def find(cls, data: Path | None = None, cache: Path | None = None) -> Sources:
        """From arguments, else LUNGNODULESEG_DATA and LUNGNODULESEG_CACHE or ~/.cache/lungnoduleseg."""
        named = data or os.environ.get("LUNGNODULESEG_DATA")
        if not named:
            raise InputError(
                "no training data given",
                remedy="Name the folder with --data, or set the environment variable LUNGNODULESEG_DATA.",
            )
        if not Path(named).is_dir():
            raise InputError("this folder of training data does not exist", path=named, remedy="Check the path.")
        stored = cache or os.environ.get("LUNGNODULESEG_CACHE") or Path.home() / ".cache" / "lungnoduleseg"
        return cls(Path(named), Path(stored))

    def run(self, name: str) -> Path:
        """Folder of a training run."""
        return self.cache / "runs" / name

    def crops(self):
        """The public crops (`training.data.crops.Crops`)."""
        from training.data.crops import load_crops

        return load_crops(self.data / "LIDC-IDRI-slices", self.data / "lidc_crops.csv", self.cache / "crops.npz")

    def scans(self):
        """The complete scans on the training side (list of `training.data.scans.TrainingScan`)."""
        from training.data.scans import load_scans

        marks = self.data / "lidc_marks.csv"
        return load_scans(self.data / "LIDC-IDRI", self.data / "lung_boxes", marks, self.cache / "scans")
