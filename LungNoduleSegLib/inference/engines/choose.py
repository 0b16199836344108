"""Which engine computes: PyTorch on a GPU; on a CPU OpenVINO, ONNX Runtime or PyTorch, the fastest that is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from LungNoduleSegLib.errors import InputError, LungNoduleSegError
from LungNoduleSegLib.inference.engines.batches import BatchEngine
from LungNoduleSegLib.inference.engines.cores import has_avx2, has_tile_units, may_have_gpu, may_have_half_units
from LungNoduleSegLib.inference.engines.packages import last_line, reason_not_loaded
from LungNoduleSegLib.inference.engines.quantise import Ranges
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks.config import NetworkConfig

ENGINES = ("auto", "torch", "onnxruntime", "openvino")

_TITLES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
_HOW = {
    "torch": "Install PyTorch",
    "onnxruntime": "Install the package onnxruntime",
    "openvino": "Install the package openvino",
}
_FORMATS = {"onnxruntime": ("float32", "int8"), "openvino": ("float32", "bfloat16", "int8")}
"""What the engines that have no device but the CPU compute in."""


def make_engine(
    config: NetworkConfig,
    state: Mapping[str, NDArray],
    normalisation: Normalisation | None = None,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    batch_size: int | None = None,
    ranges: Ranges | None = None,
) -> BatchEngine:
    """A network with these weights, ready to predict.

    Parameters
    ----------
    config, state
        The network and its weights, by the names and shapes of :func:`~LungNoduleSegLib.networks.state_shapes`.
    engine
        "torch", "onnxruntime", "openvino", or "auto": PyTorch on a GPU that works; OpenVINO on a CPU with AVX2;
        without it PyTorch on a CPU with AMX, ONNX Runtime on a CPU with AVX2, where the model has ranges to compute in
        int8 with, PyTorch on a CPU with AVX512-BF16 (see
        :func:`~LungNoduleSegLib.inference.engines.precision.choose_precision`); else ONNX Runtime, as far as they are
        installed.
    device, precision, threads, batch_size
        See :class:`~LungNoduleSegLib.inference.engines.torch_engine.TorchEngine`; `threads` are those of the engine.
        The precisions of ONNX Runtime are "float32" and "int8", those of OpenVINO these and "bfloat16".
    ranges
        See :class:`~LungNoduleSegLib.inference.engines.pieces.PieceEngine`.

    Raises
    ------
    InputError
        For an engine that is unknown, not installed, or has not the device or precision; for a device that is unknown
        or does not work.
    """
    if engine not in ENGINES:
        raise InputError(f"Expected argument `engine` to be one of {', '.join(ENGINES)}, got {engine!r}")
    own = _FORMATS.get(engine, _FORMATS["onnxruntime"])
    beyond = [
        f"the {kind} {wanted!r}"
        for kind, wanted, has in (("device", device, ("cpu",)), ("precision", precision, own))
        if wanted not in ("auto", *has)
    ]
    if engine in _FORMATS and beyond:
        raise InputError(
            f"the engine {engine} computes on the CPU in {', '.join(own[:-1])} or {own[-1]}, "
            f"and has not {' and '.join(beyond)}",
            remedy="Choose the engine auto or torch.",
        )
    if precision == "int8" and (engine == "torch" or beyond):
        raise InputError(
            "int8 is computed by the engines openvino and onnxruntime on the CPU alone",
            remedy="Choose the engine and the device auto, or another precision.",
        )

    options: dict[str, Any] = {"precision": precision, "threads": threads, "batch_size": batch_size}

    def make(name: str) -> BatchEngine:
        if name == "torch":
            from LungNoduleSegLib.inference.engines.fold import folded_network
            from LungNoduleSegLib.inference.engines.torch_engine import TorchEngine

            return TorchEngine(folded_network(config, state), normalisation, device=device, **options)
        if name == "openvino":
            from LungNoduleSegLib.inference.engines.openvino_engine import OpenVinoEngine

            return OpenVinoEngine(config, state, normalisation, ranges=ranges, **options)
        from LungNoduleSegLib.inference.engines.onnx_engine import OnnxEngine

        return OnnxEngine(config, state, normalisation, ranges=ranges, **options)

    def required(name: str, use: str) -> BatchEngine:
        _require(name, use)
        return make(name)

    on_cpu = device == "cpu" or (device == "auto" and not may_have_gpu())
    half_on_cpu = engine == "auto" and precision == "bfloat16" and on_cpu and has_avx2()
    if half_on_cpu and not reason_not_loaded("openvino"):
        return _openvino_or(make, lambda: required("torch", "bfloat16"))
    if engine == "torch" or beyond:
        return required("torch", " and ".join(beyond))
    if engine in _FORMATS:
        return required(engine, "int8" if precision == "int8" else "")
    return _fastest(make, device, precision, bool(ranges))


def _fastest(
    make: Callable[[str], BatchEngine], device: str, precision: str, ranges: bool, vino_fails: str = ""
) -> BatchEngine:
    """The engine for "auto", on a device and in a precision that all of them have, as far as they are installed.

    ``vino_fails``: OpenVINO is installed, but computes nothing here.
    """
    without_vino = vino_fails or (reason_not_loaded("openvino") if has_avx2() else "is for processors with AVX2")
    name = "onnxruntime" if without_vino else "openvino"

    def other() -> BatchEngine:
        return _fastest(make, device, precision, ranges, "fails")

    if precision == "int8":
        _require(name, "int8")
        return make(name) if without_vino else _openvino_or(make, other)
    without = reason_not_loaded(name)
    warnings: list[str] = []
    # int8 takes half to two thirds of float32's time a tile, with VNNI and without; less than PyTorch's bfloat16
    # without AMX. OpenVINO takes less time than PyTorch in either format.
    whole = precision == "auto" and ranges and has_avx2() and not has_tile_units()
    half = name != "openvino" and precision == "auto" and (not whole or bool(without)) and may_have_half_units()
    # Only then is torch imported, which takes seconds and some 200 MB.
    faster = half or (device == "auto" and may_have_gpu())
    if without or faster:
        without_torch = reason_not_loaded("torch")
        if without and without_torch:
            if not vino_fails and not reason_not_loaded("openvino"):
                return make("openvino")  # on this processor not tried, but all that there is
            raise InputError(
                f"PyTorch {without_torch}, and ONNX Runtime {without}",
                remedy="Install one of them; for a CPU, pip install onnxruntime.",
            )
        if not without_torch:
            found = make("torch")
            if without:
                if found.device == "cpu" and (found.precision == "float32" or whole):
                    found.remark = f"; the package onnxruntime, which {without}, would make it faster"
                return found
            if found.device != "cpu" or (half and found.precision != "float32"):
                return found
            warnings += found.warnings
        elif importlib.util.find_spec("torch") is not None:
            warnings.append(f"PyTorch {without_torch}; {_TITLES[name]} computes on the CPU.")
    chosen = make(name) if without_vino else _openvino_or(make, other)
    if without_vino and not vino_fails and has_avx2():
        chosen.remark = f"; the package openvino, which {without_vino}, would make it faster"
    for warning in warnings:
        chosen.warn(warning)
    return chosen


def _openvino_or(make: Callable[[str], BatchEngine], instead: Callable[[], BatchEngine]) -> BatchEngine:
    """OpenVINO, or what there is instead if a processor, driver or version does not get along with it."""
    try:
        return make("openvino")
    except LungNoduleSegError:
        raise
    except Exception as error:
        found = instead()
        found.warn(f"OpenVINO fails on this computer ({last_line(error)}); another engine is used.")
        return found


def _require(package: str, use: str) -> None:
    reason = reason_not_loaded(package)
    if reason:
        needed = f"{use} needs {_TITLES[package]}, which" if use else _TITLES[package]
        remedy = f"{_HOW[package]}, or choose the engine, device and precision auto."
        raise InputError(f"{needed} {reason}", remedy=remedy)
