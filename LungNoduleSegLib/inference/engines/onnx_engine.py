"""The engine without PyTorch: the same tiles and probabilities, computed by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.engines.batches import BATCH, BatchEngine
from LungNoduleSegLib.inference.engines.cores import usable_cores
from LungNoduleSegLib.inference.engines.fold import fold_state
from LungNoduleSegLib.inference.engines.onnx_graph import INPUT, PROBABILITY, onnx_model
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks.config import NetworkConfig

SPINNING = "0"
"""Whether threads that wait for work spin for a moment ("1") or sleep at once ("0").

With both cores of a computer spinning took 13 to 22 % less time a tile while nothing else ran, and 10 to 20 % more
beside a process that kept a core busy, which it slowed down too: a viewer is such a process.
"""

_FATAL_ONLY = 4
"""Errors come as exceptions; ONNX Runtime would print them too."""


class OnnxEngine(BatchEngine):
    """A network of the family, computed by ONNX Runtime in float32 on the CPU.

    Parameters
    ----------
    config, state
        The network and its weights, by the names and shapes of :func:`~LungNoduleSegLib.networks.state_shapes`.
    normalisation
        As it was trained with.
    batch_size
        Tiles a call; halves by itself when memory runs out.
    threads
        Of this engine; None takes one for each core that this process may use.

    Notes
    -----
    Probabilities equal those of :class:`~LungNoduleSegLib.inference.engines.torch_engine.TorchEngine` in float32 up to
    rounding.
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
    ):
        import onnxruntime

        super().__init__(config, normalisation)
        self.threads = max(1, int(threads or usable_cores()))
        self.batch_size = int(batch_size or BATCH["cpu"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", SPINNING)
        model = onnx_model(config, fold_state(config, state))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._version = onnxruntime.__version__

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def precision(self) -> str:
        return "float32"

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
        (probability,) = self._session.run([PROBABILITY], {INPUT: np.ascontiguousarray(x, np.float32)})
        return probability[:, 0]
