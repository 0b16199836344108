"""Runs on a SLURM cluster through submitit: one task a GPU, on many nodes, queued again when cut off."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LungNoduleSegLib.errors import InputError
from training.engine.config import EngineConfig

if TYPE_CHECKING:
    import submitit

CLUSTERS = ("slurm", "local", "debug")


@dataclass(frozen=True)
class SlurmConfig:
    """What is asked of the cluster.

    Parameters
    ----------
    partition
        Where to queue; empty takes the cluster's default.
    hours
        Longest time until the job is cut off; it is then queued again and goes on.
    cpus
        Processor cores a task.
    memory_gb
        Memory a node, or None for the cluster's default.
    cluster
        "slurm"; "local" and "debug" run on this computer, in processes of their own or in this one.
    """

    partition: str = ""
    hours: float = 24.0
    cpus: int = 8
    memory_gb: float | None = None
    cluster: str = "slurm"

    def __post_init__(self) -> None:
        if self.cluster not in CLUSTERS:
            raise InputError(f"Expected argument `cluster` to be one of {CLUSTERS}, got {self.cluster!r}")
        if self.hours <= 0 or self.cpus < 1:
            raise InputError(f"Expected hours above 0 and at least one core, got {self.hours} and {self.cpus}")


class Resumable:
    """A call that may be cut off and made again: it finds by itself how far it was.

    ``function`` must be importable where the job runs, with arguments that can be pickled.
    """

    def __init__(self, function: Callable[..., Any], /, **arguments: Any):
        self.function, self.arguments = function, arguments

    def __call__(self) -> Any:
        join_tasks()
        return self.function(**self.arguments)

    def checkpoint(self) -> Any:
        """Called by submitit when the job is pre-empted or out of time: the same once more."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(Resumable(self.function, **self.arguments))


def join_tasks() -> None:
    """Tell torch where the other tasks of this job are; nothing for a job of one task."""
    import submitit

    job = submitit.JobEnvironment()
    if job.num_tasks > 1 and "LOCAL_RANK" not in os.environ:
        submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False)
        os.environ["NODE_RANK"] = str(job.node)


def executor(folder: Path, engine: EngineConfig, slurm: SlurmConfig, name: str = "training") -> submitit.Executor:
    """submitit's executor for runs of that shape; its logs go to ``folder``. InputError where there is no SLURM."""
    try:
        import submitit
    except ImportError:
        remedy = "pip install submitit (not on Windows)."
        raise InputError("submitit, which talks to SLURM, is not installed", remedy=remedy) from None
    try:
        found = submitit.AutoExecutor(folder=folder, cluster=slurm.cluster)
    except RuntimeError as error:
        raise InputError(f"no SLURM here ({error})", remedy="Submit from a login node of the cluster.") from error
    gpus = 0 if engine.accelerator == "cpu" else engine.devices
    found.update_parameters(
        name=name, nodes=engine.nodes, tasks_per_node=engine.devices, cpus_per_task=slurm.cpus,
        timeout_min=max(1, round(60 * slurm.hours)), gpus_per_node=gpus if slurm.cluster == "slurm" else 0,
        **_optional(slurm),
    )  # fmt: skip
    return found


def _optional(slurm: SlurmConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if slurm.memory_gb is not None:
        found["mem_gb"] = slurm.memory_gb
    if slurm.partition:
        found["slurm_partition"] = slurm.partition
    return found


def submit(
    function: Callable[..., Any], logs: Path, engine: EngineConfig, slurm: SlurmConfig, /, **arguments: Any
) -> submitit.Job:
    """Queue one run; every task of the job calls ``function(**arguments)``, its output goes to the folder ``logs``."""
    name = logs.parent.name if logs.name == "slurm" else logs.name
    return executor(logs, engine, slurm, name).submit(Resumable(function, **arguments))
