"""The studies at the thesis' own scale within a given time on one large GPU, the most telling first.

Every network that is trained sees the same number of images: as many as fit the time by the speeds that are measured
first. What is written is small (figures, one line an image, calibration, soft targets); weights of full width are not
kept.
"""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from LungNoduleSegLib.inference.normalise import normalise
from training.data.crops import Crops
from training.data.sampling import EIGHT_BIT_MIN_RANGE
from training.evaluate.crops import neighbours
from training.publish.looks import log_look
from training.sources import Sources
from training.studies import results
from training.studies.evaluation import BATCH, probabilities, window
from training.studies.fitting import NORMALISATION, images_a_second
from training.studies.plan import Run, Settings, plan
from training.studies.results import write_json
from training.studies.runner import Material, execute

BATCH_SIZE = 64
LEAST_SAMPLES = 60_000
"""With fewer images a full-width network is not yet worth comparing; then rather fewer networks are trained."""

MOST_SAMPLES = 400_000
RESERVE = 0.1
"""Share of the time kept back: speeds are measured on a few batches."""

SECONDS_A_RUN = 15.0
"""Validation, test and start of one run on a large GPU; a guess, corrected by the first runs."""

TEACHERS = ("B/model-1/seed-0", "A/encoder+bottleneck/seed-0")
SOFT_TARGETS = "soft_targets.npz"
PLAN = "full_scale.json"


@dataclass(frozen=True)
class Budget:
    """Which runs are made, and how many images each of them sees."""

    names: tuple[str, ...]
    samples: int
    seconds: float


def by_value(settings: Settings) -> list[Run]:
    """Model 1, model 2, then the rows of Tables D, A and C that are left, and the two networks of our own."""
    found: dict[str, Run] = {}
    for study, only in (("B", ("model-1", "model-2")), ("D", ()), ("A", ()), ("C", ()), ("extra", ())):
        for run in plan(study, settings, only):
            found.setdefault(run.name, run)
    return list(found.values())


def budget(
    rates: Sequence[tuple[str, float]],
    seconds: float,
    *,
    seconds_a_run: float = SECONDS_A_RUN,
    least: int = LEAST_SAMPLES,
    most: int = MOST_SAMPLES,
    multiple: int = BATCH_SIZE,
) -> Budget:
    """As many of the runs, from the first on, as can each see ``least`` images; then as many images as fit.

    ``rates`` are images a second by name, in order of value. The first run is always part of it, with fewer images if
    it must be.
    """
    usable = seconds * (1 - RESERVE)
    count = len(rates)

    def fitting(number: int) -> float:
        return max(0.0, usable - number * seconds_a_run) / sum(1 / rate for _, rate in rates[:number])

    while count > 1 and fitting(count) < least:
        count -= 1
    samples = int(min(fitting(count), most)) // multiple * multiple
    chosen = rates[:count]
    taken = sum(samples / rate for _, rate in chosen) + count * seconds_a_run
    return Budget(tuple(name for name, _ in chosen), max(samples, multiple), round(taken, 1))


