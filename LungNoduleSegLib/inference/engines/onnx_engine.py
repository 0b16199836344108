"""The engine without PyTorch: the same tiles and probabilities, computed by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines.batches import BATCH, BatchEngine
from LungNoduleSegLib.inference.engines.cores import has_avx2, usable_cores
from LungNoduleSegLib.inference.engines.fold import fold_state
from LungNoduleSegLib.inference.engines.onnx_graph import INPUT, PROBABILITY, onnx_model
from LungNoduleSegLib.inference.engines.plausible import plausible_tiles
from LungNoduleSegLib.inference.engines.quantise import Ranges
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks.config import NetworkConfig

PIECE = 2
"""Tiles that one thread computes at once. Threads that take such pieces in turns were faster than threads that share
every operator of a batch of 16: on two cores by a tenth in float32 and by a quarter in int8, whose operators are over
sooner than the threads have met. Larger pieces were no faster. A single tile is computed by one thread."""

_FATAL_ONLY = 4
"""Errors come as exceptions; ONNX Runtime would print them too."""

PRECISIONS = ("auto", "float32", "int8")

INT8_TOLERANCE = 0.1
"""Difference of probabilities between int8 and float32 that is accepted when a network is loaded, for 999 of 1,000
pixels: a processor whose sums of such products overflow moves more than that."""

_SHARE = 0.999


class OnnxEngine(BatchEngine):
    """A network of the family, computed by ONNX Runtime on the CPU, in float32 or with convolutions in int8.

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
        "float32", "int8", or "auto": int8 where there are ranges and the CPU has AVX2. int8 that
        moves probabilities by more than :data:`INT8_TOLERANCE` on the tiles tried while loading gives way to float32,
        with a warning.
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

    name = "onnxruntime"

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
        import onnxruntime

        if precision not in PRECISIONS:
            raise InputError(f"Expected argument `precision` to be one of {', '.join(PRECISIONS)}, got {precision!r}")
        if precision == "int8" and not ranges:
            raise InputError(
                "this model's card has no ranges to compute in int8 with",
                remedy="Choose the precision float32 or auto.",
            )
        super().__init__(config, normalisation)
        self.threads = max(1, int(threads or usable_cores()))
        self.batch_size = int(batch_size or max(BATCH["cpu"], PIECE * self.threads))
        self._pool = ThreadPoolExecutor(self.threads)
        self._version = onnxruntime.__version__
        self._precision = "float32"
        weights = fold_state(config, state)
        self._session = self._load(onnx_model(config, weights))
        if ranges and (precision == "int8" or (precision == "auto" and has_avx2())):
            self._try_int8(onnx_model(config, weights, ranges))

    def _load(self, model: bytes) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the threads are ours
        options.log_severity_level = _FATAL_ONLY
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def _try_int8(self, model: bytes) -> None:
        """Take this model if it stays close to the one in float32."""
        exact, tiles = self._session, plausible_tiles(self.config, self.normalisation)
        expected = self._forward(tiles)
        self._session = self._load(model)
        apart = float(np.quantile(np.abs(self._forward(tiles) - expected), _SHARE))
        if apart <= INT8_TOLERANCE:
            self._precision = "int8"
            return
        self._session = exact
        self.warn(f"int8 moves probabilities by {apart:.2f} on this processor; float32 is used.")

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def precision(self) -> str:
        return self._precision

    @property
    def description(self) -> str:
        return (
            f"ONNX Runtime {self._version} on {self.device}, {self.precision}, {self.threads} threads, "
            f"batches of {self.batch_size}{self.remark}"
        )

    def _check(self, shape: tuple[int, ...]) -> None:
        super()._check(shape)
        if self.config.vit is not None and shape[2:] != (self.tile_px, self.tile_px):
            raise ValueError(f"Expected argument `tiles` to be {self.tile_px} pixels high and wide, got {shape[2:]}")

    def _forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        x = np.ascontiguousarray(x, np.float32)
        size = max(1, min(PIECE, len(x) // self.threads))
        pieces = [x[n : n + size] for n in range(0, len(x), size)]
        alone = self.threads == 1 or len(pieces) == 1
        return np.concatenate(list((map if alone else self._pool.map)(self._run, pieces)))

    def _run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        (probability,) = self._session.run([PROBABILITY], {INPUT: x})
        return probability[:, 0]
