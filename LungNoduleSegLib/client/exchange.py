"""Files between the panel and its process: a private temporary folder whose path every program understands."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from LungNoduleSegLib.client.process_tree import is_alive
from LungNoduleSegLib.errors import Cancelled

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT

_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, eq=False)
class Base:
    """A segment as it is, that a click is to change.

    Attributes
    ----------
    offset_kji
        First voxel of ``mask`` in the CT.
    mask
        bool [k, j, i].
    """

    offset_kji: tuple[int, int, int]
    mask: NDArray[np.bool_]


class Exchange:
    """A temporary folder; what dead processes of this kind left behind is removed when one is made.

    Attributes
    ----------
    folder
        Readable by this user only, with a short name of ASCII letters where the system has such a place.
    """

    def __init__(self) -> None:
        place = _place()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-", dir=place))
        threading.Thread(target=remove_left_overs, args=(place,), name="client-clean", daemon=True).start()

    def path(self, name: str) -> Path:
        """A file in the folder."""
        return self.folder / name

    def write_volume(self, name: str, ct: CT, cancelled: Callable[[], bool] = lambda: False) -> Path:
        """Writes a CT for the runner: .npz, not compressed, int16 ``hu`` [k, j, i] in HU.

        Raises
        ------
        Cancelled
            As soon as ``cancelled()`` is true.
        OSError
            If the disk is full, for example.
        """
        path = self.path(name)
        texts = {"series_uid": np.array(ct.series_uid), "study_uid": np.array(ct.study_uid)}
        with zipfile.ZipFile(path, "w") as archive:
            for key, array in {"ijk_to_ras": np.asarray(ct.ijk_to_ras), **texts, "hu": ct.hu}.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                    _write_array(file, np.asarray(array, order="C"), cancelled)
        return path

    def write_base(self, name: str, base: Base) -> Path:
        """Writes the segment that a click changes."""
        path = self.path(name)
        np.savez_compressed(path, mask=np.asarray(base.mask, dtype=bool), offset_kji=np.asarray(base.offset_kji))
        return path

    def write_job(self, name: str, job: Mapping[str, Any]) -> Path:
        """Writes a job as ASCII JSON."""
        path = self.path(name)
        path.write_text(as_line(job), encoding="ascii")
        return path

    def discard(self, name: str) -> None:
        """Removes a file; a file that another process holds open stays until the folder is removed."""
        with contextlib.suppress(OSError):
            self.path(name).unlink()

    def remove(self) -> None:
        """Removes the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def as_line(job: Mapping[str, Any]) -> str:
    """A job as one line of ASCII JSON; numpy's numbers and arrays, tuples and paths may be in it."""
    return json.dumps(job, ensure_ascii=True, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"Expected a job of JSON's types, got {type(value).__name__}")


def _write_array(file: Any, array: NDArray, cancelled: Callable[[], bool]) -> None:
    npy.write_array_header_2_0(file, npy.header_data_from_array_1_0(array))
    # Written from the array's own memory, a piece at a time: no copy, and a cancellation need not wait for all of it.
    flat = memoryview(array.reshape(-1)).cast("B") if array.dtype.kind != "U" else memoryview(array.tobytes())
    for start in range(0, len(flat), _CHUNK_BYTES):
        if cancelled():
            raise Cancelled("cancelled")
        file.write(flat[start : start + _CHUNK_BYTES])


def _prefix() -> str:
    # Computers and containers that share a temporary folder do not know each other's processes.
    host = hashlib.sha256(platform.node().encode("utf-8", "replace")).hexdigest()[:6]
    return f"lns-{host}-"


def _place() -> Path:
    """Folder for temporary folders: the user's own if its path is ASCII, else one that is."""
    own = tempfile.gettempdir()
    if own.isascii():
        return Path(own)
    if sys.platform == "win32":
        from LungNoduleSegLib.client.windows_job import short_path

        # Without a short name the long one must do: Python reads it, and no place for all users is private enough.
        return Path(short_path(own))
    for other in ("/tmp", "/var/tmp"):
        if os.access(other, os.W_OK | os.X_OK):
            return Path(other)
    return Path(own)


def remove_left_overs(place: Path | None = None) -> list[Path]:
    """Removes the folders of processes that no longer run; returns them."""
    removed = []
    with contextlib.suppress(OSError):
        for folder in (place or _place()).glob(f"{_prefix()}*-*"):
            owner = folder.name.removeprefix(_prefix()).partition("-")[0]
            if owner.isdigit() and not is_alive(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed
