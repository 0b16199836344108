"""Number format of the network's arithmetic: float32, or bfloat16 where the CPU has instructions for it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch

BF16_TOLERANCE = 0.03
"""Difference of probabilities between bfloat16 and float32 that is accepted when a network is loaded, for 999 of 1,000
pixels. The few pixels left lie where the network is undecided: on tiles of two real scans 1 in 10,000 differed by more,
and masks cut at .5 had a Dice of .996 and more."""

BF16_SHARE = 0.999

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Precision:
    """A number format and why it was chosen."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

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


def difference(network: torch.nn.Module, tiles: torch.Tensor, precision: Precision) -> float:
    """Difference of probabilities from float32 that 999 of 1,000 pixels stay within."""
    with torch.inference_mode():
        exact = network(tiles).float().sigmoid()
        with precision.context(tiles.device):
            found = (network(tiles).float().sigmoid() - exact).abs().flatten()
        return float(found.kthvalue(max(1, round(BF16_SHARE * found.numel()))).values)


def choose_precision(network: torch.nn.Module, tiles: torch.Tensor, name: str = "auto") -> Precision:
    """Number format for a network in evaluation mode that lies on its device already.

    Parameters
    ----------
    tiles
        (n, slices, h, w) float32 on the same device: a plausible input to measure with.
    name
        "auto", "float32", "bfloat16" or "float16". "auto": bfloat16 or float16 on a GPU; on the CPU bfloat16 only with
        AMX or AVX512-BF16 (on a processor with the latter a whole CT took 1.5 to 1.6 times less time than in float32),
        and only within :data:`BF16_TOLERANCE`. Nothing is timed: the same machine always
        chooses the same format, so that a run can be repeated.
    """
    if name not in PRECISIONS:
        raise ValueError(f"Expected argument `precision` to be one of {PRECISIONS}, got {name!r}")
    if name != "auto":
        return Precision(getattr(torch, name), "asked for")
    if tiles.device.type == "mps":
        return Precision(torch.float32, "on this device")
    if tiles.device.type == "cuda":
        half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return Precision(half, "the GPU has units for it")
    features = cpu_features()
    units = next((f for f in ("amx_bf16", "avx512_bf16") if features[f]), None)
    if units is None:
        return Precision(torch.float32, "the CPU has neither AMX nor AVX512-BF16")
    half = Precision(torch.bfloat16, "")
    try:
        moved = difference(network, tiles, half)
        if moved > BF16_TOLERANCE:
            return Precision(torch.float32, f"bfloat16 moves probabilities by {moved:.3f}")
    except RuntimeError as error:
        return Precision(torch.float32, f"bfloat16 failed ({str(error).splitlines()[0]})")
    return Precision(torch.bfloat16, f"the CPU has {units}")
