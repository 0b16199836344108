"""Engines on the CPU that compute an ONNX model: threads that take pieces of a batch in turns."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.despike import normalise_without_spikes
from LungNoduleSegLib.inference.engines.batches import BATCH, BatchEngine, out_of_memory
from LungNoduleSegLib.inference.engines.cores import has_avx2, has_half_units, usable_cores
from LungNoduleSegLib.inference.engines.fold import fold_state
from LungNoduleSegLib.inference.engines.onnx_graph import onnx_model
from LungNoduleSegLib.inference.engines.packages import last_line
from LungNoduleSegLib.inference.engines.plausible import plausible_tiles
from LungNoduleSegLib.inference.engines.quantise import Ranges
from LungNoduleSegLib.inference.engines.tolerance import BF16_TOLERANCE, INT8_TOLERANCE, SHARE
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks.config import NetworkConfig

PIECE = 2
"""Tiles that one thread computes at once. Threads that take such pieces in turns were faster than threads that share
every operator of a batch of 16: on two cores by a tenth in float32 and by a quarter in int8, whose operators are over
sooner than the threads have met. Larger pieces were no faster. A single tile is computed by one thread."""

Compute = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Probabilities (n, h, w) of normalised tiles (n, input_slices, h, w); several threads may call it."""


class PieceEngine(BatchEngine):
    """A network of the family as an ONNX model, computed on the CPU.

    Parameters
    ----------
    config, state
        The network and its weights, by the names and shapes of :func:`~LungNoduleSegLib.networks.state_shapes`.
    normalisation
        As it was trained with.
    batch_size
        Tiles a call; halves by itself when memory runs out.
    threads
        Of this engine, each with tiles of its own; None takes one for each core that this process may use.
    precision
        One of :attr:`precisions`. "auto": int8 where there are ranges and the CPU has AVX2; else bfloat16, if that is
        one of them and the CPU has units for it; else float32. A format that moves probabilities by more than its
        tolerance on the tiles tried while loading gives way to float32, with a warning.
    ranges
        Of the convolutions that can compute in int8.

    Notes
    -----
    Probabilities in float32 equal those of :class:`~LungNoduleSegLib.inference.engines.torch_engine.TorchEngine` in
    float32 up to rounding.

    Raises
    ------
    InputError
        For a precision that is unknown, or for int8 without ranges.
    """

    precisions: ClassVar[tuple[str, ...]]
    """What `precision` may be."""

    title: ClassVar[str]
    """Name of the package for people."""

    def __init__(
        self,
        config: NetworkConfig,
        state: Mapping[str, NDArray],
        normalisation: Normalisation | None = None,
        *,
        batch_size: int | None = None,
        threads: int | None = None,
        precision: str = "auto",
        ranges: Ranges | None = None,
    ):
        if precision not in self.precisions:
            named = ", ".join(self.precisions)
            raise InputError(f"Expected argument `precision` to be one of {named}, got {precision!r}")
        if precision == "int8" and not ranges:
            raise InputError(
                "this model's card has no ranges to compute in int8 with",
                remedy="Choose the precision float32 or auto.",
            )
        super().__init__(config, normalisation)
        self.threads = max(1, int(threads or usable_cores()))
        self.batch_size = int(batch_size or max(BATCH["cpu"], PIECE * self.threads))
        self._pool = ThreadPoolExecutor(self.threads)
        self._turns = threading.BoundedSemaphore(self.threads)
        self._precision = "float32"
        weights = fold_state(config, state)
        exact = onnx_model(config, weights)
        self._run = self._load(exact, "float32")
        if ranges and (precision == "int8" or (precision == "auto" and has_avx2())):
            self._try("int8", onnx_model(config, weights, ranges), INT8_TOLERANCE)
        elif precision == "bfloat16" or (precision == "auto" and "bfloat16" in self.precisions and has_half_units()):
            self._try("bfloat16", exact, BF16_TOLERANCE)

    @abstractmethod
    def _load(self, model: bytes, precision: str) -> Compute:
        """What computes an ONNX model in a precision; one for int8 has its convolutions in int8 already."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Of the package."""

    def _try(self, precision: str, model: bytes, tolerance: float) -> None:
        """Take this number format if it works and stays close to float32."""
        exact, tiles = self._run, plausible_tiles(self.config, self.normalisation)
        expected = self._forward(tiles)
        try:
            self._run = self._load(model, precision)
            apart = float(np.quantile(np.abs(self._forward(tiles) - expected), SHARE))
        except Exception as error:  # each package has kinds of its own
            self._run = exact
            if out_of_memory(error):
                raise
            self.warn(f"{precision} does not work on this processor ({last_line(error)}); float32 is used.")
            return
        if apart <= tolerance:
            self._precision = precision
            return
        self._run = exact
        self.warn(f"{precision} moves probabilities by {apart:.2f} on this processor; float32 is used.")

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def precision(self) -> str:
        return self._precision

    @property
    def description(self) -> str:
        return (
            f"{self.title} {self.version} on {self.device}, {self.precision}, {self.threads} threads, "
            f"batches of {self.batch_size}{self.remark}"
        )

    def _check(self, shape: tuple[int, ...]) -> None:
        super()._check(shape)
        if self.config.vit is not None and shape[2:] != (self.tile_px, self.tile_px):
            raise ValueError(f"Expected argument `tiles` to be {self.tile_px} pixels high and wide, got {shape[2:]}")

    def _turn(self) -> AbstractContextManager[Any]:
        """Calls may be computed side by side: their pieces take turns."""
        return nullcontext()

    def _start(self, tiles: NDArray, min_range: float | None) -> Callable[[], NDArray[np.float32]]:
        def compute(piece: NDArray) -> NDArray[np.float32]:
            return self._run(normalise_without_spikes(piece, self.normalisation, min_range=min_range))

        found = self._in_pieces(tiles, compute)
        return lambda: found

    def _forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._in_pieces(np.ascontiguousarray(x, np.float32), self._run)

    def _in_pieces(self, tiles: NDArray, compute: Callable[[NDArray], NDArray[np.float32]]) -> NDArray[np.float32]:
        size = max(1, min(PIECE, len(tiles) // self.threads))
        pieces = [tiles[n : n + size] for n in range(0, len(tiles), size)]
        alone = self.threads == 1 or len(pieces) == 1

        def in_turn(piece: NDArray) -> NDArray[np.float32]:
            with self._turns:  # several callers are no more threads than one
                return compute(piece)

        return np.concatenate(list((map if alone else self._pool.map)(in_turn, pieces)))
