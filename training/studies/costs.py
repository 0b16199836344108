"""Table E: seconds, parameters and size of the networks, at full scale whatever the scale of the training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from LungNoduleSegLib.networks import NetworkConfig, count_parameters
from LungNoduleSegLib.report.record import cpu_name, versions
from training.baselines import BaselineConfig
from training.engine.architecture import build_any
from training.studies.definitions import STUDIES, Row
from training.studies.fitting import milliseconds_an_image
from training.studies.results import write_json

FILE = "cost.json"
PX = 128
REPEATS = 5
MIB = 2**20
BYTES = 4


@dataclass(frozen=True)
class Cost:
    """Of one network. ``gflop`` of one image, a multiply-accumulate as two; ``mib`` of float32 weights, 2^20 bytes.

    ``called_parameters`` are those that ``torchsummary`` counts and the thesis prints.
    """

    parameters: int
    called_parameters: int
    mib: float
    gflop: float
    ms_per_image: float
    px: int
    device: str
    threads: int


def costed_rows() -> list[Row]:
    """Both models first, then every other network of the studies once."""
    found = list(STUDIES["E"])
    seen = [row.network for row in found]
    for study in ("A", "D", "extra"):
        for row in STUDIES[study]:
            if row.network not in seen:
                seen.append(row.network)
                found.append(row)
    return found


def cost(network: NetworkConfig | BaselineConfig, *, device: str = "cpu", repeats: int = REPEATS) -> Cost:
    """Measured on fresh weights (time does not depend on their values)."""
    model = build_any(network).to(device, memory_format=torch.channels_last).eval()
    parameters = count_parameters(model)
    slices, px = network.input_slices, network.input_px
    return Cost(
        parameters,
        count_parameters(model, called_layers_only=True),
        round(parameters * BYTES / MIB, 2),
        round(gigaflop(model, slices, px), 3),
        round(milliseconds_an_image(model, slices, px, repeats=repeats), 2),
        px,
        device,
        torch.get_num_threads(),
    )


def gigaflop(model: nn.Module, slices: int, px: int) -> float:
    """10^9 floating point operations of one image, counted while it passes."""
    from torch.utils.flop_counter import FlopCounterMode

    device = next(model.parameters()).device
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, slices, px, px, device=device))
    return counter.get_total_flops() / 1e9


def measure(folder: Path, *, say: Callable[[str], None] = print, only: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """``E/ROW/cost.json`` of every network, those that are there left alone; returns the new ones."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    done = []
    for row in costed_rows():
        path = folder / "E" / row.name / FILE
        if path.is_file() or (only and row.name not in only):
            continue
        found = cost(row.at(scale="full", width=0, px=PX), device=device)
        facts = {"study": "E", "row": row.name, "title": row.title, **asdict(found), "cpu": cpu_name(),
                 "versions": versions()}  # fmt: skip
        write_json(path, facts)
        say(f"E/{row.name}: {found.parameters:,} parameters, {found.gflop} GFLOP, {found.ms_per_image} ms on {device}")
        done.append(facts)
    return done
