"""Figures of merit; each name carries its convention (`iou_pos`, `iou_all`, `strict`, `luna16`)."""

from training.metrics.bootstrap import Estimate, bootstrap
from training.metrics.overlap import dice, iou, overlap_counts

__all__ = ["Estimate", "bootstrap", "dice", "iou", "overlap_counts"]
