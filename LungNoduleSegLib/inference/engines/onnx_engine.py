"""The engine without PyTorch: the same tiles and probabilities, computed by ONNX Runtime on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.engines.onnx_graph import INPUT, PROBABILITY
from LungNoduleSegLib.inference.engines.pieces import Compute, PieceEngine

_FATAL_ONLY = 4
"""Errors come as exceptions; ONNX Runtime would print them too."""


class OnnxEngine(PieceEngine):
    """A network of the family, computed by ONNX Runtime on the CPU, in float32 or with convolutions in int8.

    Parameters are those of :class:`~LungNoduleSegLib.inference.engines.pieces.PieceEngine`.
    """

    name = "onnxruntime"
    title = "ONNX Runtime"
    precisions = ("auto", "float32", "int8")

    def _load(self, model: bytes, precision: str) -> Compute:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the threads are ours
        options.log_severity_level = _FATAL_ONLY
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
            (probability,) = session.run([PROBABILITY], {INPUT: x})
            return probability[:, 0]

        return run

    @property
    def version(self) -> str:
        import onnxruntime

        return str(onnxruntime.__version__)
