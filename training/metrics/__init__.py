"""Every figure of merit; each name carries its convention (`iou_pos`, `iou_all`, `strict`, `luna16`).

Per image, from pixel counts: `iou_pos`, `dice_pos` (images whose consensus exceeds 8 px), `iou_all`, `dice_all` (all
images, empty/empty = 1), `confusion` (the thesis' rule), `by_size`. With intervals: `bootstrap`, `paired_bootstrap`.
Per scan: `froc`, `cpm`. In 3D: `dice_of_masks`, `hausdorff_95_mm`, `volume_error`. In training: `ImageOverlap`,
`PixelCalibration` (torchmetrics). What cannot be computed from what is there is None, never a number.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from training.metrics.bootstrap import Estimate, bootstrap, bootstrap_totals
from training.metrics.calibration import Calibration, calibration
from training.metrics.confusion import HIT_IOU, Confusion, by_size, confusion, confusion_rates
from training.metrics.froc import RATES, Detections, Froc, FrocPoint, Matched, cpm, froc, match
from training.metrics.overlap import (
    POSITIVE_PX,
    dice,
    dice_all,
    dice_pos,
    iou,
    iou_all,
    iou_pos,
    is_negative,
    is_positive,
    overlap_counts,
)
from training.metrics.paired import Difference, paired_bootstrap, smallest_detectable_difference
from training.metrics.surface import dice_of_masks, hausdorff_95_mm, surface_distances, surface_voxels, volume_error

if TYPE_CHECKING:
    from training.metrics.images import ImageOverlap, PixelCalibration

__all__ = [
    "Estimate", "bootstrap", "bootstrap_totals", "Difference", "paired_bootstrap", "smallest_detectable_difference",
    "dice", "iou", "overlap_counts", "is_positive", "is_negative", "iou_pos", "iou_all", "dice_pos", "dice_all",
    "POSITIVE_PX", "Confusion", "confusion", "confusion_rates", "by_size", "HIT_IOU", "Calibration", "calibration",
    "Detections", "Matched", "match", "froc", "Froc", "FrocPoint", "cpm", "RATES", "dice_of_masks", "hausdorff_95_mm",
    "surface_distances", "surface_voxels", "volume_error", "ImageOverlap", "PixelCalibration",
]  # fmt: skip


def __getattr__(name: str):
    # torchmetrics takes seconds to import: on first use only.
    if name in ("ImageOverlap", "PixelCalibration"):
        return getattr(import_module("training.metrics.images"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
