"""What all engines do alike: check the tiles, normalise them, and go through them in batches that memory allows."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.errors import LungNoduleSegError
from LungNoduleSegLib.inference.despike import normalise_without_spikes
from LungNoduleSegLib.inference.engines.overlap import overlapped
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks.config import STRIDE, NetworkConfig

BATCH = {"cpu": 16, "cuda": 256, "mps": 16}
"""Tiles a call by kind of device; on two CPU cores nothing was gained beyond 16. A GPU computes a quarter of them (64)
at once, while the next quarter is prepared."""

_PHRASES = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed", "failed to allocate memory",
    "bad allocation", "bad_alloc",
)  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, ONNX Runtime, OpenVINO or Python means that memory ran out."""
    kind = type(error)
    if isinstance(error, MemoryError) or kind.__name__ == "OutOfMemoryError":
        return True
    # ONNX Runtime's errors are no RuntimeErrors.
    native = isinstance(error, RuntimeError) or kind.__module__.startswith("onnxruntime")
    return native and any(phrase in str(error).lower() for phrase in _PHRASES)


class BatchEngine(ABC):
    """The part of an engine that does not depend on what computes.

    Parameters
    ----------
    config
        Of the network.
    normalisation
        As it was trained with.
    """

    name: str
    """Of the package that computes, as `load_segmenter` takes it."""

    batch_size: int
    """Tiles that are best given at once; more are split."""

    parts = 1
    """Parts that so many are computed in; with more than one, the next is prepared while one is computed."""

    remark = ""
    """The end of :attr:`description`: what would be better."""

    def __init__(self, config: NetworkConfig, normalisation: Normalisation | None):
        self.config = config
        self.input_slices: int = config.input_slices
        self.tile_px: int = config.input_px
        self.normalisation = normalisation or Normalisation()
        self._warnings: list[str] = []
        self._lock, self._room = threading.Lock(), threading.Lock()

    @property
    @abstractmethod
    def device(self) -> str:
        """Where it runs now, e.g. "cpu" or "cuda"."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """Number format of the arithmetic: "float32", "bfloat16", "float16" or "int8"."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What computes, where, in which format and why, with how many threads: one line for a log."""

    @abstractmethod
    def _forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, h, w) of normalised tiles (n, input_slices, h, w)."""

    def _begin(self, x: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Start `_forward`; what is returned waits for its result. Here it is done at once."""
        found = self._forward(x)
        return lambda: found

    def _start(self, tiles: NDArray, min_range: float | None) -> Callable[[], NDArray[np.float32]]:
        """Normalise tiles and start computing; what is returned waits for the result."""
        return self._begin(normalise_without_spikes(tiles, self.normalisation, min_range=min_range))

    def _turn(self) -> AbstractContextManager[Any]:
        """Held by a call of `predict`: by one at a time."""
        return self._lock

    @property
    def at_once(self) -> int:
        """Tiles that are computed at once."""
        return max(1, self.batch_size // self.parts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went otherwise than asked: a GPU that does not work, memory that ran out."""
        return tuple(self._warnings)

    def warn(self, sentence: str) -> None:
        """Add to :attr:`warnings`."""
        self._warnings.append(sentence)

    def predict(self, tiles: NDArray, *, min_range: float | None = None) -> NDArray[np.float32]:
        """Probabilities of tiles.

        Parameters
        ----------
        tiles
            (n, input_slices, h, w), HU (or 8-bit values with ``min_range=1``), any real dtype; h and w are multiples of
            16.
        min_range
            Overrides the normalisation's smallest stretched range.

        Returns
        -------
        (n, h, w) float32, 0..1, of the middle slices.

        Raises
        ------
        ValueError
            For another shape.
        LungNoduleSegError
            If memory runs out even for one tile on the CPU.
        """
        tiles = np.asarray(tiles)
        self._check(tiles.shape)

        def start(part: NDArray) -> Callable[[], NDArray[np.float32]]:
            return self._start(part, min_range)

        out = np.empty((tiles.shape[0], *tiles.shape[2:]), np.float32)
        done = 0
        with self._turn():
            while done < len(tiles):
                size = self.at_once
                try:
                    for found in overlapped([tiles[n : n + size] for n in range(done, len(tiles), size)], start):
                        out[done : done + len(found)] = found
                        done += len(found)
                except Exception as error:
                    if not out_of_memory(error):
                        raise
                    with self._room:
                        if self.at_once >= size:  # else another call has made room meanwhile
                            self._make_room(error)
        return out

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 4 or shape[1] != self.input_slices:
            raise ValueError(f"Expected argument `tiles` to have shape (n, {self.input_slices}, h, w), got {shape}")
        if shape[2] % STRIDE or shape[3] % STRIDE:
            raise ValueError(
                f"Expected height and width of argument `tiles` to be multiples of {STRIDE}, got {shape[2:]}"
            )

    def _make_room(self, error: BaseException) -> None:
        if self.at_once == 1:
            raise LungNoduleSegError(f"memory ran out on the CPU for a single tile ({error})") from error
        self.batch_size = self.at_once // 2 * self.parts
        self.warn(f"Memory ran out on {self.device}; going on with batches of {self.at_once}.")
