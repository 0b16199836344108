"""A false-positive reduction for each fold and one for all, from what networks found in scans new to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.reduction import Reduction
from LungNoduleSegLib.inference.stack import STACK_PX
from training.evaluate.places import open_place
from training.evaluate.records import marks_sha256
from training.publish.folds import Fold, fold_of, judge_folds
from training.publish.scoring import JudgedScan
from training.reduction.examples import BESIDE, MARGIN_PX, NODULE, Examples, candidate_examples, crop_examples, joined
from training.reduction.fit import FitConfig, fit
from training.reduction.network import folded
from training.reduction.store import ALL, write_about, write_reduction
from training.sources import Sources

Say = Callable[[str], None]


def train_reductions(
    folder: Path,
    runs: Sequence[str],
    source: Path,
    marks: Path | None,
    sources: Sources,
    config: FitConfig,
    say: Say = lambda line: None,
) -> None:
    """Networks that each left out the patients of some of the runs, and one that left nobody out.

    Each learns from the training side's crops, and from the candidates that the runs found in the scans of patients
    which they had left out themselves: so many and such ones as on scans that no network has seen.

    Parameters
    ----------
    folder
        For the networks, what they were trained on, and each run's candidates: those that are there are not looked for
        again.
    runs
        Trained with ``--leave-out``; those that left out the same patients make a fold. Two folds at least.

    Raises
    ------
    InputError
        Fewer folds, folds that share a patient, a scan that is not there, or too little to learn from.
    """
    groups = fold_groups([fold_of(run, sources) for run in runs])
    found = {
        left_out: joined([_candidates(folder, fold, source, marks, say) for fold in folds])
        for left_out, folds in groups.items()
    }
    crops = sources.crops()
    near = crop_examples(crops, crops.on_side("train"), config.hollow_share, config.seed)
    unseen = crop_examples(crops, crops.on_side("validation"))
    weights: dict[str, dict[str, np.ndarray]] = {}
    networks: dict[str, list[str]] = {}
    areas: dict[str, float | None] = {}
    counts: dict[str, dict[str, int]] = {}
    for number, left_out in enumerate([*groups, frozenset()]):
        file = f"fold-{number}.safetensors" if left_out else ALL
        others = [part for patients, part in found.items() if patients != left_out]
        say(f"{file}: without {', '.join(sorted(left_out)) or 'nobody left out'}")
        examples = joined([near.without(left_out), *others])
        network = fit(examples, config, say)
        weights[file] = folded(network)
        networks[file] = sorted(left_out)
        counts[file] = {kind: int((examples.kinds == kind).sum()) for kind in config.counts()}
        areas[file] = validation_area(Reduction(network.config, weights[file]), unseen)
        say(f"{file}: area under the curve of the validation patients' crops {areas[file]}")
    about = {
        "layers": network.config.to_dict(),
        "networks": networks,
        "runs": list(runs),
        "examples": counts,
        "fit": asdict(config),
        "validation_area": areas,
    }
    # Only now: what was trained before under this name stays whole if this training is broken off.
    for file, arrays in weights.items():
        write_reduction(folder / file, arrays)
    write_about(folder, about)


def fold_groups(folds: Sequence[Fold]) -> dict[frozenset[str], list[Fold]]:
    """Folds by the patients that they left out.

    Raises
    ------
    InputError
        Fewer than two groups, or a patient in two of them.
    """
    groups: dict[frozenset[str], list[Fold]] = {}
    for fold in folds:
        groups.setdefault(fold.leave_out, []).append(fold)
    if len(groups) < 2:
        raise InputError(
            "the runs left out the same patients, and folds are two at least", remedy="Name the others with --run."
        )
    seen: set[str] = set()
    for patients in groups:
        if seen & patients:
            raise InputError(
                f"two folds that are not the same left out {min(seen & patients)}",
                remedy="Name runs of the same folds.",
            )
        seen |= patients
    return groups


def right_and_wrong(judged: JudgedScan) -> list[tuple[Candidate, int]]:
    """The candidates that are a nodule, with the readers of it, and those that are false, with 0."""
    rows = zip(judged.candidates, judged.kinds, judged.hits, strict=True)
    return [(c, max((judged.readers[h] for h in hits), default=0)) for c, kind, hits in rows if kind != "finding"]


def validation_area(reduction: Reduction, examples: Examples) -> float | None:
    """Area under the ROC curve, nodules of crops against what lies beside them; None where either is missing."""
    margin = (MARGIN_PX - STACK_PX) // 2
    inner = slice(margin, margin + STACK_PX)
    logits = np.array([reduction.of_stack(s[:, inner, inner].astype(np.float32)) for s in examples.stacks])
    nodules, others = (np.sort(logits[examples.kinds == kind]) for kind in (NODULE, BESIDE))
    if not len(nodules) or not len(others):
        return None
    below = np.searchsorted(others, nodules, "left") + np.searchsorted(others, nodules, "right")
    return round(float(below.mean() / 2 / len(others)), 4)


def _candidates(folder: Path, fold: Fold, source: Path, marks: Path | None, say: Say) -> Examples:
    """What a run found: kept from before only where it is the same run still, on the same data."""
    stored = folder / f"candidates-{fold.run}.npz"
    of = json.dumps([sorted(fold.leave_out), fold.samples, str(source.resolve()), marks_sha256(marks)])
    if stored.is_file():
        with np.load(stored) as data:
            if "of" in data and str(data["of"]) == of:
                return Examples(**{name: data[name] for name in Examples.__dataclass_fields__})
    parts = []
    for scan in judge_folds([fold], source, marks, say):
        ct, _ = open_place(scan.place, marks)
        parts.append(candidate_examples(ct, scan.judged.patient, right_and_wrong(scan.judged)))
    examples = joined(parts)
    folder.mkdir(parents=True, exist_ok=True)
    beside = stored.with_suffix(".part.npz")
    np.savez(beside, of=of, **{name: getattr(examples, name) for name in Examples.__dataclass_fields__})
    beside.replace(stored)
    return examples
