"""Named runs: small changes of one composed configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import METHODS, Normalisation
from LungNoduleSegLib.networks import MEMBERS, NetworkConfig, member, scaled
from training.data.sampling_config import SamplingConfig
from training.engine.config import RunConfig

CROP_PX = 128


def network(name: str, width: int | None = None, slices: int | None = None) -> NetworkConfig:
    """A named member, or the same at another width or with more or fewer neighbouring slices.

    InputError for a name that no member has, and for a number of slices that has no middle one.
    """
    if name not in MEMBERS:
        raise InputError(f"no network is called {name!r}", remedy=f"Choose one of: {', '.join(MEMBERS)}.")
    config = member(name)
    if width is not None:
        config = scaled(config, width)
    if slices is None:
        return config
    if slices < 1 or slices % 2 == 0:
        raise InputError(f"{slices} slices have no middle one", remedy="Give an odd number, such as 1, 3 or 5.")
    return replace(config, input_slices=slices)


def run_config(
    name: str,
    *,
    samples: int,
    cooldown: int,
    tile_px: int = CROP_PX,
    width: int | None = None,
    slices: int | None = None,
    method: str = "percentile",
    scan_share: float = 0.4,
    batch_size: int = 16,
    sampling: dict[str, Any] | None = None,
    **others: Any,
) -> RunConfig:
    """Configuration of a run of one member; ``others`` as in `RunConfig`, ``sampling`` as in `SamplingConfig`.

    A window below 128 px moves within the crop; at 128 px what a shift uncovers is reflected.
    """
    if method not in METHODS:
        raise InputError(f"no normalisation is called {method!r}", remedy=f"Choose one of: {', '.join(METHODS)}.")
    shift = 32 if tile_px == CROP_PX else 16
    smallest = 25.0 if method == "zscore" else 100.0  # HU: standard deviation, or range
    return RunConfig(
        network=network(name, width, slices),
        normalisation=Normalisation(method=method, min_range=smallest),
        sampling=SamplingConfig(
            tile_px=tile_px, shift_px=shift, scan_share=scan_share, batch_size=batch_size, **(sampling or {})
        ),
        samples=samples,
        cooldown=cooldown,
        **others,
    )
