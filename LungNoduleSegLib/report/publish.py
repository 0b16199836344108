"""A folder of results that appears complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from LungNoduleSegLib.errors import InputError

# Short, because a deep folder may leave few characters on Windows, and hidden, because it is no result.
STAGING_PREFIX = ".lns-"


def _nearest_folder(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_target(target: str | os.PathLike[str]) -> Path:
    """The absolute path of an output folder that can be written; it need not exist yet.

    Raises
    ------
    InputError
        If it is a file, lies below one, or may not be written: said before minutes of work, not after.
    """
    path = Path(os.path.normpath(Path(target).absolute()))
    nearest = _nearest_folder(path)
    if not nearest.is_dir():
        where = "is a file" if nearest == path else f"lies below the file {nearest}"
        raise InputError(f"the output folder {where}", path=path, remedy="Name a folder with --output.")
    try:
        with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=nearest):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write there ({error.strerror or error})", path=nearest, remedy="Name another folder with --output."
        ) from error
    return path


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block ends: renaming a few files is over sooner than it can be undone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = []
    before = signal.signal(signal.SIGINT, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            raise KeyboardInterrupt


class Publication:
    """Files written into a hidden folder beside the target, then moved there together.

    Used as a context manager: write into :attr:`folder`, then call :meth:`commit`. Without a commit, whatever the
    reason, the target stays as it was and nothing is left beside it.

    Parameters
    ----------
    target
        The output folder; made, with its parents, by the commit.
    names
        All file names that a result may have. Those that this run did not write are removed from the target, so that
        no file of an earlier run stands beside the new ones; other files there are left alone.
    """

    def __init__(self, target: str | os.PathLike[str], names: tuple[str, ...]):
        self.target = check_target(target)
        self.names = names
        self.folder = Path()

    def __enter__(self) -> Publication:
        self.folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=_nearest_folder(self.target)))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def commit(self) -> list[Path]:
        """Moves what was written to the target and returns the paths there, in the order of ``names``."""
        with interrupts_held():
            if self.target.exists():
                self._replace_each()
            else:
                self._become_target()
        return [self.target / name for name in self.names if (self.target / name).exists()]

    def _become_target(self) -> None:
        made = []
        for parent in reversed(self.target.parents):
            if not parent.exists():
                parent.mkdir()
                made.append(parent)
        try:
            # A temporary folder is private to its user; a result folder has the rights that any new folder gets.
            mask = os.umask(0)
            os.umask(mask)
            self.folder.chmod(0o777 & ~mask)
            self.folder.rename(self.target)
        except OSError:
            for parent in reversed(made):
                parent.rmdir()
            raise

    def _replace_each(self) -> None:
        aside = self.folder / "earlier"
        aside.mkdir()
        done: list[str] = []
        try:
            for name in self.names:
                new, old = self.folder / name, self.target / name
                done.append(name)
                if old.exists():
                    old.rename(aside / name)
                if new.exists():
                    new.rename(old)
        except OSError:
            for name in reversed(done):
                if (aside / name).exists():
                    (aside / name).replace(self.target / name)
                elif not (self.folder / name).exists():
                    (self.target / name).unlink(missing_ok=True)
            raise
