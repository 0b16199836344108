"""How far predicted probabilities can be believed: share of nodule pixels against probability, and the mean gap."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from training.report.results import Calibration


def pooled(calibrations: Iterable[Calibration]) -> Calibration | None:
    """Bins of several runs added up; None where there are none or their bins differ in number."""
    given = list(calibrations)
    if not given or len({len(c.counts) for c in given}) > 1:
        return None
    return Calibration(sum(c.counts for c in given), sum(c.positives for c in given))


def centres(calibration: Calibration) -> np.ndarray:
    """(bins,) middle of each bin of probability."""
    n = len(calibration.counts)
    return (np.arange(n) + 0.5) / n


def observed(calibration: Calibration) -> np.ndarray:
    """(bins,) share of pixels that are nodule; NaN in empty bins."""
    counts = calibration.counts
    return np.where(counts > 0, calibration.positives / np.maximum(counts, 1), np.nan)


def expected_error(calibration: Calibration, *, lowest_bin: bool = True) -> float:
    """Mean |observed - predicted| over pixels (expected calibration error), predicted taken as the bin's middle.

    Most pixels are background with a probability near 0 and would make any network look calibrated;
    ``lowest_bin=False`` leaves the first bin out.
    """
    start = 0 if lowest_bin else 1
    counts = calibration.counts[start:]
    if counts.sum() == 0:
        return float("nan")
    distance = np.abs(observed(calibration) - centres(calibration))[start:]
    return float(np.nansum(distance * counts) / counts.sum())
