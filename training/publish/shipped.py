"""A model as it ships: its card in a folder, and the catalog's weights of that card."""

from __future__ import annotations

from pathlib import Path

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import Card, CatalogEntry, find


def shipped(name: str, folder: Path) -> tuple[Card, CatalogEntry]:
    """The card of a model in ``folder``, and the catalog's entry that holds its weights.

    Raises
    ------
    InputError
        The catalog has other weights of this name.
    """
    card, entry = Card.read(folder / f"{name}.json"), find(name)
    if entry.card.sha256 != card.sha256:
        raise InputError(
            f"the catalog's {name} is another file", path=folder, remedy="Name this folder in LUNGNODULESEG_WEIGHTS."
        )
    return card, entry
