"""Overlap of predicted and true pixels, image by image, and its two means; each name says what it counts.

Counts are int (n, 3): true positive, false positive and false negative pixels of each image.
"""

from __future__ import annotations

import numpy as np

from training.metrics.bootstrap import REPEATS, Estimate, bootstrap

POSITIVE_PX = 8
"""A consensus of more than this many pixels makes an image positive; of 1 to 8 it is neither positive nor negative."""


def overlap_counts(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n, 3) int: true positive, false positive and false negative pixels of n images of bool (n, h, w)."""
    both = (predicted & truth).sum(axis=(1, 2))
    return np.column_stack([both, predicted.sum(axis=(1, 2)) - both, truth.sum(axis=(1, 2)) - both])


def iou(counts: np.ndarray) -> np.ndarray:
    """(n,) intersection over union per image; empty truth with empty prediction gives 1."""
    tp, fp, fn = counts.T
    return np.where(tp + fp + fn == 0, 1.0, tp / np.maximum(tp + fp + fn, 1))


def dice(counts: np.ndarray) -> np.ndarray:
    """(n,) Dice coefficient per image; empty truth with empty prediction gives 1."""
    tp, fp, fn = counts.T
    return np.where(tp + fp + fn == 0, 1.0, 2 * tp / np.maximum(2 * tp + fp + fn, 1))


def is_positive(counts: np.ndarray) -> np.ndarray:
    """(n,) bool: a truth of more than 8 pixels."""
    return counts[:, 0] + counts[:, 2] > POSITIVE_PX


def is_negative(counts: np.ndarray) -> np.ndarray:
    """(n,) bool: an empty truth. Only real negatives may be given with one, not slices that some reader marked."""
    return counts[:, 0] + counts[:, 2] == 0


def iou_pos(counts: np.ndarray, patients: np.ndarray, *, repeats: int = REPEATS, seed: int = 0) -> Estimate | None:
    """Mean IoU of the positive images: the honest figure. None where there is no positive image."""
    return _mean(iou(counts), patients, is_positive(counts), repeats, seed)


def dice_pos(counts: np.ndarray, patients: np.ndarray, *, repeats: int = REPEATS, seed: int = 0) -> Estimate | None:
    """Mean Dice of the positive images. None where there is no positive image."""
    return _mean(dice(counts), patients, is_positive(counts), repeats, seed)


def iou_all(counts: np.ndarray, patients: np.ndarray, *, repeats: int = REPEATS, seed: int = 0) -> Estimate | None:
    """Mean IoU of positive and negative images, empty against empty being 1: the thesis' convention.

    None (n/a) where the images hold no negative one: it would be `iou_pos` under another name.
    """
    return _mean_of_all(iou(counts), counts, patients, repeats, seed)


def dice_all(counts: np.ndarray, patients: np.ndarray, *, repeats: int = REPEATS, seed: int = 0) -> Estimate | None:
    """Mean Dice of positive and negative images, empty against empty being 1; None (n/a) as in `iou_all`."""
    return _mean_of_all(dice(counts), counts, patients, repeats, seed)


def _mean_of_all(
    values: np.ndarray, counts: np.ndarray, patients: np.ndarray, repeats: int, seed: int
) -> Estimate | None:
    negative = is_negative(counts)
    return _mean(values, patients, is_positive(counts) | negative, repeats, seed) if negative.any() else None


def _mean(values: np.ndarray, patients: np.ndarray, chosen: np.ndarray, repeats: int, seed: int) -> Estimate | None:
    if not chosen.any():
        return None
    return bootstrap(values[chosen], np.asarray(patients)[chosen], repeats=repeats, seed=seed)
