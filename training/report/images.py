"""`images.csv.gz`: what one run made of every test image."""

from __future__ import annotations

import csv
import gzip
import io
import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.metrics import POSITIVE_PX, dice, iou

KEYS = ("patient", "series", "nodule", "slice")
"""Columns that name an image."""


@dataclass(frozen=True)
class Images:
    """n test images of one run, one array a column.

    ``tp``, ``fp``, ``fn`` are pixels at threshold .5; ``area_px`` is the consensus; ``spacing_mm`` is in-plane;
    ``source`` is "crop" (around a nodule) or "lung" (tile of a complete scan). The two probabilities are NaN where the
    file has none (an empty truth has no mean probability).
    """

    patient: np.ndarray
    series: np.ndarray
    nodule: np.ndarray
    slice: np.ndarray
    readers: np.ndarray
    area_px: np.ndarray
    spacing_mm: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    mean_probability_in_truth: np.ndarray
    max_probability: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.patient)

    def __post_init__(self) -> None:
        if {len(getattr(self, f.name)) for f in fields(self)} != {len(self.patient)}:
            raise ValueError("Expected columns of one length")
        if len(self) == 0:
            raise ValueError("Expected at least one image")
        for name in ("area_px", "tp", "fp", "fn"):
            if (getattr(self, name) < 0).any():
                raise ValueError(f"Expected column `{name}` to hold no negative number")

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """(patient, series, nodule, slice) of every image."""
        return list(zip(*(getattr(self, k).tolist() for k in KEYS)))

    @property
    def counts(self) -> np.ndarray:
        """(n, 3) int: tp, fp, fn."""
        return np.column_stack([self.tp, self.fp, self.fn])

    @property
    def positive(self) -> np.ndarray:
        """(n,) bool: the consensus exceeds 8 px."""
        return self.area_px > POSITIVE_PX

    @property
    def negative(self) -> np.ndarray:
        """(n,) bool: a real negative, a tile of a complete scan without consensus.

        A crop around a nodule whose consensus is empty on this slice is none: a reader marked something there.
        """
        return (self.area_px == 0) & (self.source != "crop")

    @property
    def iou(self) -> np.ndarray:
        return iou(self.counts)

    @property
    def dice(self) -> np.ndarray:
        return dice(self.counts)


_TEXT = {"patient", "series", "nodule", "slice", "source"}
_FLOAT = {"area_px", "spacing_mm", "mean_probability_in_truth", "max_probability"}
_MAY_BE_EMPTY = {"spacing_mm", "mean_probability_in_truth", "max_probability", "readers", "series"}


def _column(name: str, words: list[str]) -> np.ndarray:
    if name not in _MAY_BE_EMPTY and any(w == "" for w in words):
        raise ValueError(f"column `{name}` has an empty cell")
    if name in _TEXT:
        return np.array(words)
    numbers = np.array([math.nan if w == "" else float(w) for w in words])
    if name not in _MAY_BE_EMPTY and not np.isfinite(numbers).all():
        raise ValueError(f"column `{name}` holds what is no finite number")
    if name in _FLOAT:
        return numbers
    return np.where(np.isfinite(numbers), numbers, -1).astype(np.int64)


def read_images(path: Path) -> Images:
    """Reads an ``images.csv.gz``; columns beyond those of :class:`Images` are passed over.

    Raises
    ------
    InputError
        The file is absent, damaged, empty, or lacks a column.
    """
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", path=path, remedy="Run that row of the study again.") from error
    rows = list(csv.DictReader(io.StringIO(text)))
    wanted = [f.name for f in fields(Images)]
    missing = [name for name in wanted if rows and name not in rows[0]]
    if missing or not rows:
        finding = f"lacks the columns {', '.join(missing)}" if missing else "holds no image"
        raise InputError(finding, path=path, remedy="Run that row of the study again.")
    try:
        return Images(**{name: _column(name, [row[name] or "" for row in rows]) for name in wanted})
    except ValueError as error:
        raise InputError(str(error), path=path, remedy="Run that row of the study again.") from error
