"""From a setting to processors: Lightning Fabric, launched, with errors that say what is missing."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines.precision import cpu_features
from training.engine.config import EngineConfig
from training.metrics.torchvision_operators import declare_operators

if TYPE_CHECKING:
    from lightning.fabric import Fabric

FABRIC_PRECISION = {torch.float32: "32-true", torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed"}


def best_precision(device: str = "cpu") -> torch.dtype | None:
    """Number format of the network's arithmetic on a kind of device; None for float32.

    On the CPU bfloat16 where it multiplies it (AMX or AVX512-BF16: two to three times faster).
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    features = cpu_features()
    return torch.bfloat16 if device == "cpu" and (features["amx_bf16"] or features["avx512_bf16"]) else None


def device_kind(engine: EngineConfig) -> str:
    """ "cpu", "cuda" or "mps", as asked for or as there is; InputError where what is asked for is absent."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if engine.accelerator == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there[engine.accelerator]:
        build = "" if engine.accelerator != "cuda" or torch.version.cuda else f" (torch {torch.__version__} lacks it)"
        raise InputError(
            f"{engine.accelerator.upper()} was asked for and is not available here{build}",
            remedy="Check the driver with nvidia-smi and the build of torch, or leave --accelerator at auto.",
        )
    return engine.accelerator


def precision_of(engine: EngineConfig, kind: str) -> torch.dtype | None:
    """The number format of a run on that kind of device; None for float32."""
    if engine.precision == "auto":
        return best_precision(kind)
    if engine.precision == "float16" and kind != "cuda":
        raise InputError(
            f"float16 was asked for and training on {kind} has no loss scaling for it",
            remedy="Choose bfloat16 or float32, or a GPU.",
        )
    return None if engine.precision == "float32" else getattr(torch, engine.precision)


def launch(engine: EngineConfig) -> Fabric:
    """Fabric with all processes of a run under way.

    torchrun and SLURM have started them; without either, the command starts itself once more for each further device.
    Call it before anything slow: the other processes begin where this one began.
    """
    kind = device_kind(engine)
    precision = precision_of(engine, kind)
    if kind == "cuda" and engine.devices > torch.cuda.device_count():
        raise InputError(
            f"{engine.devices} GPUs were asked for and {torch.cuda.device_count()} are here",
            remedy="Set --devices to what is there.",
        )
    _check_world(engine)
    declare_operators()
    for part in ("fabric", "pytorch"):  # which of them speaks depends on what was imported last
        logging.getLogger(f"lightning.{part}.utilities.rank_zero").setLevel(logging.WARNING)
    from lightning.fabric import Fabric

    if engine.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    if kind == "cuda":
        torch.backends.cudnn.benchmark = not engine.deterministic
        torch.set_float32_matmul_precision("high")
    fabric = Fabric(
        accelerator=kind,
        devices=engine.devices,
        num_nodes=engine.nodes,
        strategy=_strategy(engine),
        precision=FABRIC_PRECISION[precision or torch.float32],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _strategy(engine: EngineConfig) -> Any:
    if engine.processes == 1 and engine.strategy == "auto":
        return "auto"
    from lightning.fabric.strategies import DDPStrategy

    # Buffers are the same everywhere already: batch normalisation is over all processes.
    return DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)


def _check_world(engine: EngineConfig) -> None:
    """Processes that were started from outside must be as many as the setting says, or shares would not add up."""
    started = os.environ.get("WORLD_SIZE")
    if started is not None and "LOCAL_RANK" in os.environ and int(started) != engine.processes:
        raise InputError(
            f"{started} processes were started and the run asks for {engine.devices} on each of {engine.nodes} nodes",
            remedy="Give torchrun and --devices, --nodes the same numbers.",
        )


def gather(fabric: Fabric, value: Any) -> list[Any]:
    """That value of every process, in their order, on every process."""
    if fabric.world_size == 1:
        return [value]
    found: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(found, value)
    return found


def total(fabric: Fabric, value: torch.Tensor) -> torch.Tensor:
    """Sum of a tensor over the processes, without gradient."""
    value = value.detach()
    return value if fabric.world_size == 1 else fabric.all_reduce(value.clone(), reduce_op="sum")
