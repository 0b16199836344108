"""Rows of the tables: the seeds of one network taken together, and the figures of merit that its images allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import fmean

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.metrics import HIT_IOU, dice, iou
from training.report.images import Images
from training.report.resample import Sample
from training.report.results import Run


def _right(counts: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(n,) the thesis' rule: a positive is right from IoU .5 on, a negative where not one pixel is predicted."""
    return np.where(positive, iou(counts) >= HIT_IOU, counts[:, :2].sum(axis=1) == 0).astype(float)


MEASURES: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "iou_pos": ("positive", lambda counts, positive: iou(counts)),
    "dice_pos": ("positive", lambda counts, positive: dice(counts)),
    "sensitivity": ("positive", _right),
    "iou_all": ("all", lambda counts, positive: iou(counts)),
    "dice_all": ("all", lambda counts, positive: dice(counts)),
    "accuracy": ("all", _right),
    "specificity": ("negative", _right),
}
"""Name: which images it needs, and its value per image from counts (n, 3) and positive (n,)."""


@dataclass(frozen=True)
class Row:
    """The runs of one network that differ in nothing but the seed; their images are the same, in the same order."""

    study: str
    row: str
    scale: str
    protocol: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)

    @property
    def images(self) -> Images:
        """The images as the first seed lists them; who, where and how large is the same for all."""
        return self.runs[0].images

    @property
    def negatives(self) -> int:
        return int(self.images.negative.sum())

    def numbers(self, name: str) -> list[float]:
        """A number of ``run.json``, seed by seed; empty where a run has none."""
        found = [run.number(name) for run in self.runs]
        return [n for n in found if n is not None] if None not in found else []

    def mean(self, name: str) -> float | None:
        """Mean over the seeds of a number of ``run.json``; None where a run has none."""
        numbers = self.numbers(name)
        return fmean(numbers) if numbers else None

    def sample(self, measure: str) -> Sample | None:
        """Values of a figure of merit, or None where this row's images do not allow it.

        ``iou_all``, ``dice_all`` and ``accuracy`` need real negatives and positives; ``specificity`` the former.
        """
        kind, function = MEASURES[measure]
        positive, negative = self.images.positive, self.images.negative
        if (kind != "positive" and not negative.any()) or (kind != "negative" and not positive.any()):
            return None
        used = {"positive": positive, "negative": negative, "all": positive | negative}[kind]
        values = [function(run.images.counts[used], positive[used]) for run in self.runs]
        return Sample(np.stack(values), self.images.patient[used])

    def confusion(self) -> dict[str, float | None]:
        """TP, TN, FP, FN as means over the seeds, by the thesis' rule; None where the images do not allow it."""
        found, clean = self.sample("sensitivity"), self.sample("specificity")
        tp = fn = tn = fp = None
        if found is not None:
            tp, fn = found.values.sum(axis=1).mean(), (1 - found.values).sum(axis=1).mean()
        if clean is not None:
            tn, fp = clean.values.sum(axis=1).mean(), (1 - clean.values).sum(axis=1).mean()
        return {"TP": tp, "TN": tn, "FP": fp, "FN": fn}


def _aligned(run: Run) -> Run:
    """The run with its images in the order of their names."""
    keys = run.images.keys
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if len(set(keys)) < len(keys):
        twice = next(keys[a] for a, b in pairwise(order) if keys[a] == keys[b])
        raise InputError(
            f"names the image {' / '.join(twice)} twice", path=run.folder / "images.csv.gz",
            remedy="Run that row of the study again.",
        )  # fmt: skip
    picked = Images(**{name: column[order] for name, column in vars(run.images).items()})
    return Run(**{**vars(run), "images": picked})


def rows_of(runs: Iterable[Run]) -> list[Row]:
    """Rows, in the order of their first runs.

    Raises
    ------
    InputError
        Seeds of one row were tested on different images, or on different truths.
    """

    def place(run: Run) -> tuple[str, str, str, str]:
        return run.scale, run.study, run.row, run.protocol

    rows = []
    for (scale, study, name, protocol), group in groupby(sorted(runs, key=place), key=place):
        members = tuple(_aligned(run) for run in sorted(group, key=lambda r: r.seed))
        first = members[0].images
        for other in members[1:]:
            if other.images.keys != first.keys or not np.array_equal(other.images.area_px, first.area_px):
                raise InputError(
                    f"was tested on other images than seed {members[0].seed} of the same row",
                    path=other.folder, remedy="Run that row of the study again.",
                )  # fmt: skip
        rows.append(Row(study, name, scale, protocol, members))
    return rows


def shared(a: Row, b: Row, measure: str) -> tuple[Sample, Sample] | None:
    """The two rows' values on the images that both have (in one order); None where there are none."""
    one, other = a.sample(measure), b.sample(measure)
    if one is None or other is None:
        return None
    kind = MEASURES[measure][0]

    def used(row: Row) -> list[tuple[str, ...]]:
        images = row.images
        mask = {"positive": images.positive, "negative": images.negative}.get(kind, images.positive | images.negative)
        return [key for key, use in zip(images.keys, mask) if use]

    mine, theirs = used(a), used(b)
    if mine != theirs:
        both = set(mine) & set(theirs)
        if not both:
            return None
        mine, theirs = ([i for i, key in enumerate(keys) if key in both] for keys in (mine, theirs))
        one = Sample(one.values[:, mine], one.patients[mine])
        other = Sample(other.values[:, theirs], other.patients[theirs])
    return one, other
