"""Networks that each left some patients out, judged on the whole scans of those patients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines.choose import make_engine
from LungNoduleSegLib.segmenter.result import Result
from LungNoduleSegLib.segmenter.segmenter import MIN_DIAMETER_MM, Segmenter
from training.evaluate.places import Place, find_places, open_place
from training.evaluate.records import Record, Settings, marks_sha256, record_of
from training.publish.origin import runs_before
from training.publish.published import network_of_run
from training.publish.scoring import JudgedScan, judge_candidates, two_fold_scores
from training.reduction.store import reduction_without
from training.sources import Sources

POINTS_SOURCE = (
    "{scans} scans of {patients} training patients by {folds} folds: candidates of networks that had not seen them "
    "({runs}), scored by a scorer that was fitted on the other folds{reduction}; the network that ships saw all of "
    "these scans and was trained for longer"
)
REDUCTION_SOURCE = (
    " and by a false-positive reduction that had not seen them, though its design was chosen with these scans in view"
)


@dataclass(frozen=True, eq=False)
class Fold:
    """One run: its network, the patients that it left out, and the images that it and the runs before it saw."""

    run: str
    segmenter: Segmenter
    leave_out: frozenset[str]
    samples: int


@dataclass(frozen=True, eq=False)
class FoldScan:
    """A scan as a network that had not seen it found it; ``fold`` counts the runs from 0."""

    place: Place
    fold: int
    judged: JudgedScan
    seconds: float


def folds_of(runs: Sequence[str], sources: Sources, reduction: str | None = None) -> list[Fold]:
    """The runs, which must leave out patients, none of them twice.

    Parameters
    ----------
    reduction
        Name of the false-positive reductions (`training.reduction`) of which each run gets the one that left out the
        same patients.

    Raises
    ------
    InputError
        Fewer than two runs, one that leaves nobody out, a patient that two of them leave out, or no reduction that left
        them out.
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} run given, and folds are two at least", remedy="Name them with --run.")
    folds: list[Fold] = []
    for run in runs:
        fold = fold_of(run, sources, reduction)
        twice = fold.leave_out & frozenset().union(*(f.leave_out for f in folds))
        if twice:
            raise InputError(f"two of the runs left out {min(twice)}", path=sources.run(run), remedy="Name others.")
        folds.append(fold)
    return folds


def fold_of(run: str, sources: Sources, reduction: str | None = None) -> Fold:
    """One of them. InputError for a run that leaves nobody out."""
    network, published = network_of_run(sources.run(run))
    leave_out = frozenset(published.run.get("leave_out", ()))
    if not leave_out:
        raise InputError("this run left no patient out", path=sources.run(run), remedy="Train with --leave-out.")
    second = None if reduction is None else reduction_without(sources.reduction(reduction), leave_out)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    segmenter = Segmenter(make_engine(published.network, state, published.normalisation), reduction=second)
    return Fold(run, segmenter, leave_out, published.samples + _images_before(run, sources))


def _images_before(run: str, sources: Sources) -> int:
    """Images that the runs behind a run's first weights saw (`train --init`)."""
    earlier = runs_before(sources, sources.run(run))
    return sum(network_of_run(folder)[1].samples for folder in earlier)


def judge_folds(
    folds: Sequence[Fold], source: Path, marks: Path | None, say: Callable[[str], None] = lambda line: None
) -> list[FoldScan]:
    """Every candidate of every annotated scan of the patients left out below a folder, with its truth.

    Raises
    ------
    InputError
        A patient whose scan is not there, or a scan that cannot be read.
    """
    number = {patient: n for n, fold in enumerate(folds) for patient in fold.leave_out}
    scans = []
    for place in find_places(source, number).places:
        fold = number[place.patient]
        ct, truth = open_place(place, marks)
        start = time.perf_counter()
        result = folds[fold].segmenter.segment(ct, threshold=0.0, min_diameter_mm=0.0)
        seconds = time.perf_counter() - start
        judged = judge_candidates(list(result.candidates), truth, ct.hu.shape)
        say(f"{place.patient} by {folds[fold].run}: {len(judged.candidates)} candidates, {seconds:.0f} s")
        scans.append(FoldScan(place, fold, judged, seconds))
    return scans


def fold_scores(scans: Sequence[FoldScan]) -> list[np.ndarray]:
    """Scores of each scan's candidates by a scorer fitted on what the other folds' networks found."""
    return two_fold_scores([s.judged for s in scans], folds=[s.fold for s in scans])


def fold_records(
    scans: Sequence[FoldScan], scores: Sequence[np.ndarray], name: str, threshold: float, marks: Path | None
) -> list[Record]:
    """The scans as `training.evaluate` keeps them, at a threshold of the scores."""
    settings = Settings(name, "", threshold, MIN_DIAMETER_MM, marks_sha256(marks))
    records = []
    for scan, values in zip(scans, scores, strict=True):
        ct, truth = open_place(scan.place, marks)
        candidates = tuple(
            replace(candidate, probability=float(np.clip(value, 0, 1)))
            for candidate, value in zip(scan.judged.candidates, values, strict=True)
        )
        result = Result(ct, candidates, threshold, MIN_DIAMETER_MM, name)
        records.append(record_of(settings, scan.place, ct, truth, result, scan.seconds))
    return records


def source_text(folds: Sequence[Fold], scans: Sequence[FoldScan]) -> str:
    """Where operating points come from, as a card says it."""
    runs = ", ".join(f"{fold.run}, {fold.samples:,} images" for fold in folds)
    patients = len({scan.place.patient for scan in scans})
    reduced = REDUCTION_SOURCE if all(fold.segmenter.reduction for fold in folds) else ""
    return POINTS_SOURCE.format(scans=len(scans), patients=patients, folds=len(folds), runs=runs, reduction=reduced)
