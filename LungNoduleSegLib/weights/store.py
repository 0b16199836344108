"""The user's folder of weights: import a file, remove a model, clear."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights.card import CARD_BYTES, Card
from LungNoduleSegLib.weights.catalog import CatalogEntry, entry_of, scan, unknown
from LungNoduleSegLib.weights.files import BLOCK, cannot_write, locked, replacing, sha256_of
from LungNoduleSegLib.weights.locations import shipped_folder, user_folder

_PAIR = "A model is a .safetensors file and its card (.json) beside it, or a .zip of the two."


def import_file(path: str | PathLike[str]) -> CatalogEntry:
    """Copy a model into the user's folder, after its SHA-256 was checked.

    Parameters
    ----------
    path
        A ``.safetensors`` file with its card beside it (the same name with ``.json``, or a card that names the file);
        the card; or a ``.zip`` that holds both.

    Returns
    -------
    The model's entry. Where the same content is there already, undamaged, its entry, and nothing is written.

    Raises
    ------
    WeightsError
        When a part is missing or damaged, or when the model would not be used: another content of the same version, or
        a newer version, is there already. Nothing has changed then.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError("there is no such file", path=path, remedy=_PAIR)
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _import_zip(path)
    if suffix == ".json":
        return _import_pair(path, Card.read(path))
    if suffix == ".safetensors":
        return _import_pair(*_card_of(path), weights=path)
    raise WeightsError(f"a file that ends in {path.suffix!r} holds no model", path=path, remedy=_PAIR)


def remove(name: str) -> list[Path]:
    """Remove every version of a model from the user's folder, and what is left of its downloads.

    Shipped weights are never removed. Returns the removed files; WeightsError for an unknown or only shipped model.
    """
    folder = _own_folder()
    cards = {card_path: card for card_path, card in _own_cards(folder).items() if card.name == name}
    parts = [part for part in _parts(folder) if _is_part_of(part, name)]
    if not cards and not parts:
        names = sorted({entry.name for entry in scan().entries})
        if name not in names:
            raise unknown(name, names)
        raise WeightsError(
            f"{name} has no file in the user's folder", path=folder, remedy="Shipped models stay with the program."
        )
    return _delete(folder, cards, parts)


def clear() -> list[Path]:
    """Remove every model and what is left of downloads from the user's folder; returns the removed files.

    Shipped weights, and files there that belong to no card, stay.
    """
    folder = _own_folder()
    return _delete(folder, _own_cards(folder), _parts(folder))


def _import_pair(card_path: Path, card: Card, weights: Path | None = None) -> CatalogEntry:
    if card.file is None:
        raise WeightsError("the card names no weights", path=card_path, remedy=_PAIR)
    weights = weights or card_path.with_name(card.file)
    if not weights.is_file():
        raise WeightsError(f"the weights {card.file} are not beside their card", path=card_path, remedy=_PAIR)

    def copy(target: Path) -> None:
        shutil.copyfile(weights, target)

    return _import(card, copy, weights)


def _card_of(weights: Path) -> tuple[Path, Card]:
    """The card beside a weights file: of the same name, else one that names the file."""
    same = weights.with_suffix(".json")
    if same.is_file():
        return same, Card.read(same)
    for other in sorted(weights.parent.glob("*.json")):
        try:
            card = Card.read(other)
        except WeightsError:
            continue  # some other JSON file
        if card.file == weights.name:
            return other, card
    raise WeightsError("its card is not beside it", path=weights, remedy=f"Put {same.name} beside it. {_PAIR}")


def _import_zip(path: Path) -> CatalogEntry:
    try:
        with zipfile.ZipFile(path) as archive:
            # By the last part of the name, which is all that is used of it; the rest is what macOS adds.
            files = {
                PurePosixPath(member.filename).name: member
                for member in archive.infolist()
                if not member.is_dir() and not PurePosixPath(member.filename).name.startswith(".")
            }
            cards = [member for name, member in files.items() if name.lower().endswith(".json")]
            if len(cards) != 1:
                raise WeightsError(f"the archive holds {len(cards)} cards instead of one", path=path, remedy=_PAIR)
            with archive.open(cards[0]) as handle:
                card = Card.from_json(handle.read(CARD_BYTES), path=path)
            if card.file is None or card.file not in files:
                raise WeightsError(f"the archive does not hold the weights {card.file}", path=path, remedy=_PAIR)

            def copy(target: Path) -> None:
                with archive.open(files[card.file or ""]) as source, target.open("wb") as handle:
                    _copy_at_most(source, handle, card.size_bytes or 0)

            return _import(card, copy, path)
    # RuntimeError: it asks for a password.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"the archive cannot be read ({error})", path=path, remedy=_PAIR) from error


