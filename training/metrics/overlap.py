"""Overlap of predicted and true pixels, image by image."""

from __future__ import annotations

import numpy as np


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
