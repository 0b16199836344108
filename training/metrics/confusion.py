"""The thesis' confusion matrix of images, and the rates beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from training.metrics.bootstrap import REPEATS, Estimate, bootstrap, bootstrap_totals, per_patient
from training.metrics.overlap import iou, is_negative, is_positive

HIT_IOU = 0.5
"""An image with a nodule is a hit from this IoU on (the thesis: "IoU threshold = 0.5")."""


@dataclass(frozen=True)
class Confusion:
    """Images by the thesis' rule.

    With a nodule: true positive where the IoU is .5 or more, else false negative. Without: false positive where any
    pixel is predicted, else true negative. ``None`` where there is no image with (or no real negative without) nodule.
    """

    tp: int | None
    fn: int | None
    fp: int | None
    tn: int | None

    @property
    def sensitivity(self) -> float | None:
        """tp / (tp + fn)."""
        return _ratio(self.tp, self.fn)

    @property
    def specificity(self) -> float | None:
        """tn / (tn + fp)."""
        return _ratio(self.tn, self.fp)

    @property
    def accuracy(self) -> float | None:
        """(tp + tn) / all; None without negatives or without positives."""
        if None in (self.tp, self.tn):
            return None
        return (self.tp + self.tn) / (self.tp + self.tn + self.fp + self.fn)  # type: ignore[operator]

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of sensitivity and specificity: does not move with the share of negatives."""
        if self.sensitivity is None or self.specificity is None:
            return None
        return (self.sensitivity + self.specificity) / 2

    def to_dict(self) -> dict[str, int | float | None]:
        rates = ("accuracy", "sensitivity", "specificity", "balanced_accuracy")
        return asdict(self) | {name: getattr(self, name) for name in rates}


def _ratio(right: int | None, wrong: int | None) -> float | None:
    return None if right is None or wrong is None else right / (right + wrong)


def confusion(counts: np.ndarray) -> Confusion:
    """Confusion matrix of images given their pixel counts (n, 3); images with a truth of 1 to 8 pixels are left out."""
    tp, fn, fp, tn = (int(column.sum()) for column in _outcomes(counts).T)
    with_nodule, without = bool(tp + fn), bool(fp + tn)
    return Confusion(*((tp, fn) if with_nodule else (None, None)), *((fp, tn) if without else (None, None)))


def confusion_rates(
    counts: np.ndarray, patients: np.ndarray, *, repeats: int = REPEATS, seed: int = 0
) -> dict[str, Estimate | None]:
    """Accuracy, sensitivity, specificity and balanced accuracy with patient-level intervals; None where n/a."""
    outcomes, patients = _outcomes(counts), np.asarray(patients)
    positive, negative = outcomes[:, :2].any(axis=1), outcomes[:, 2:].any(axis=1)
    either = positive | negative
    rates: dict[str, tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]] = {
        "accuracy": (either, _accuracy),
        "sensitivity": (positive, lambda t: _share(t[..., 0], t[..., 1])),
        "specificity": (negative, lambda t: _share(t[..., 3], t[..., 2])),
        "balanced_accuracy": (either, lambda t: (_share(t[..., 0], t[..., 1]) + _share(t[..., 3], t[..., 2])) / 2),
    }
    found: dict[str, Estimate | None] = {}
    for name, (chosen, compute) in rates.items():
        needed = (positive, negative) if chosen is either else (chosen,)
        found[name] = None
        if all(n.any() for n in needed):
            _, owner = np.unique(patients[chosen], return_inverse=True)
            totals = per_patient(outcomes[chosen].T.astype(np.float64), owner).T
            found[name] = bootstrap_totals(totals, compute, n_images=int(chosen.sum()), repeats=repeats, seed=seed)
    return found


def by_size(
    counts: np.ndarray,
    patients: np.ndarray,
    bands: Sequence[tuple[float, float]],
    sizes: np.ndarray | None = None,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
) -> dict[tuple[float, float], dict[str, Estimate] | None]:
    """Sensitivity and ``iou_pos`` of the positive images in each band of size, both ends in; None for an empty band.

    ``sizes`` (n,) is in whatever unit the bands are (a diameter in mm, say); default the truth's area in pixels.
    """
    sizes = counts[:, 0] + counts[:, 2] if sizes is None else np.asarray(sizes)
    overlap, positive, patients = iou(counts), is_positive(counts), np.asarray(patients)
    found: dict[tuple[float, float], dict[str, Estimate] | None] = {}
    for low, high in bands:
        chosen = positive & (sizes >= low) & (sizes <= high)
        found[low, high] = None
        if chosen.any():
            values = {"sensitivity": (overlap >= HIT_IOU).astype(np.float64), "iou_pos": overlap}
            found[low, high] = {
                name: bootstrap(v[chosen], patients[chosen], repeats=repeats, seed=seed) for name, v in values.items()
            }
    return found


def _outcomes(counts: np.ndarray) -> np.ndarray:
    """int (n, 4), one 1 a row at most: tp, fn, fp, tn."""
    positive, negative = is_positive(counts), is_negative(counts)
    hit, any_predicted = iou(counts) >= HIT_IOU, counts[:, 0] + counts[:, 1] > 0
    columns = [positive & hit, positive & ~hit, negative & any_predicted, negative & ~any_predicted]
    return np.column_stack(columns).astype(np.int64)


def _accuracy(totals: np.ndarray) -> np.ndarray:
    return _share(totals[..., 0] + totals[..., 3], totals[..., 1] + totals[..., 2])


def _share(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    total = right + wrong
    return np.where(total > 0, right / np.where(total > 0, total, 1), np.nan)
