"""From studies to runs: which networks are trained how often, each once, the most telling first."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.networks import NetworkConfig
from training.baselines import BaselineConfig
from training.data.split import check_protocol
from training.studies.definitions import MANY_SEEDS, STUDIES, Row, home, rows

ALL = "all"
COMPACT_WIDTH, COMPACT_PX, COMPACT_SAMPLES = 8, 64, 12_000
FULL_PX, FULL_SAMPLES = 128, 200_000
COOLDOWN_SHARE = 0.75

# Of two runs with the same seed number, the one further left tells more.
_BY_VALUE = ("A", "B", "D", "extra", "C", "A-slice")


@dataclass(frozen=True)
class Settings:
    """How a study is run; the same for every row of it, so that rows can be compared.

    ``width`` counts only at compact scale. ``samples`` images are seen in every run, over the last three quarters of
    which the learning rate falls to zero. ``seeds`` None takes each row's own number at compact scale, one at full.
    """

    scale: str = "compact"
    protocol: str = "patient"
    samples: int = COMPACT_SAMPLES
    width: int = COMPACT_WIDTH
    px: int = COMPACT_PX
    batch_size: int = 16
    learning_rate: float = 1e-3
    scan_share: float = 0.25
    seeds: int | None = None

    def __post_init__(self) -> None:
        check_protocol(self.protocol)
        if self.scale not in ("compact", "full"):
            raise InputError(f"no scale {self.scale!r}", remedy="Choose compact or full.")
        if self.samples < self.batch_size:
            raise InputError(f"{self.samples} images are fewer than a batch", remedy=f"At least {self.batch_size}.")
        if self.seeds is not None and self.seeds < 1:
            raise InputError("a study needs at least one seed")

    @classmethod
    def at(cls, scale: str, **changes: Any) -> Settings:
        """Defaults of a scale; changes that are None are left out."""
        own = {"samples": FULL_SAMPLES, "px": FULL_PX} if scale == "full" else {}
        return cls(scale=scale, **{**own, **{k: v for k, v in changes.items() if v is not None}})

    @property
    def cooldown(self) -> int:
        return round(self.samples * COOLDOWN_SHARE)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """One network trained once. ``study`` and ``row`` name its home."""

    study: str
    row: str
    seed: int
    protocol: str
    network: NetworkConfig | BaselineConfig
    px: int
    settings: Settings

    @property
    def name(self) -> str:
        return f"{self.study}/{self.row}/seed-{self.seed}"

    def folder(self, results: Path) -> Path:
        return results / self.study / self.row / f"seed-{self.seed}"


def runs_of(row: Row, settings: Settings) -> list[Run]:
    """The runs behind one row."""
    study, name = home(row, px=settings.px, protocol=settings.protocol)
    protocol = row.protocol or settings.protocol
    px = row.px or settings.px
    network = row.at(scale=settings.scale, width=settings.width, px=px)
    count = settings.seeds or (1 if settings.scale == "full" else _own_seeds(study, name, protocol, row))
    return [Run(study, name, seed, protocol, network, px, replace(settings, seeds=None)) for seed in range(count)]


def _own_seeds(study: str, name: str, protocol: str, row: Row) -> int:
    """Seeds of the row at home, so that every table shows the same runs of it; two on the leaky split."""
    if protocol == "slice":
        return 2
    return next((r.seeds for r in STUDIES[study] if r.name == name), row.seeds)


def plan(study: str, settings: Settings, only: tuple[str, ...] = ()) -> list[Run]:
    """Runs of a study, or of ``all``, each once: first the first seed of every row, then the second.

    ``only`` keeps rows of these names. InputError for a study or a row that is not there.
    """
    chosen = [row for name in (STUDIES if study == ALL else (study,)) for row in rows(name)]
    unknown = set(only) - {row.name for row in chosen}
    if unknown:
        listed = ", ".join(dict.fromkeys(row.name for row in chosen))
        raise InputError(f"study {study} has no row {', '.join(sorted(unknown))}", remedy=f"Choose out of: {listed}.")
    found: dict[str, Run] = {}
    for row in chosen:
        if not only or row.name in only:
            for run in runs_of(row, settings):
                found.setdefault(run.name, run)
    return sorted(found.values(), key=_value) if study == ALL else sorted(found.values(), key=lambda run: run.seed)


def _value(run: Run) -> tuple[int, int]:
    if run.study not in _BY_VALUE:  # a whole study on the other split: after everything
        return MANY_SEEDS, 0
    # The gap between the splits is told by few seeds; the rows of the tables come first.
    return run.seed + (run.protocol == "slice"), _BY_VALUE.index(run.study)