def _copy_at_most(source: IO[bytes], target: IO[bytes], size: int) -> None:
    """Copy up to one byte more than ``size``: enough to see that a file is too long, whatever it unpacks to."""
    left = size + 1
    while left and (block := source.read(min(left, BLOCK))):
        target.write(block)
        left -= len(block)


def _import(card: Card, copy: Callable[[Path], None], source: Path) -> CatalogEntry:
    present = _present(card, source)
    if present is not None:
        return present
    folder, stem = user_folder(create=True), card.stem
    with locked(folder / f".{stem}.lock"):
        own = card.with_file(f"{stem}.safetensors", card.sha256 or "", card.size_bytes or 0)
        with replacing(folder / f"{stem}.safetensors") as beside:
            with _reading(source):
                copy(beside)
            size, digest = beside.stat().st_size, sha256_of(beside)
            if (size, digest) != (card.size_bytes, card.sha256):
                raise WeightsError(
                    f"the weights are damaged or not those of the card: {size} bytes with SHA-256 {digest}, and the "
                    f"card says {card.size_bytes} bytes with SHA-256 {card.sha256}",
                    path=source,
                    remedy="Get the file again.",
                )
        own.write(folder / f"{stem}.json")
        return entry_of(own, folder / f"{stem}.json", shipped=False)


@contextmanager
def _reading(source: Path):
    """Keep a source that cannot be read apart from a folder that cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (28, 122) or error.filename not in (None, str(source)):  # no space, quota; or the target
            raise
        finding = f"cannot be read ({error.strerror or error})"
        raise WeightsError(finding, path=source, remedy="Copy the file again.") from error


def _present(card: Card, source: Path) -> CatalogEntry | None:
    """The same content in use and undamaged, if so; WeightsError where the import would never be used."""
    there = next((entry for entry in scan().entries if entry.name == card.name and entry.available), None)
    if there is None or there.card.version_key < card.version_key:
        return None
    if there.card.version_key > card.version_key:
        raise WeightsError(
            f"{card.name} {card.version} would not be used: version {there.card.version} is there already",
            path=source,
            remedy="Give the model a newer version or another name in its card, or remove the newer one first.",
        )
    if there.card.sha256 == card.sha256:
        damaged = there.path is None or sha256_of(there.path) != card.sha256
        return None if damaged else there
    first = "" if there.shipped else ", or remove the other one first"
    raise WeightsError(
        f"another content of {card.name} {card.version} is there already",
        path=source,
        remedy=f"Give the model a newer version or another name in its card{first}.",
    )


def _own_folder() -> Path:
    folder, shipped = user_folder(), shipped_folder()
    if shipped is not None and folder.exists() and folder.samefile(shipped):
        raise WeightsError(
            "the folder of the user is the shipped one",
            path=folder,
            remedy="Name another folder in LUNGNODULESEG_WEIGHTS; shipped weights are never removed.",
        )
    return folder


def _own_cards(folder: Path) -> dict[Path, Card]:
    cards = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            cards[path] = Card.read(path)
        except WeightsError:
            continue  # not ours to remove
    return cards


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.part")) if folder.is_dir() else []


def _is_part_of(part: Path, name: str) -> bool:
    """``.<name>-<version>.<hash>.part`` or, without locks, ``.<name>-<version>.<hash>.<pid>.part``."""
    rest = part.name.removeprefix(f".{name}-")
    return rest != part.name and rest[:1].isdigit()


def _delete(folder: Path, cards: dict[Path, Card], parts: list[Path]) -> list[Path]:
    """The cards first, so that no card is left that names a file that is gone."""
    kept = {card.file for path, card in _own_cards(folder).items() if path not in cards}
    files = [folder / card.file for card in cards.values() if card.file and card.file not in kept]
    removed = []
    for path in [*cards, *dict.fromkeys(files), *parts]:
        try:
            if path.exists() or path.is_symlink():
                path.unlink()
                removed.append(path)
        except OSError as error:
            raise cannot_write(path, error) from error
    return removed
