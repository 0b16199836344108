"""Number format of the network's arithmetic: float32, or bfloat16 where the CPU has instructions for it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch

from LungNoduleSegLib.inference.engines.tolerance import BF16_TOLERANCE, FLOAT32_TOLERANCE, SHARE

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Precision:
    """A number format and why it was chosen."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    @property
    def tolerance(self) -> float:
        """Difference that 999 of 1,000 probabilities stay within, between two ways to compute in this format."""
        return FLOAT32_TOLERANCE if self.dtype == torch.float32 else BF16_TOLERANCE

    def context(self, device: torch.device):
        """Autocast to the format on the device; nothing for float32."""
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(device.type, self.dtype)


def cpu_features() -> dict[str, bool]:
    """Instruction sets of this CPU that decide speed."""
    def has(name: str) -> bool:
        probe = getattr(torch.cpu, name, None) or getattr(torch._C._cpu, name, None)
        return bool(probe and probe())

    return {
        "avx2": has("_is_avx2_supported"),
        "avx512": has("_is_avx512_supported"),
        "avx512_bf16": has("_is_avx512_bf16_supported"),
        "amx_bf16": has("_is_amx_tile_supported"),
    }


def gpu_half(device: torch.device) -> torch.dtype | None:
    """The half format that a CUDA device has units for, or None.

    torch says that it supports bfloat16 on older GPUs, too, where it emulates it and is slow.
    """
    if getattr(torch.version, "hip", None):
        return torch.bfloat16
    major, _ = torch.cuda.get_device_capability(device)
    if major >= 8:
        return torch.bfloat16
    return torch.float16 if major == 7 else None


def moved(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Difference of probabilities that 999 of 1,000 pixels stay within; NaN where fewer are numbers."""
    apart = (found - exact).abs().flatten()
    return float(apart.kthvalue(max(1, round(SHARE * apart.numel()))).values)


def difference(network: torch.nn.Module, tiles: torch.Tensor, precision: Precision) -> float:
    """Difference of probabilities from float32 that 999 of 1,000 pixels stay within."""
    with torch.inference_mode():
        exact = network(tiles).float().sigmoid()
        with precision.context(tiles.device):
            found = network(tiles).float().sigmoid()
        return moved(found, exact)


def choose_precision(network: torch.nn.Module, tiles: torch.Tensor, name: str = "auto") -> Precision:
    """Number format for a network in evaluation mode that lies on its device already.

    Parameters
    ----------
    tiles
        (n, slices, h, w) float32 on the same device: a plausible input to measure with.
    name
        "auto", "float32", "bfloat16" or "float16". "auto": on a GPU the half format that it has units for, on the CPU
        bfloat16 with AMX or AVX512-BF16 (on a processor with the latter a whole CT took 1.5 to 1.6 times less time than
        in float32), and either only within :data:`BF16_TOLERANCE`. Nothing is timed: the same machine always chooses
        the same format, so that a run can be repeated.
    """
    if name not in PRECISIONS:
        raise ValueError(f"Expected argument `precision` to be one of {PRECISIONS}, got {name!r}")
    if name != "auto":
        return Precision(getattr(torch, name), "asked for")
    if tiles.device.type == "mps":
        return Precision(torch.float32, "on this device")
    if tiles.device.type == "cuda":
        dtype, units = gpu_half(tiles.device), "the GPU has units for it"
        if dtype is None:
            return Precision(torch.float32, "the GPU has no units for a half format")
    else:
        features = cpu_features()
        found = next((f for f in ("amx_bf16", "avx512_bf16") if features[f]), None)
        if found is None:
            return Precision(torch.float32, "the CPU has neither AMX nor AVX512-BF16")
        dtype, units = torch.bfloat16, f"the CPU has {found}"
    half = Precision(dtype, units)
    try:
        apart = difference(network, tiles, half)
    except RuntimeError as error:
        return Precision(torch.float32, f"{half.name} failed ({str(error).splitlines()[0]})")
    if not apart <= BF16_TOLERANCE:  # float16 may overflow to NaN
        return Precision(torch.float32, f"{half.name} moves probabilities by {apart:.3f}")
    return half
