"""Arrays on disk: written with their checksum, never half; read as memory maps."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from LungNoduleSegLib.errors import InputError

_CHUNK_BYTES = 2**18
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Stored:
    """What the manifest says of a file."""

    sha256: str
    bytes: int

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """A full disk as one sentence; every other error as it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise InputError(
            "no space left on the disk of the cache", path=path,
            remedy="Free space, or name a cache elsewhere, and run the same command again: what is done is kept.",
        ) from error  # fmt: skip


def write_array(path: Path, array: np.ndarray) -> Stored:
    """Write one array as .npy. Runs of zeros become holes: masks of whole scans take next to no space.

    Raises
    ------
    InputError
        The disk is full.
    """
    array = np.ascontiguousarray(array)
    writer = ArrayWriter(path, array.shape, array.dtype)
    with writer:
        writer.append(array)
    return writer.stored


class ArrayWriter:
    """Writes an array of known shape piece by piece, along its first axis, for what does not fit into memory.

    ``stored`` is known after the block.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path, self.shape, self.dtype = path, tuple(shape), np.dtype(dtype)
        self.stored = Stored("", 0)
        self._sum = hashlib.sha256()

    def __enter__(self) -> ArrayWriter:
        head = io.BytesIO()
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_2_0(head, header)
        with disk_errors(self.path):
            self._stream = self.path.open("wb")
            try:
                self._write(memoryview(head.getvalue()))
            except BaseException:
                self._stream.close()
                raise
        return self

    def append(self, part: np.ndarray) -> None:
        """The next rows."""
        flat = np.ascontiguousarray(part, dtype=self.dtype)
        with disk_errors(self.path):
            self._write(memoryview(flat).cast("B") if flat.size else memoryview(b""))

    def __exit__(self, kind, error, trace) -> None:
        with disk_errors(self.path):
            try:
                length = self._stream.tell()
                self._stream.truncate(length)  # a hole at the end
            finally:
                self._stream.close()
        if kind is None:
            self.stored = Stored(self._sum.hexdigest(), length)

    def _write(self, data: memoryview) -> None:
        self._sum.update(data)
        for start in range(0, len(data), _CHUNK_BYTES):
            part = data[start : start + _CHUNK_BYTES]
            if np.frombuffer(part, np.uint8).any():
                self._stream.write(part)
            else:
                self._stream.seek(len(part), io.SEEK_CUR)


def open_array(path: Path) -> np.ndarray:
    """The array of a .npy file as a read-only memory map: processes share its pages.

    Raises
    ------
    InputError
        Missing, cut off, or not an array.
    """
    try:
        # As a plain array: the subclass costs time in every indexing.
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"damaged cache ({error})", path=path, remedy="Prepare the data again.") from error


def checksum(path: Path) -> Stored:
    """SHA-256 and length of a file as it is now."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(2**22):
            digest.update(block)
            length += len(block)
    return Stored(digest.hexdigest(), length)
