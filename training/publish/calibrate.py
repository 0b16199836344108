"""The calibration of a model that has its card already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import Card
from training.publish.crop_figures import positives, shipped_probability
from training.publish.looks import log_look
from training.publish.operating import judged_candidates, plain_scoring
from training.publish.reliability import candidate_reliability, pixel_reliability
from training.publish.scoring import two_fold_scores
from training.sources import Sources


def calibrate(
    name: str, folder: Path, sources: Sources, *, test: bool = False, candidates: bool = False, most: int = 0
) -> Card:
    """Write into a model's card how calibrated it is; nothing else of the card changes.

    Parameters
    ----------
    name, folder
        Of the card; its weights must be the catalog's.
    test
        Also of the test patients: that is a look, and is logged.
    candidates
        Also of the candidates of the scans that `set_operating_points` takes, at most ``most`` of the prepared ones.

    Raises
    ------
    InputError
        No crop of the validation patients with a nodule of more than 8 pixels, other weights, or candidates of a model
        with a false-positive reduction.
    """
    card, segmenter = plain_scoring(name, folder)
    if candidates and card.postprocessing.get("reduction") is not None:
        raise InputError(
            f"the scores of {name} are also those of a false-positive reduction, which has seen these candidates",
            remedy="Judge them by folds: `python -m training folds --reduction`.",
        )
    crops = sources.crops()
    for part in ("validation", "test") if test else ("validation",):
        index = positives(crops, part)
        if len(index) == 0:
            raise InputError(
                f"no case of the {part} side has a nodule of more than 8 pixels",
                path=sources.cache,
                remedy="Prepare more cases.",
            )
        found = pixel_reliability(shipped_probability(segmenter, crops, index), crops, index)
        if part == "test":
            log_look(sources.cache, f"{name} {card.version}", {"calibration": found})
        card = with_metric(card, part, "calibration", found)
    if candidates:
        scans, about = judged_candidates(segmenter, sources, most)
        card = with_metric(
            card, "candidates", "calibration", candidate_reliability(scans, two_fold_scores(scans), about)
        )
    card.write(folder / f"{name}.json")
    return card


def with_metric(card: Card, part: str, name: str, metric: dict[str, Any]) -> Card:
    """The same card with one more metric of a part; an empty one takes it away."""
    metrics = card.to_dict()["metrics"]
    kept = {key: value for key, value in metrics.get(part, {}).items() if key != name}
    metrics[part] = {**kept, **({name: metric} if metric else {})}
    return replace(card, metrics={key: value for key, value in metrics.items() if value})
