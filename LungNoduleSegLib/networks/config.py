"""What a member of the family is, as data: places of attention, widths, input."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

FULL_WIDTHS = (64, 128, 256, 512, 1024)
SCSE_PLACES = ("encoder", "bottleneck", "decoder")
STRIDE = 16
"""Four poolings by two: heights and widths must be multiples of this."""
FUSION_DILATIONS = (2, 3, 4)
"""Dilation of the three 3x3 branches beside the 1x1 one; the parameter counts leave the rates open, these are ours."""
SCSE_REDUCTION = 16
"""Channels of an excitation for each one of its squeezed layer."""
VIT_MLP_RATIO = 4
"""Width of a transformer block's hidden layer for each channel of its tokens."""
VIT_NORM_EPS = 1e-6
"""What a layer norm adds to the variance, as in ViT."""


@dataclass(frozen=True)
class ViTConfig:
    """Size of the transformer: token width, number of blocks, number of attention heads."""

    dim: int = 768
    depth: int = 6
    heads: int = 12

    def __post_init__(self) -> None:
        if min(self.dim, self.depth, self.heads) < 1 or self.dim % self.heads:
            raise ValueError(f"Expected argument `vit` to have a dim that is a multiple of its heads, got {self}")


@dataclass(frozen=True)
class NetworkConfig:
    """One member of the residual U-Net family.

    Parameters
    ----------
    widths
        Channels of the five levels, from full resolution down.
    scse
        Places with scSE, out of "encoder", "bottleneck", "decoder" (Table A of the thesis).
    vit
        Transformer at the bottleneck, or None.
    input_slices
        Neighbouring slices given as channels: 1 as in the thesis, or an odd number; the middle one is segmented.
    input_px
        Height and width that the position embedding is learned for; without ViT any multiple of 16 is served.
    fusion, shortcuts
        False removes the multi-scale fusion or the residual shortcuts (for ablation).
    """

    widths: tuple[int, ...] = FULL_WIDTHS
    scse: tuple[str, ...] = ()
    vit: ViTConfig | None = None
    input_slices: int = 1
    input_px: int = 128
    fusion: bool = True
    shortcuts: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(int(w) for w in self.widths))
        if len(self.widths) != 5 or min(self.widths) < 1 or any(w % 2 for w in self.widths[1:]):
            raise ValueError(
                f"Expected argument `widths` to be five widths, even from the second on, got {self.widths}"
            )
        if any(2 * a != b for a, b in zip(self.widths, self.widths[1:])):
            # A fusion halves the channels and its output meets the skip of the level above.
            raise ValueError(f"Expected argument `widths` to double from level to level, got {self.widths}")
        places = set(self.scse)
        if not places <= set(SCSE_PLACES):
            raise ValueError(f"Expected argument `scse` to name places out of {SCSE_PLACES}, got {self.scse}")
        object.__setattr__(self, "scse", tuple(p for p in SCSE_PLACES if p in places))
        if self.input_slices < 1 or self.input_slices % 2 == 0:
            raise ValueError(f"Expected argument `input_slices` to be odd and positive, got {self.input_slices}")
        if self.input_px < STRIDE or self.input_px % STRIDE:
            raise ValueError(f"Expected argument `input_px` to be a multiple of {STRIDE}, got {self.input_px}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for a model card."""
        data = asdict(self)
        data["widths"], data["scse"] = list(self.widths), list(self.scse)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkConfig:
        """Inverse of `to_dict`; raises ValueError for keys that this version does not know."""
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(
                f"Expected architecture keys out of {[f.name for f in fields(cls)]}, got {sorted(unknown)}"
            )
        data = dict(data)
        if data.get("vit") is not None:
            unknown = set(data["vit"]) - {f.name for f in fields(ViTConfig)}
            if unknown:
                known = [f.name for f in fields(ViTConfig)]
                raise ValueError(f"Expected architecture keys of `vit` out of {known}, got {sorted(unknown)}")
            data["vit"] = ViTConfig(**data["vit"])
        if "scse" in data:
            data["scse"] = tuple(data["scse"])
        return cls(**data)
