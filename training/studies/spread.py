"""A study's runs over several processes: on the GPUs of this computer, or as a SLURM array."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from LungNoduleSegLib.errors import InputError
from training.sources import Sources
from training.studies.plan import Settings


@dataclass(frozen=True)
class Job:
    """Every ``of``-th run of a study, from run ``number`` on (counted from 0): what one process does."""

    study: str
    settings: Settings
    sources: Sources
    folder: Path
    only: tuple[str, ...]
    number: int
    of: int
    threads: int | None = None
    one_gpu: bool = False

    def __call__(self) -> None:
        """Run it; here, or where SLURM starts it."""
        if self.one_gpu:
            self._take_one_gpu()
        import torch

        from training.studies.command import run_study

        if self.threads:
            torch.set_num_threads(self.threads)
        torch.set_flush_denormal(True)
        run_study(
            self.study, self.settings, self.sources, self.folder, only=self.only, share=(self.number, self.of)
        )  # fmt: skip

    def _take_one_gpu(self) -> None:
        """Of the GPUs that this process may see, leave it one; before anything is computed there."""
        import torch

        count = torch.cuda.device_count()
        if count:
            seen = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
            os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[self.number % count]


def options(pairs: tuple[str, ...]) -> dict[str, str | int]:
    """``KEY=VALUE`` pairs for submitit ("partition=gpu", "timeout_min=60"), prefixed as it wants them.

    Raises
    ------
    InputError
        For what is no pair.
    """
    known = ("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb", "nodes", "name")
    found: dict[str, str | int] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"a SLURM option is KEY=VALUE, got {pair!r}", remedy="For example partition=gpu.")
        found[key if key in known else f"slurm_{key}"] = int(value) if value.isdigit() else value
    return found


def spread(
    jobs: list[Job], folder: Path, *, slurm: tuple[str, ...] | None = None, say: Callable[[str], None] = print
) -> None:
    """Start the jobs and, on this computer, wait for them; on SLURM they are one array and this returns.

    Logs lie in ``folder``. A job that was stopped by its time limit is repeated by the same command: it goes on.

    Raises
    ------
    InputError
        When there is no SLURM here, or a job on this computer failed.
    """
    import submitit

    if slurm is not None:
        try:
            executor = submitit.AutoExecutor(folder, cluster="slurm")
        except RuntimeError as error:
            raise InputError(f"no SLURM here ({error})", remedy="Leave --slurm out: --jobs runs here.") from error
        executor.update_parameters(**{"name": "study", **options(slurm)})
        submitted = executor.map_array(_run, jobs)
        say(f"SLURM array of {len(submitted)}: {', '.join(job.job_id for job in submitted)}; logs in {folder}")
        return
    here = submitit.LocalExecutor(folder)
    here.update_parameters(timeout_min=60 * 24 * 30)
    running = [here.submit(job) for job in jobs]
    say(f"{len(running)} processes; logs in {folder}")
    failed = [number for number, job in enumerate(running) if job.exception() is not None]
    if failed:
        raise InputError(f"process {', '.join(map(str, failed))} failed", path=folder, remedy="See its log.")


def _run(job: Job) -> None:
    job()