def run_full(
    sources: Sources,
    folder: Path,
    seconds: float,
    *,
    settings: Settings | None = None,
    bundle: Path | None = None,
    least: int = LEAST_SAMPLES,
    seconds_a_run: float = SECONDS_A_RUN,
    say: Callable[[str], None] = print,
    clock: Callable[[], float] = time.monotonic,
    material: Material | None = None,
) -> Budget:
    """Measure, plan, run until the time is up, and pack; repeated, it keeps its plan and goes on.

    Returns
    -------
    The plan; ``folder/full_scale.json`` holds it too, with the measured speeds.
    """
    started = clock()
    data = material or Material(sources.crops(), sources.scans())
    settings = settings or Settings.at("full", batch_size=BATCH_SIZE)
    runs = [run for run in by_value(settings) if run.px <= data.px]
    chosen = _planned(runs, data, folder, lambda: seconds - (clock() - started), least, seconds_a_run, say)
    seen: dict[str, float] = {}
    networks: list[nn.Module] = []
    slowest = -math.inf  # the first is begun in any case
    for run in runs:
        if run.name not in chosen.names:
            continue
        before, left = clock(), seconds - (clock() - started)
        if left < slowest:
            say(f"{run.name}: not begun, {left:.0f} s are left")
            break
        run = replace(run, settings=replace(run.settings, samples=chosen.samples))
        keep = networks if run.name in TEACHERS else None
        facts = execute(run, lambda: data, folder, say, keep_weights=False, networks=keep)
        if facts is not None:
            seen[run.name] = facts["iou_pos"]
            slowest = max(slowest, clock() - before)
    if seen:
        log_look(sources.cache, "study full", {"iou_pos": seen, "scale": settings.scale})
    if networks and not (folder / SOFT_TARGETS).is_file():
        soft_targets(networks, data.crops, settings.px, folder / SOFT_TARGETS)
    if bundle is not None:
        say(f"{pack(folder, bundle)} bytes in {bundle}")
    return chosen


def _planned(
    runs: list[Run],
    data: Material,
    folder: Path,
    left: Callable[[], float],
    least: int,
    seconds_a_run: float,
    say: Callable[[str], None],
) -> Budget:
    path = folder / PLAN
    stored = results.read_json(path)
    if stored is not None:
        return Budget(tuple(stored["names"]), stored["samples"], stored["seconds"])
    measured: dict[str, float] = {}
    for run in runs:
        if _as_fast_as(run) not in measured:
            measured[_as_fast_as(run)] = images_a_second(run, data.crops, data.on_side("train"))
    rates = [(run.name, measured[_as_fast_as(run)]) for run in runs]
    size = runs[0].settings.batch_size
    chosen = budget(rates, left(), least=least, seconds_a_run=seconds_a_run, multiple=size)
    facts: dict[str, Any] = {"names": list(chosen.names), "samples": chosen.samples, "seconds": chosen.seconds}
    left_out = [run.name for run in runs if run.name not in chosen.names]
    write_json(path, {**facts, "left_out": left_out, "images_a_second": {n: round(r, 1) for n, r in rates}})
    say(f"{len(chosen.names)} of {len(runs)} networks, {chosen.samples} images each, about {chosen.seconds:.0f} s")
    return chosen


def _as_fast_as(run: Run) -> str:
    """Networks that differ in the places of scSE alone are measured once: the time belongs to training."""
    return "A" if run.study == "A" else f"{run.study}/{run.row}"


def soft_targets(networks: list[nn.Module], crops: Crops, px: int, path: Path) -> None:
    """Mean probability of the networks on the training side's positive crops, for distilling a compact member.

    ``index`` (n,) of the crops and ``probability`` uint8 (n, px, px), 255 for 1, compressed.
    """
    index = crops.on_side("train")
    index = index[crops.positive[index]]
    slices = networks[0].config.input_slices
    parts = []
    for start in range(0, len(index), BATCH):
        images = window(neighbours(crops, index[start : start + BATCH], slices), px)
        x = normalise(images, NORMALISATION, min_range=EIGHT_BIT_MIN_RANGE)
        mean = np.mean([probabilities(network.eval(), x) for network in networks], axis=0)
        parts.append(np.rint(mean * 255).astype(np.uint8))
    np.savez_compressed(path, index=index, probability=np.concatenate(parts))


def pack(folder: Path, bundle: Path) -> int:
    """Figures, images, calibration and soft targets of a results folder as one zip file; returns its bytes."""
    wanted = (results.RUN, results.IMAGES, results.CALIBRATION, results.TRIAL, PLAN, SOFT_TARGETS)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.name in wanted):
            archive.write(path, path.relative_to(folder).as_posix())
    return bundle.stat().st_size
