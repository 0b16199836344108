"""The models that can be chosen: every card of the shipped folder and of the user's."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights.card import Card
from LungNoduleSegLib.weights.locations import shipped_folder, user_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CatalogEntry:
    """A model that can be chosen.

    Parameters
    ----------
    card, card_path
        Its card, and the file that it was read from.
    path
        The weights file, where there is one (also a damaged one); None otherwise.
    reason
        Why it cannot be loaded, as a sentence; None when it can. `remedy` says what to do.
    shipped
        True when the card came with the program; such files are never removed.
    hides
        Cards of the same name that this one stands before.
    """

    card: Card
    card_path: Path
    path: Path | None
    reason: str | None
    shipped: bool
    hides: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def available(self) -> bool:
        """The weights are there in their full size. (Their SHA-256 is checked when they are loaded.)"""
        return self.reason is None

    @property
    def remedy(self) -> str:
        """How to get the weights, as a sentence."""
        if self.card.how_to_get:
            return self.card.how_to_get
        return "They can be downloaded." if self.card.url else "Import the weights file with its card."

    @property
    def downloadable(self) -> bool:
        """The weights are not there, and the card says where they can be downloaded."""
        return not self.available and self.card.url is not None


@dataclass(frozen=True)
class Catalog:
    """What a look into the folders found: the models by name, and one error for each card that cannot be used."""

    entries: tuple[CatalogEntry, ...]
    problems: tuple[WeightsError, ...]


def scan() -> Catalog:
    """Look into the shipped folder and the user's.

    Of several cards of one name the one whose weights are there stands first, then the newer version, then the
    shipped one: weights that the user trained or imported for a listed model are used at once, an update of the program
    replaces older weights in the user's folder, and nothing replaces shipped weights without a higher version. Only a
    copy with the same SHA-256 in the user's folder stands before the shipped file: it is there because that is damaged.
    """
    found: list[CatalogEntry] = []
    problems: list[WeightsError] = []
    shipped, own = shipped_folder(), _own_folder(problems)
    if shipped is not None and own is not None and own.exists() and own.samefile(shipped):
        own = None  # told to use the shipped folder as the user's: its files stay shipped ones
    for folder, is_shipped in ((shipped, True), (own, False)):
        for path in _cards_in(folder):
            try:
                found.append(entry_of(_read(path), path, shipped=is_shipped))
            except WeightsError as error:
                problems.append(error)
    names = sorted({entry.name for entry in found})
    return Catalog(tuple(_first(entry for entry in found if entry.name == name) for name in names), tuple(problems))


def models() -> list[CatalogEntry]:
    """Every model, by name; those without weights too. A card that cannot be used is logged as a warning."""
    catalog = scan()
    for problem in catalog.problems:
        _log.warning("%s", problem)
    return list(catalog.entries)


def find(name: str) -> CatalogEntry:
    """The model of this name.

    Raises
    ------
    WeightsError
        For an unknown name, listing the known ones; or the finding about the card that has this name and is broken.
    """
    catalog = scan()
    for entry in catalog.entries:
        if entry.name == name:
            return entry
    for problem in catalog.problems:
        if problem.path is not None and Path(problem.path).stem == name:
            raise problem
    raise unknown(name, [entry.name for entry in catalog.entries])


def unknown(name: str, names: list[str]) -> WeightsError:
    """The error for a name that is not among ``names``."""
    close = get_close_matches(str(name).lower(), names, n=1)
    listed = f"Models: {', '.join(names)}." if names else "No model is installed; import one."
    return WeightsError(
        f"there is no model named {name!r}", remedy=f"Did you mean {close[0]!r}? {listed}" if close else listed
    )


def entry_of(card: Card, card_path: Path, *, shipped: bool) -> CatalogEntry:
    """The entry of a card that lies at ``card_path``: looks whether its weights lie beside it."""
    path, reason = None, None
    if card.file is None:
        reason = "It comes without weights."
    else:
        beside = card_path.with_name(card.file)
        try:
            size = beside.stat().st_size if beside.is_file() else None
        except OSError:
            size = None
        path = beside if size is not None else None
        if size is None:
            reason = "Its weights are not here."
        elif size != card.size_bytes:
            reason = f"Its weights are damaged: {size} bytes instead of {card.size_bytes}."
    return CatalogEntry(card, card_path, path, reason, shipped)


def _read(path: Path) -> Card:
    """The card of a file; read and checked once, and again when the file has changed: a panel asks often."""
    try:
        stamp = path.stat()
    except OSError:
        return Card.read(path)  # says what is wrong
    return _read_once(path, stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)


@lru_cache(maxsize=64)
def _read_once(path: Path, *_stamp: int) -> Card:
    return Card.read(path)


def _own_folder(problems: list[WeightsError]) -> Path | None:
    try:
        return user_folder()
    except WeightsError as error:
        problems.append(error)
        return None


def _cards_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    try:
        return sorted(path for path in folder.glob("*.json") if path.is_file() and not path.name.startswith("."))
    except OSError:
        return []


def _first(entries: Iterable[CatalogEntry]) -> CatalogEntry:
    entries = list(entries)
    hashes = {entry.card.sha256 for entry in entries if entry.shipped}

    def standing(entry: CatalogEntry) -> tuple:
        card = entry.card
        origin = 1 if entry.shipped else 2 if card.sha256 in hashes else 0
        # Of two cards in the user's folder the one that import and download wrote: they mend what is damaged.
        return (entry.available, card.version_key, origin, entry.card_path.stem == card.stem)

    ranked = sorted(entries, key=standing)
    return replace(ranked[-1], hides=tuple(entry.card_path for entry in ranked[:-1]))
