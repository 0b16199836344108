"""A shipped model on complete scans: its candidate scorer, its operating points, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.segmenter.load import engine_of
from LungNoduleSegLib.segmenter.segmenter import Segmenter
from LungNoduleSegLib.weights import Card, load_state
from training.data.split import ALWAYS_TRAIN
from training.evaluate.places import open_scan
from training.evaluate.whole_scans import ScanFigures, Truth, dice_3d, judge
from training.prepare.store import Store, StoredScan
from training.publish.published import with_operating_points
from training.publish.reliability import candidate_reliability
from training.publish.scoring import (
    JudgedScan,
    fit_scorer,
    judge_candidates,
    operating_curve,
    operating_points,
    two_fold_scores,
)
from training.publish.shipped import shipped
from training.publish.stored_scans import evenly, open_stored
from training.sources import Sources

FALSE_PER_SCAN = {"few false": 0.5, "balanced": 1.0, "sensitive": 4.0}
"""At most so many false positives a scan at each operating point."""

DEFAULT_POINT = "balanced"
POINTS_SOURCE = (
    "six training scans; the candidate scorer judged scans that it was not fitted on (two folds), but the network had "
    "seen all six in training: expect more false positives and fewer nodules on unseen scans"
)
PREPARED_POINTS_SOURCE = (
    "{scans} prepared scans of {patients} patients of the training side; the candidate scorer judged scans that it was "
    "not fitted on (two folds), but the network had seen them in training: expect more false positives and fewer "
    "nodules on unseen scans; marks of what is no nodule were not known here"
)


def judged_scans(segmenter: Segmenter, sources: Sources, patients: Iterable[str] = ALWAYS_TRAIN) -> list[JudgedScan]:
    """Every candidate of each patient's scan, with its truth."""
    judged = []
    for patient in sorted(patients):
        ct, truth = open_scan(patient, sources)
        result = segmenter.segment(ct, threshold=0.0, min_diameter_mm=0.0)
        judged.append(judge_candidates(list(result.candidates), truth, ct.hu.shape))
    return judged


def judged_stored(segmenter: Segmenter, scans: Iterable[StoredScan]) -> list[JudgedScan]:
    """The same for scans of a prepared cache."""
    judged = []
    for scan in scans:
        ct, truth, neither = open_stored(scan)
        result = segmenter.segment(ct, threshold=0.0, min_diameter_mm=0.0)
        judged.append(judge_candidates(list(result.candidates), truth, ct.hu.shape, neither))
    return judged


def plain_scoring(name: str, folder: Path) -> tuple[Card, Segmenter]:
    """The card of a model in ``folder``, and a segmenter on its weights that scores candidates plainly.

    Raises
    ------
    InputError
        The catalog has other weights of this name.
    """
    card, entry = shipped(name, folder)
    # Not in int8, in which nothing of a card is measured.
    engine = engine_of(replace(card, quantisation=None), load_state(entry))
    return card, Segmenter(engine, with_operating_points(card, None, []))


def judged_candidates(segmenter: Segmenter, sources: Sources, most: int = 0) -> tuple[list[JudgedScan], str]:
    """The candidates of the scans that a scorer is fitted on, and a clause on which scans these are.

    Of a prepared cache these are the whole scans of the training side, at most ``most`` of them (0: all); else the six
    scans of LIDC-IDRI that are always trained on.

    Raises
    ------
    InputError
        No such scan.
    """
    if not sources.prepared:
        return judged_scans(segmenter, sources), POINTS_SOURCE
    stored = evenly(Store(sources.cache).scans("train"), most)
    if len(stored) < 2:
        raise InputError(
            f"{len(stored)} whole scans of the training side are prepared, and a scorer needs two at least",
            path=sources.cache,
            remedy="Prepare with --scans all or train, and more cases; without operating points the model can be "
            "used too.",
        )
    about = PREPARED_POINTS_SOURCE.format(scans=len(stored), patients=len({s.patient for s in stored}))
    return judged_stored(segmenter, stored), about


def set_operating_points(name: str, folder: Path, sources: Sources, most: int = 0) -> Card:
    """Fit the scorer of a model on the training scans and write it into its card.

    With it go the operating points and the calibration of the scores. The scans are those of `judged_candidates`. A
    false-positive reduction is no longer used: it was trained on such scans, and these points hold without it.

    Raises
    ------
    InputError
        No such scan, or too little in them to fit a scorer.
    """
    card, segmenter = plain_scoring(name, folder)
    scans, about = judged_candidates(segmenter, sources, most)
    card = with_scorer(card, scans, two_fold_scores(scans), about)
    card.write(folder / f"{name}.json")
    return card


def with_scorer(
    card: Card,
    scans: list[JudgedScan],
    scores: list[np.ndarray],
    about: str,
    reduction: dict[str, Any] | None = None,
) -> Card:
    """The card with a scorer fitted on all the scans, and with operating points and calibration by their ``scores``.

    ``about`` says on what scans, and who had seen them; ``reduction`` describes the false-positive reduction that had
    its say in the scores.
    """
    curve = operating_curve(scans, scores)
    points = operating_points(curve, FALSE_PER_SCAN)
    names = [point["name"] for point in points]
    for point in points:
        # Where ties leave out a point, the strictest one that there is.
        point["default"] = point["name"] == (DEFAULT_POINT if DEFAULT_POINT in names else names[0])
        point["source"] = about
    card = with_operating_points(card, fit_scorer(scans).to_dict(), points, reduction)
    reliability = candidate_reliability(scans, scores, about)
    metrics = {**card.to_dict()["metrics"], **({"candidates": {"calibration": reliability}} if reliability else {})}
    return replace(card, metrics=metrics)


@dataclass(frozen=True, eq=False)
class ScanLook:
    """What a model made of one annotated scan.

    ``labels`` uint16 [k, j, i]; ``rows`` one a nodule of ``truth``, with ``click_dice`` where there were clicks;
    ``clicks`` bool [k, j, i] of each of them.
    """

    ct: CT
    truth: Truth
    labels: np.ndarray
    figures: ScanFigures
    rows: tuple[dict[str, Any], ...]
    clicks: tuple[np.ndarray, ...]


def look_at_scan(segmenter: Segmenter, patient: str, sources: Sources, *, clicks: bool = True) -> ScanLook:
    """A whole CT at the default operating point, and one click in each annotated nodule.

    The click is on the consensus voxel nearest the consensus' centroid.
    """
    ct, truth = open_scan(patient, sources)
    result = segmenter.segment(ct)
    figures = judge(result.labels, {n.label: n.probability for n in result.nodules}, truth)
    rows, clicked = [], []
    for nodule, row in zip(truth.nodules, figures.rows):
        values = asdict(row)
        if clicks:
            seed = ct.kji_to_ras(np.array(truth.seed_kji(nodule), dtype=float))
            x, y, z = (float(v) for v in seed)
            clicked.append(segmenter.click(ct, positive_ras=[(x, y, z)]).labels > 0)
            values["click_dice"] = round(dice_3d(clicked[-1], nodule, truth), 3)
        rows.append(values)
    return ScanLook(ct, truth, result.labels, figures, tuple(rows), tuple(clicked))


def evaluate_scan(
    segmenter: Segmenter, patient: str, sources: Sources, *, clicks: bool = True
) -> tuple[ScanFigures, list[dict[str, Any]]]:
    """The figures of `look_at_scan`, and its row a nodule."""
    look = look_at_scan(segmenter, patient, sources, clicks=clicks)
    return look.figures, list(look.rows)
