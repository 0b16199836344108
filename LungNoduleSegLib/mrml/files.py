"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in a hidden folder beside `path`; rename the file to `path` when the block succeeds.

    The file keeps its name inside that folder, because some writers take the format or names within the file from it.
    Nothing is left behind when the block raises, and an older file at `path` then stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=path.parent))
    try:
        partial = folder / path.name
        yield partial
        partial.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
