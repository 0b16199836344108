"""A shipped model on complete scans: its candidate scorer, its operating points, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.segmenter.load import engine_of
from LungNoduleSegLib.segmenter.segmenter import Segmenter
from LungNoduleSegLib.weights import Card, find, load_state
from training.data.split import ALWAYS_TRAIN
from training.evaluate.places import open_scan
from training.evaluate.whole_scans import ScanFigures, dice_3d, judge
from training.publish.published import with_operating_points
from training.publish.scoring import (
    JudgedScan,
    fit_scorer,
    judge_candidates,
    operating_curve,
    operating_points,
    two_fold_scores,
)
from training.sources import Sources

FALSE_PER_SCAN = {"few false": 1.0, "balanced": 2.0, "sensitive": 4.0}
DEFAULT_POINT = "balanced"
POINTS_SOURCE = (
    "six training scans; the candidate scorer judged scans that it was not fitted on (two folds), but the network had "
    "seen all six in training: expect more false positives and fewer nodules on unseen scans"
)


def judged_scans(segmenter: Segmenter, sources: Sources, patients: Iterable[str] = ALWAYS_TRAIN) -> list[JudgedScan]:
    """Every candidate of each patient's scan, with its truth."""
    judged = []
    for patient in sorted(patients):
        ct, truth = open_scan(patient, sources)
        result = segmenter.segment(ct, threshold=0.0, min_diameter_mm=0.0)
        judged.append(judge_candidates(list(result.candidates), truth, ct.hu.shape))
    return judged


def set_operating_points(name: str, folder: Path, sources: Sources) -> Card:
    """Fit the scorer of a model on the training scans and write it, with the operating points, into its card."""
    card = Card.read(folder / f"{name}.json")
    entry = find(name)
    if entry.card.sha256 != card.sha256:
        raise InputError(
            f"the catalog's {name} is another file", path=folder, remedy="Name this folder in LUNGNODULESEG_WEIGHTS."
        )
    segmenter = Segmenter(engine_of(card, load_state(entry)), with_operating_points(card, None, []))
    scans = judged_scans(segmenter, sources)
    curve = operating_curve(scans, two_fold_scores(scans))
    points = operating_points(curve, FALSE_PER_SCAN)
    for point in points:
        point["default"] = point["name"] == DEFAULT_POINT
        point["source"] = POINTS_SOURCE
    card = with_operating_points(card, fit_scorer(scans).to_dict(), points)
    card.write(folder / f"{name}.json")
    return card


def evaluate_scan(
    segmenter: Segmenter, patient: str, sources: Sources, *, clicks: bool = True
) -> tuple[ScanFigures, list[dict[str, Any]]]:
    """A whole CT at the default operating point, and one click in each annotated nodule.

    Returns
    -------
    The figures, and a row a nodule; with ``clicks`` also the 3D Dice of one click on the consensus voxel nearest its
    centroid (``click_dice``).
    """
    ct, truth = open_scan(patient, sources)
    result = segmenter.segment(ct)
    figures = judge(result.labels, {n.label: n.probability for n in result.nodules}, truth)
    rows = []
    for nodule, row in zip(truth.nodules, figures.rows):
        values = asdict(row)
        if clicks:
            seed = ct.kji_to_ras(np.array(truth.seed_kji(nodule), dtype=float))
            clicked = segmenter.click(ct, positive_ras=[tuple(float(v) for v in seed)])
            values["click_dice"] = round(dice_3d(clicked.labels > 0, nodule, truth), 3)
        rows.append(values)
    return figures, rows
