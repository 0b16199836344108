"""From what the user names (folder, files, archive) to a list of files on disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from LungNoduleSegLib.errors import InputError

ARCHIVE_LIMIT_BYTES = 16 * 2**30
"""Unpacked size beyond which a zip is refused: 30,000 uncompressed slices, or a file made to fill the disk."""


@dataclass(frozen=True)
class SourceFile:
    """A file to read, and the name that messages call it by (inside an archive: archive/member)."""

    path: Path
    shown: str


def from_paths(paths: Iterable[Path]) -> list[SourceFile]:
    """Each path once, in the given order; a folder stands for all files below it, sorted by name.

    Raises
    ------
    InputError
        A path does not exist.
    """
    found: dict[Path, SourceFile] = {}
    for path in paths:
        if path.is_dir():
            members: Iterable[Path] = _below(path)
        elif path.exists():
            members = (path,)
        else:
            raise InputError("no such file or folder", path=path, remedy="Check the spelling of the path.")
        for member in members:
            found.setdefault(member.resolve(), SourceFile(member, str(member)))
    return list(found.values())


def _below(folder: Path) -> Iterator[Path]:
    problems: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=problems.append):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file():  # neither a broken link nor a pipe
                yield path
    if problems:
        raise InputError(
            f"cannot be listed ({problems[0].strerror})",
            path=problems[0].filename or folder,
            remedy="Check that you may read this folder.",
        )


@contextmanager
def unpacked(archive: Path) -> Iterator[list[SourceFile]]:
    """The files of a zip, unpacked into a temporary folder for as long as the context lasts.

    Names inside the archive are not used on disk: they may be unsafe, too long, or not writable on this system.

    Raises
    ------
    InputError
        Damaged, encrypted or oversized archive.
    """
    with TemporaryDirectory(prefix="lungnoduleseg-") as folder:
        try:
            with zipfile.ZipFile(archive) as opened:
                members = [member for member in opened.infolist() if not member.is_dir()]
                size = sum(member.file_size for member in members)
                if size > ARCHIVE_LIMIT_BYTES:
                    raise InputError(
                        f"unpacks to {size / 2**30:.0f} GiB",
                        path=archive,
                        remedy="Unpack it yourself and give the folder of one series.",
                    )
                files = []
                for number, member in enumerate(members):
                    target = Path(folder, f"{number:06d}")
                    with opened.open(member) as source, target.open("wb") as sink:
                        while block := source.read(2**20):
                            sink.write(block)
                    files.append(SourceFile(target, f"{archive}/{member.filename}"))
        except (zipfile.BadZipFile, EOFError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            raise InputError(
                f"damaged zip archive ({error})", path=archive, remedy="Copy or download the archive again."
            ) from error
        except (RuntimeError, NotImplementedError) as error:  # what zipfile raises for a password or an unknown method
            raise InputError(
                f"this zip archive cannot be unpacked ({error})",
                path=archive,
                remedy="Unpack it with another program and give the folder.",
            ) from error
        yield files
