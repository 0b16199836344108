"""How well a model does on crops, as `predict_crops` ships it: views, threshold, figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from LungNoduleSegLib.segmenter.crops import with_logit_offset
from LungNoduleSegLib.segmenter.load import engine_of
from LungNoduleSegLib.segmenter.segmenter import Segmenter
from LungNoduleSegLib.weights import Card
from training.data.crops import Crops
from training.evaluate.crops import detailed_figures, figures_of, neighbours
from training.publish.reliability import pixel_reliability

CROP_VIEWS = 4
"""Mirrored views of a crop that are averaged."""

CROP_ZOOMS = (1.0, 1.25)
"""Magnifications at which they are: on validation crops more than the turned views at one magnification."""

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55)


def segmenter_of(card: Card, state: Mapping[str, np.ndarray]) -> Segmenter:
    """A segmenter on weights as they ship, rounded to float16; never in int8, in which a card is not measured."""
    return Segmenter(engine_of(replace(card, quantisation=None), dict(state)), card)


def positives(crops: Crops, part: str) -> np.ndarray:
    """Indices of one side's positive crops."""
    index = crops.on_side(part)
    return index[crops.positive[index]]


def shipped_probability(segmenter: Segmenter, crops: Crops, index: np.ndarray) -> np.ndarray:
    """Probabilities float32 (n, 128, 128) by what ships: `predict_crops`, on weights rounded to float16."""
    parts = [index[start : start + 64] for start in range(0, len(index), 64)]
    return np.concatenate([segmenter.predict_crops(neighbours(crops, p, segmenter.input_slices)) for p in parts])


def figures(probability: np.ndarray, crops: Crops, index: np.ndarray) -> dict[str, dict[str, Any]]:
    """Figures and calibration of probabilities (n, 128, 128) of the positive crops at ``index``."""
    found: dict[str, dict[str, Any]] = {
        name: estimate.to_dict() for name, estimate in detailed_figures(probability, crops, index).items()
    }
    calibration = pixel_reliability(probability, crops, index)
    return {**found, "calibration": calibration} if calibration else found


def measured(card: Card, state: Mapping[str, np.ndarray], crops: Crops) -> Card:
    """The card with the views of a crop, the logit offset, and the figures of the validation and test patients.

    The mean over views falls where one of them misses; the offset that is best for the validation patients moves the
    best threshold back to one half. Without validation patients there is none. A side without a positive crop has no
    figures.
    """
    plain = segmenter_of(with_crop_views(card, 0.0), state)
    offset, found = 0.0, {}
    for part in ("validation", "test"):
        index = positives(crops, part)
        if len(index) == 0:
            continue
        probability = shipped_probability(plain, crops, index)
        if part == "validation":
            offset = best_offset(probability, crops, index)
        found[part] = figures(with_logit_offset(probability, offset), crops, index)
    return replace(with_crop_views(card, offset), metrics=found)


def best_offset(probability: np.ndarray, crops: Crops, index: np.ndarray) -> float:
    """Logit offset that moves the threshold with the highest ``iou_pos`` to one half."""
    scores = {t: figures_of(probability, crops, index, threshold=t, repeats=1)["iou_pos"].value for t in THRESHOLDS}
    best = max(scores, key=lambda t: scores[t])
    return round(float(-np.log(best / (1 - best))), 3)


def with_crop_views(card: Card, offset: float) -> Card:
    """The same card with these settings of `predict_crops`."""
    views = {"crop_views": CROP_VIEWS, "crop_zooms": list(CROP_ZOOMS), "crop_logit_offset": offset}
    return replace(card, postprocessing={**card.to_dict()["postprocessing"], **views})
