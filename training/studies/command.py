"""A whole study in one process: its plan, its runs, its trials and costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from LungNoduleSegLib.errors import InputError
from training.publish.looks import log_look
from training.sources import Sources
from training.studies.costs import measure
from training.studies.definitions import NEEDS
from training.studies.plan import ALL, Run, Settings, plan
from training.studies.results import TRIAL
from training.studies.runner import Material, execute
from training.studies.trial import trial

WIDEST_CROP_PX = 128
"""The public crops; data prepared from complete scans may hold wider ones."""


def run_study(
    study: str,
    settings: Settings,
    sources: Sources,
    folder: Path,
    *,
    only: tuple[str, ...] = (),
    share: tuple[int, int] = (0, 1),
    dry_run: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Every run of a study that is not finished; the look at the test patients is logged as one line.

    ``share`` (k, n) does every n-th run from the k-th on (counted from 0), beside other processes that do the rest.
    InputError, after all else is done, for runs that failed.
    """
    runs = plan(study, settings, only)[share[0] :: share[1]]
    if dry_run:
        for run in runs:
            say(f"{run.name}: {run.px} px, split by {run.protocol}, {run.settings.samples} images")
        return

    @lru_cache(maxsize=1)
    def material() -> Material:
        return Material(sources.crops(), sources.scans())

    seen: dict[str, float] = {}
    failed: list[str] = []
    try:
        for number, run in enumerate(runs, start=1):
            say(f"[{number}/{len(runs)}] {run.name}")
            if run.px > WIDEST_CROP_PX and run.px > material().px:
                _try_once(run, material, folder, say)
                continue
            try:
                facts = execute(run, material, folder, say)
            except Exception as error:  # hours of other runs need not wait for this one to be understood
                say(f"{run.name} failed: {type(error).__name__}: {error}")
                failed.append(run.name)
                continue
            if facts is not None:
                seen[run.name] = facts["iou_pos"]
    finally:
        if seen:
            log_look(sources.cache, f"study {study}", {"iou_pos": seen, "scale": settings.scale})
    if study in ("E", ALL) and share[0] == 0:
        measure(folder, say=say, only=only)
    if failed:
        raise InputError(f"not finished: {', '.join(failed)}", remedy="See above; the same command goes on with them.")


def _try_once(run: Run, material: Callable[[], Material], folder: Path, say: Callable[[str], None]) -> None:
    if run.seed == 0 and not (folder / run.study / run.row / TRIAL).is_file():
        facts = trial(run, material(), folder)
        say(f"{run.study}/{run.row}: {NEEDS}; tried on {facts['tried_on']}, losses {facts['losses']}")
    elif run.seed == 0:
        say(f"{run.study}/{run.row}: {NEEDS}; tried before")
