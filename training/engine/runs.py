"""Named runs: small changes of one composed configuration."""

from __future__ import annotations

from dataclasses import replace

from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks import NetworkConfig, member, scaled
from training.data.sampling import SamplingConfig
from training.engine.config import RunConfig

CROP_PX = 128


def network(name: str, width: int | None = None) -> NetworkConfig:
    """A named member, or the same at another width."""
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
    learning_rate: float = 1e-3,
    scan_share: float = 0.4,
    seed: int = 0,
) -> RunConfig:
    """Configuration of a run of one member of the family.

    A window below 128 px moves within the crop; at 128 px what a shift uncovers is reflected.
    """
    sampling = SamplingConfig(tile_px=tile_px, shift_px=32 if tile_px == CROP_PX else 16, scan_share=scan_share)
    smallest = 25.0 if method == "zscore" else 100.0  # HU: standard deviation, or range
    return RunConfig(
        network=network(name, width),
        normalisation=Normalisation(method=method, min_range=smallest),
        sampling=sampling,
        samples=samples,
        cooldown=cooldown,
        learning_rate=learning_rate,
        seed=seed,
    )


def with_mining(config: RunConfig, every: int) -> RunConfig:
    """The same run, searching the training scans for false positives every so many samples (0: never)."""
    return replace(config, mine_every=every)
