"""Check a prepared cache by its checksums; take out what is damaged, so that it is made again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from training.prepare.store import Store


@dataclass(frozen=True)
class Checked:
    """How much was read, and each damaged file with what is wrong with it."""

    files: int
    bytes: int
    damaged: tuple[tuple[Path, str], ...]


def verify(cache: Path, *, progress: bool = False) -> Checked:
    """Read every file of the cache and compare it with the manifest.

    Raises
    ------
    InputError
        Nothing is prepared there.
    """
    store = Store(cache)
    files = store.files()
    damaged = []
    for path, fault in tqdm(store.verify(), total=len(files), desc="verify", unit="file", disable=not progress):
        if fault:
            damaged.append((path, fault))
    return Checked(len(files), sum(f["bytes"] for f in files.values()), tuple(damaged))


def repair(cache: Path, *, progress: bool = False) -> Checked:
    """As `verify`; the item of each damaged file is removed, and the next run of ``prepare`` makes it again."""
    found = verify(cache, progress=progress)
    items = Store(cache).root / "items"
    for path, _ in found.damaged:
        if path.parent.parent == items:
            shutil.rmtree(path.parent, ignore_errors=True)
    return found
