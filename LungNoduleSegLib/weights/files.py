"""Files that appear complete or not at all, their SHA-256, and a lock between processes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from time import sleep

from LungNoduleSegLib.errors import Cancelled, WeightsError

BLOCK = 1 << 20
_POLL_S = 0.05


def write_atomically(path: str | PathLike[str], data: bytes) -> None:
    """Write beside and rename; WeightsError when the folder cannot be written."""
    with replacing(path) as beside:
        beside.write_bytes(data)


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """A path beside ``path`` to write to, which takes its place at the end; after an error nothing has changed."""
    path = Path(path)
    beside = path.with_name(f".{path.name[:80]}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        commit(beside, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def commit(beside: Path, path: Path) -> None:
    """Let a file that is written take its final name, its content on the disk first."""
    with beside.open("rb+") as handle:
        os.fsync(handle.fileno())
    beside.replace(path)


def cannot_write(path: Path, error: OSError) -> WeightsError:
    return WeightsError(
        f"the file cannot be written ({error.strerror or error})",
        path=path,
        remedy="Check the folder's permissions and the free space; LUNGNODULESEG_WEIGHTS names another folder.",
    )


def sha256_of(path: str | PathLike[str], cancel: Callable[[], bool] | None = None) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while block := handle.read(BLOCK):
            stop_if(cancel)
            digest.update(block)
    return digest.hexdigest()


def stop_if(cancel: Callable[[], bool] | None) -> None:
    """Raise Cancelled when the caller's ``cancel()`` is true."""
    if cancel is not None and cancel():
        raise Cancelled("cancelled")


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold a lock between processes; the operating system releases it when a process dies.

    Parameters
    ----------
    path
        The lock file; it stays, because to delete it would let two processes lock two different files.
    waiting
        Called again and again while another process holds the lock; may raise to give up.

    Yields
    ------
    False where the file system has no locks (some network folders), True otherwise.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("ab")
    except OSError as error:
        raise cannot_write(path, error) from error
    with handle:
        while (taken := _try_lock(handle.fileno())) is False:
            if waiting is not None:
                waiting()
            sleep(_POLL_S)
        yield bool(taken)
        # Closing the file releases the lock.


def _try_lock(descriptor: int) -> bool | None:
    """True: taken; False: another process has it; None: the file system has no locks."""
    if os.name == "nt":
        import msvcrt

        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            return False if isinstance(error, PermissionError) or error.errno in (13, 36) else None
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
