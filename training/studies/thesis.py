"""The thesis' own figures, table by table, as printed on its slides.

Lai, "Lung Nodule Detection Based on The Residual U-Net with Multi-attention and Multi-scale Feature Fusion", master's
thesis, National Cheng Kung University. 4,094 test images (2,717 with a nodule, 1,377 without) of a slice-level split,
so that patients stand on both sides. Its IoU and Dice are very probably means over all images with empty/empty as 1.
Model 1 is printed with TN + FP = 1,378, one negative more than there are.
"""

from __future__ import annotations

from dataclasses import dataclass

POSITIVES, NEGATIVES = 2717, 1377


@dataclass(frozen=True)
class Printed:
    """One printed row; what is not printed is None. ``accuracy`` as a fraction, ``milliseconds`` a picture."""

    iou: float | None = None
    dice: float | None = None
    tp: int | None = None
    tn: int | None = None
    fp: int | None = None
    fn: int | None = None
    accuracy: float | None = None
    milliseconds: float | None = None
    parameters: int | None = None
    megabytes: float | None = None


def _counts(
    iou: float, tp: int, tn: int, fp: int, fn: int, *, dice: float | None = None, accuracy: float | None = None
) -> Printed:
    return Printed(iou, dice, tp, tn, fp, fn, accuracy)


TABLES: dict[str, dict[str, Printed]] = {
    "A": {
        "none": _counts(0.740, 2452, 1373, 4, 265),
        "encoder": _counts(0.819, 2447, 1373, 4, 270),
        "decoder": _counts(0.812, 2438, 1369, 8, 279),
        "bottleneck": _counts(0.811, 2432, 1368, 9, 285),
        "encoder+bottleneck": _counts(0.818, 2481, 1369, 8, 236),
        "decoder+bottleneck": _counts(0.806, 2403, 1368, 9, 314),
        "encoder+decoder": _counts(0.815, 2474, 1369, 8, 243),
        "encoder+bottleneck+decoder": _counts(0.816, 2456, 1370, 7, 261),
    },
    "B": {
        "encoder": _counts(0.819, 2447, 1373, 4, 270, accuracy=0.9331),
        "model-1": _counts(0.820, 2510, 1364, 14, 207, accuracy=0.9463),
        "model-2": _counts(0.818, 2481, 1369, 8, 236, accuracy=0.9404),
    },
    "C": {
        "512px": _counts(0.625, 1385, 1353, 24, 1332, dice=0.69, accuracy=0.669),
        "256px": _counts(0.810, 2431, 1368, 9, 286, dice=0.872, accuracy=0.928),
        "128px": _counts(0.820, 2510, 1364, 14, 207, dice=0.879, accuracy=0.946),
        "64px": _counts(0.812, 2468, 1366, 11, 249, dice=0.875, accuracy=0.936),
    },
    "D": {
        "unet": _counts(0.781, 2462, 1340, 37, 255, accuracy=0.929),
        "attention-unet": _counts(0.814, 2450, 1368, 9, 267, accuracy=0.933),
        "transunet": _counts(0.808, 2428, 1364, 13, 289, accuracy=0.926),
        "model-1": _counts(0.820, 2510, 1364, 14, 207, accuracy=0.946),
        "model-2": _counts(0.818, 2481, 1369, 8, 236, accuracy=0.940),
    },
    "E": {
        # 400.97 MB is a typing error for 440.97, and 71,538,433 the count of the encoder+decoder network.
        "model-1": Printed(milliseconds=23.4, parameters=115_596_353, megabytes=400.97, iou=0.820, accuracy=0.946),
        "model-2": Printed(milliseconds=15.3, parameters=71_538_433, megabytes=272.9, iou=0.818, accuracy=0.940),
    },
}


def printed(study: str, row: str) -> Printed | None:
    """The thesis' figures for a row of a study; None for rows of our own."""
    return TABLES.get(study, {}).get(row)
