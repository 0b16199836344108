"""What a baseline is, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

BASELINES = ("unet", "attention-unet", "transunet")
SCALES = ("full", "compact")
STRIDE = 16


@dataclass(frozen=True)
class BaselineConfig:
    """One baseline at one scale.

    Parameters
    ----------
    baseline
        "unet" (MONAI's BasicUNet), "attention-unet" (MONAI's AttentionUnet) or "transunet" (R50 + ViT-B/16 of timm).
    scale
        "full" as published, or "compact": a quarter of every width (U-Nets at 16 to 256 channels, TransUNet with a
        quarter of its ResNet's and decoder's widths and a ViT of 192 x 6).
    input_slices
        Neighbouring slices given as channels; the middle one is segmented. TransUNet sees a single one three times.
    input_px
        Height and width of the input. TransUNet takes no other; the U-Nets any multiple of 16.
    pretrained
        Start the full TransUNet's encoder from timm's ImageNet-21k weights (downloaded by timm) instead of from
        scratch.
    """

    baseline: str
    scale: str = "full"
    input_slices: int = 1
    input_px: int = 128
    pretrained: bool = False

    def __post_init__(self) -> None:
        if self.baseline not in BASELINES:
            raise ValueError(f"Expected argument `baseline` to be one of {BASELINES}, got {self.baseline!r}")
        if self.scale not in SCALES:
            raise ValueError(f"Expected argument `scale` to be one of {SCALES}, got {self.scale!r}")
        if self.input_slices < 1 or self.input_slices % 2 == 0:
            raise ValueError(f"Expected argument `input_slices` to be odd and positive, got {self.input_slices}")
        if self.input_px < STRIDE or self.input_px % STRIDE:
            raise ValueError(f"Expected argument `input_px` to be a multiple of {STRIDE}, got {self.input_px}")
        fitting = self.baseline == "transunet" and self.scale == "full" and self.input_slices in (1, 3)
        if self.pretrained and not fitting:
            raise ValueError("Expected argument `pretrained` only for the full TransUNet with 1 or 3 slices")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; the key "baseline" tells it from a `NetworkConfig`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BaselineConfig:
        """Inverse of `to_dict`; raises ValueError for keys that this version does not know."""
        known = [f.name for f in fields(cls)]
        unknown = set(data) - set(known)
        if unknown:
            raise ValueError(f"Expected baseline keys out of {known}, got {sorted(unknown)}")
        return cls(**data)
