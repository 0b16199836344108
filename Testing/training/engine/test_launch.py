"""Jobs through submitit on this computer: arguments arrive, tasks find each other, a job that is cut off goes on."""

from __future__ import annotations

import os
import sys

import pytest

from LungNoduleSegLib.errors import InputError
from training.engine.config import EngineConfig
from training.engine.launch import Resumable, SlurmConfig, executor, submit

submitit = pytest.importorskip("submitit", reason="submitit is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # submitit's open logs
CPU = EngineConfig(accelerator="cpu")


def twice(number: int) -> int:
    return 2 * number


def place() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "MASTER_ADDR")}


def test_a_job_gets_its_arguments(tmp_path):
    job = submit(twice, tmp_path / "logs", CPU, SlurmConfig(cluster="debug"), number=21)
    assert job.result() == 42
    assert "LOCAL_RANK" not in os.environ, "a job of one task needs no process group"


def test_a_job_that_is_cut_off_is_queued_again_with_the_same_arguments(tmp_path):
    again = Resumable(twice, number=21).checkpoint()
    job = executor(tmp_path / "logs", CPU, SlurmConfig(cluster="debug")).submit(again.function)
    assert job.result() == 42


@pytest.mark.slow
def test_the_tasks_of_a_job_know_their_ranks(tmp_path):
    two = EngineConfig(accelerator="cpu", devices=2)
    job = submit(place, tmp_path / "logs", two, SlurmConfig(cluster="local", hours=0.1, cpus=1))
    found = job.results()
    assert [task["RANK"] for task in found] == [task["LOCAL_RANK"] for task in found] == ["0", "1"]
    assert {task["WORLD_SIZE"] for task in found} == {"2"}
    assert {task["NODE_RANK"] for task in found} == {"0"}


@pytest.mark.slow
def test_a_run_over_two_tasks(tmp_path):
    from Testing.training.engine import two_processes
    from training.engine import checkpoint

    two = EngineConfig(accelerator="cpu", devices=2)
    folder = tmp_path / "run"
    job = submit(
        two_processes.run, tmp_path / "logs", two, SlurmConfig(cluster="local", hours=0.1, cpus=1),
        folder=str(folder), devices=2,
    )  # fmt: skip
    job.results()
    assert checkpoint.load_run(folder / "last.pt")["step"] == 4


def test_without_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no SLURM here"):
        executor(tmp_path / "logs", CPU, SlurmConfig(partition="gpu"))


def test_what_slurm_is_asked_for(tmp_path, monkeypatch):
    """The script that would go to sbatch, by an sbatch of our own."""
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(f"#!{sys.executable}\nprint('Submitted batch job 7')\n")
    sbatch.chmod(0o755)
    for name in ("srun", "scontrol"):
        (sbatch.parent / name).symlink_to(sbatch)
    monkeypatch.setenv("PATH", f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
    logs = tmp_path / "run-7"
    engine = EngineConfig(accelerator="cuda", devices=4, nodes=2)
    job = submit(twice, logs, engine, SlurmConfig(partition="gpu", hours=1.5, cpus=3), number=1)
    assert job.job_id == "7"
    script = next(logs.glob("*submission*.sh")).read_text()
    for wanted in (
        "--partition=gpu", "--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--cpus-per-task=3", "--time=90",
        "--job-name=run-7", "--signal=USR2",
    ):  # fmt: skip
        assert wanted in script, wanted


@pytest.mark.parametrize("wrong", [{"cluster": "cloud"}, {"hours": 0}, {"cpus": 0}])
def test_wrong_requests(wrong):
    with pytest.raises(InputError, match="Expected"):
        SlurmConfig(**wrong)
