"""Named runs: small changes of one composed configuration."""

from __future__ import annotations

from typing import Any

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import METHODS, Normalisation
from LungNoduleSegLib.networks import MEMBERS, NetworkConfig, member, scaled
from training.data.sampling_config import SamplingConfig
from training.engine.config import RunConfig

CROP_PX = 128


def network(name: str, width: int | None = None) -> NetworkConfig:
    """A named member, or the same at another width. InputError for a name that no member has."""
    if name not in MEMBERS:
        raise InputError(f"no network is called {name!r}", remedy=f"Choose one of: {', '.join(MEMBERS)}.")
    config = member(name)
    return config if width is None else scaled(config, width)


def run_config(
    name: str,
    *,
    samples: int,
    cooldown: int,
    tile_px: int = CROP_PX,
    width: int | None = None,
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
        network=network(name, width),
        normalisation=Normalisation(method=method, min_range=smallest),
        sampling=SamplingConfig(
            tile_px=tile_px, shift_px=shift, scan_share=scan_share, batch_size=batch_size, **(sampling or {})
        ),
        samples=samples,
        cooldown=cooldown,
        **others,
    )
