"""The figures of a model that has its card already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from LungNoduleSegLib.weights import Card, load_state
from training.publish.published import with_figures
from training.publish.shipped import shipped
from training.sources import Sources


def remeasure(name: str, folder: Path, version: str, sources: Sources) -> Card:
    """A shipped model's card anew: the crops' views, threshold and figures as this version measures them.

    The weights, the candidate scorer and the operating points stay; what int8 costs is left out until
    `quantise`. One look at the test patients, which is logged.

    Raises
    ------
    InputError
        The catalog has other weights of this name.
    """
    card, entry = shipped(name, folder)
    other = {k: v for k, v in card.to_dict()["metrics"].items() if k not in ("validation", "test")}
    card = with_figures(replace(card, version=version), load_state(entry), sources, looked=f"{name} {version}")
    ranges = card.quantisation and {"ranges": card.to_dict()["quantisation"]["ranges"]}  # its figures are of before
    card = replace(card, metrics={**card.to_dict()["metrics"], **other}, quantisation=ranges)
    card.write(folder / f"{name}.json")
    return card
