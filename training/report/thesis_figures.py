"""What the thesis' printed figures imply: its averages over all images, undone to the images with a nodule."""

from __future__ import annotations

N_POSITIVE, N_NEGATIVE = 2717, 1377
N_IMAGES = N_POSITIVE + N_NEGATIVE
"""Its test set: floor(.2 x 13,586), floor(.2 x 6,885), floor(.2 x 20,471)."""


def implied_positives_only(mean_over_all: float, tn: int) -> float:
    """Mean over the positives alone, if the printed mean counts every empty/empty image (TN) as 1 and every FP as 0.

    Holds for IoU and Dice alike. It is very probably how they were averaged, but the thesis does not say.
    """
    return (mean_over_all * N_IMAGES - tn) / N_POSITIVE


def accuracy(tp: int, tn: int) -> float:
    """(TP + TN) over all of its test images."""
    return (tp + tn) / N_IMAGES


def fewer_misses(fn: int, fn_before: int) -> float:
    """Share by which false negatives fell from ``fn_before`` to ``fn``."""
    return (fn_before - fn) / fn_before
