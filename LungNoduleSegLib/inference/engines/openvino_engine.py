"""The fastest engine on x86 processors: the same tiles and probabilities, computed by OpenVINO on the CPU."""

from __future__ import annotations

import threading
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.engines.cores import has_half_units
from LungNoduleSegLib.inference.engines.onnx_graph import INPUT, PROBABILITY
from LungNoduleSegLib.inference.engines.packages import imported
from LungNoduleSegLib.inference.engines.pieces import PIECE, Compute, PieceEngine
from LungNoduleSegLib.networks.config import NetworkConfig

_HINTS = {"float32": "f32", "int8": "f32", "bfloat16": "bf16"}
"""Number format of what is not in int8."""


class OpenVinoEngine(PieceEngine):
    """A network of the family, computed by OpenVINO on the CPU: float32, bfloat16, or convolutions in int8.

    Parameters are those of :class:`~LungNoduleSegLib.inference.engines.pieces.PieceEngine`.
    """

    name = "openvino"
    title = "OpenVINO"
    precisions = ("auto", "float32", "bfloat16", "int8")

    def __init__(self, config: NetworkConfig, *parts: Any, **options: Any):
        super().__init__(config, *parts, **options)
        assert isinstance(self._run, _Compiled)
        self._run.prepare()

    def _load(self, model: bytes, precision: str) -> Compute:
        # What int8 leaves: in bfloat16 a tile of model 1 takes a sixth less, one without a transformer a little more.
        half = precision == "int8" and self.config.vit is not None and has_half_units()
        return _Compiled(model, self.config, self.threads, "bf16" if half else _HINTS[precision])

    @property
    def version(self) -> str:
        return str(imported("openvino").__version__).partition("-")[0]


class _Compiled:
    """A model, compiled for a shape when that first occurs; several threads may call it, each computes by itself.

    A shape that is known beforehand takes up to a quarter less time than one that is left free: pieces of whole tiles
    have a model each, everything else shares one whose shape is free.
    """

    def __init__(self, model: bytes, config: NetworkConfig, threads: int, hint: str):
        self._model, self._threads, self._hint = model, threads, hint
        self._slices, self._px = config.input_slices, config.input_px
        self._lock = threading.Lock()
        self._requests: dict[int, SimpleQueue[Any]] = {}

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        requests = self._of(x.shape)
        request = requests.get()
        try:
            return _computed(request, x)
        finally:
            requests.put(request)

    def prepare(self) -> None:
        """Compile for whole tiles now, so that the first click does not wait for it."""
        for count in range(1, PIECE + 1):
            self._of((count, self._slices, self._px, self._px))

    def _of(self, shape: tuple[int, ...]) -> SimpleQueue[Any]:
        count = shape[0] if shape[2:] == (self._px, self._px) and shape[0] <= PIECE else 0
        with self._lock:
            if count not in self._requests:
                self._requests[count] = self._compiled(count)
            return self._requests[count]

    def _compiled(self, count: int) -> SimpleQueue[Any]:
        """Requests for pieces of so many whole tiles, one a thread; with 0 for any shape."""
        core = _core()
        model = core.read_model(self._model)
        if count:
            model.reshape({INPUT: [count, self._slices, self._px, self._px]})
        # One stream a thread: as many pieces at once, each on one core.
        settings = {
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": self._threads,
            "INFERENCE_PRECISION_HINT": self._hint,
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(model, "CPU", settings)
        used = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
        if self._hint == "bf16" and "bf" not in used:  # it says so nowhere else
            raise RuntimeError("OpenVINO has no bfloat16 here")
        requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._threads):
            requests.put(request := compiled.create_infer_request())
        # What is made on the first call is there before another thread makes one.
        _computed(request, np.zeros((count or 1, self._slices, self._px, self._px), np.float32))
        return requests


@cache
def _core() -> Any:
    """OpenVINO's core, one for the process and never given back.

    With the last core goes the stack that OpenVINO gave the thread for signals, though the system still uses it: the
    next Ctrl-C ended the process (seen with 2026.4).
    """
    return imported("openvino").Core()


def _computed(request: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    request.infer({INPUT: x})
    # The request's own memory holds the next result too.
    return request.get_tensor(PROBABILITY).data[:, 0].copy()
