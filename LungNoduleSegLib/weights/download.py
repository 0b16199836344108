"""Download the weights of a model, after asking, into the user's folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from LungNoduleSegLib.errors import Cancelled, WeightsError
from LungNoduleSegLib.weights.card import Card
from LungNoduleSegLib.weights.catalog import CatalogEntry, entry_of
from LungNoduleSegLib.weights.files import cannot_write, commit, locked, sha256_of, stop_if
from LungNoduleSegLib.weights.locations import user_folder
from LungNoduleSegLib.weights.transfer import fetch, host_of

Progress = Callable[[float, str], None]
"""``progress(fraction 0..1, message)``."""

_REPORT_S = 0.1


def question_for(card: Card, folder: Path) -> str:
    """What the user is asked before anything is fetched: model, size, host, place and licence."""
    return (
        f"Download {card.name} {card.version} ({_megabytes(card.size_bytes or 0)} MB) from {host_of(card.url or '')} "
        f"into {folder}? Licence: {card.licence}."
    )


def download(
    entry: CatalogEntry,
    ask: Callable[[str], bool],
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> CatalogEntry:
    """Download a model's weights into the user's folder.

    Nothing is fetched, and nothing is written, before ``ask`` has returned True. What arrived before a cancel, a cut
    connection or a crash is kept and continued. The file gets its name only when its size and SHA-256 are those of the
    card. Of several processes that download the same model one does it, and the others wait for it.

    Parameters
    ----------
    ask
        Called once with a question that names size, host and licence.
    progress
        Called with the fraction (0..1) and a message.
    cancel
        Polled at least ten times a second.

    Returns
    -------
    The model's entry with its weights; ``entry`` itself, unasked, where they are there and undamaged.

    Raises
    ------
    Cancelled
        When ``ask`` did not return True, or ``cancel()`` returned true.
    WeightsError
        When there is no address, the server fails, the disk is full, or the content is not the one of the card.
    """
    card = entry.card
    if entry.available and entry.path is not None and sha256_of(entry.path, cancel) == card.sha256:
        return entry
    if card.url is None or card.file is None:
        raise WeightsError(f"{card.name} cannot be downloaded", path=entry.card_path, remedy=entry.remedy)
    folder = user_folder()
    if ask(question_for(card, folder)) is not True:
        raise Cancelled(f"{card.name} was not downloaded: not agreed to")
    user_folder(create=True)

    def say(fraction: float, message: str) -> None:
        if progress is not None:
            progress(fraction, message)

    def waiting() -> None:
        stop_if(cancel)
        say(0.0, f"Another process is downloading {card.name}; waiting for it")

    stem = card.stem
    with locked(folder / f".{stem}.lock", waiting=waiting) as exclusive:
        finished = _finished(card, folder, cancel)
        if finished is None:
            # Part of the hash in its name: what arrived for another content is never continued.
            name = f".{stem}.{(card.sha256 or '')[:12]}"
            part = folder / (f"{name}.part" if exclusive else f"{name}.{os.getpid()}.part")
            _require_space(folder, part, card)
            _fetch_right_content(card, part, say, cancel)
            finished = _publish(card, part, folder)
    say(1.0, f"{card.name} {card.version} is ready")
    return finished


def _finished(card: Card, folder: Path, cancel: Callable[[], bool] | None) -> CatalogEntry | None:
    """The entry, where another process (or an earlier run without its last step) has brought the right file."""
    weights = folder / f"{card.stem}.safetensors"
    if not weights.is_file() or weights.stat().st_size != card.size_bytes or sha256_of(weights, cancel) != card.sha256:
        return None
    return _enter(card, folder)


def _fetch_right_content(card: Card, part: Path, say: Progress, cancel: Callable[[], bool] | None) -> None:
    size, url = card.size_bytes or 0, card.url or ""
    last = -_REPORT_S

    def arrived(count: int) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _REPORT_S or count == size:
            last = now
            say(0.99 * count / size, f"{_megabytes(count)} of {_megabytes(size)} MB")

    for _ in range(2):
        whole = fetch(url, part, size, progress=arrived, cancel=cancel)
        say(0.99, "Checking the file")
        digest = sha256_of(part, cancel)
        if digest == card.sha256:
            return
        part.unlink()
        if whole:
            break
        # Put together from several answers, between which the file may have changed: once more, in one piece.
    raise WeightsError(
        f"the file on the server is not the one of the card: SHA-256 {digest}, and the card says {card.sha256}",
        path=url,
        remedy="It was deleted again. Update LungNoduleSeg, or import the right file.",
    )


def _publish(card: Card, part: Path, folder: Path) -> CatalogEntry:
    weights = folder / f"{card.stem}.safetensors"
    try:
        commit(part, weights)
    except OSError as error:
        raise cannot_write(weights, error) from error
    return _enter(card, folder)


def _enter(card: Card, folder: Path) -> CatalogEntry:
    """Write the card beside the weights, so that they are still known when the program has a newer card."""
    stem = card.stem
    own = card.with_file(f"{stem}.safetensors", card.sha256 or "", card.size_bytes or 0)
    own.write(folder / f"{stem}.json")
    return entry_of(own, folder / f"{stem}.json", shipped=False)


def _require_space(folder: Path, part: Path, card: Card) -> None:
    needed = (card.size_bytes or 0) - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WeightsError(
            f"{_megabytes(needed)} MB are needed and {_megabytes(free)} MB are free",
            path=folder,
            remedy="Free some space, or name another folder in LUNGNODULESEG_WEIGHTS.",
        )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}"
