"""``python -m training study``: shared rows once, shares of several processes, looks logged, failures survived."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from LungNoduleSegLib.errors import InputError
from training.cli.app import app
from training.publish.looks import FILE
from training.sources import Sources
from training.studies import command, costs, spread
from training.studies.command import run_study
from training.studies.plan import Settings, plan
from training.studies.runner import Material
from training.studies.spread import Job, options

TINY = Settings(samples=4, batch_size=4, width=2, px=32, seeds=1)


@pytest.fixture
def sources(material: Material, tmp_path, monkeypatch) -> Sources:
    """Sources that give the small material."""
    monkeypatch.setattr(Sources, "crops", lambda self: material.crops)
    monkeypatch.setattr(Sources, "scans", lambda self: material.scans)
    return Sources(tmp_path / "data", tmp_path / "cache")


def finished(folder) -> set[str]:
    return {path.parent.relative_to(folder).as_posix() for path in folder.rglob("run.json")}


def test_rows_that_tables_share_are_trained_once(sources: Sources, tmp_path):
    """Table B needs Table A's encoder and encoder+bottleneck; Table E and `extra` need nothing more of the models."""
    said: list[str] = []
    run_study("B", TINY, sources, tmp_path / "r", say=said.append)
    expected = {"A/encoder/seed-0", "A/encoder+bottleneck/seed-0", "B/model-1/seed-0"}
    assert finished(tmp_path / "r") == expected
    said.clear()
    run_study("A", TINY, sources, tmp_path / "r", only=("encoder",), say=said.append)
    run_study("D", TINY, sources, tmp_path / "r", only=("model-1", "model-2"), say=said.append)
    assert finished(tmp_path / "r") == expected
    assert sum("finished before" in line for line in said) == 3


def test_a_study_is_one_look_at_the_test_patients(sources: Sources, tmp_path):
    for _ in range(2):  # the second time nothing is looked at
        run_study("extra", TINY, sources, tmp_path / "r", say=lambda line: None)
    (line,) = [json.loads(text) for text in (sources.cache / FILE).read_text().splitlines()]
    assert line["run"] == "study extra"
    assert set(line["figures"]["iou_pos"]) == finished(tmp_path / "r")


def test_shares_are_disjoint_and_complete(sources: Sources, tmp_path):
    folders = [tmp_path / str(n) for n in range(2)]
    rows = ("none@patient", "encoder+bottleneck@patient")
    for number, folder in enumerate(folders):
        run_study("leakage", TINY, sources, folder, share=(number, 2), only=rows, say=lambda line: None)
    one, other = (finished(folder) for folder in folders)
    assert not one & other and one | other == {"A/none/seed-0", "A/encoder+bottleneck/seed-0"}


def test_one_failed_run_does_not_hold_up_the_others(sources: Sources, tmp_path, monkeypatch):
    execute = command.execute

    def fragile(run, *args):
        if run.row == "encoder":
            raise RuntimeError("no memory")
        return execute(run, *args)

    monkeypatch.setattr(command, "execute", fragile)
    said: list[str] = []
    with pytest.raises(InputError, match=r"not finished: A/encoder/seed-0"):
        run_study("B", TINY, sources, tmp_path / "r", say=said.append)
    assert "A/encoder/seed-0 failed: RuntimeError: no memory" in said
    assert finished(tmp_path / "r") == {"A/encoder+bottleneck/seed-0", "B/model-1/seed-0"}


def test_sizes_that_the_crops_lack_become_trials(sources: Sources, tmp_path, monkeypatch):
    tried: list[str] = []

    def trial(run, material, folder):
        tried.append(f"{run.study}/{run.row}")
        return {"tried_on": "a scan", "losses": [1.0]}

    monkeypatch.setattr(command, "trial", trial)
    said: list[str] = []
    run_study("C", replace(TINY, px=64), sources, tmp_path / "r", only=("512px", "256px"), say=said.append)
    assert tried == ["C/512px", "C/256px"]
    assert any(line.startswith("C/512px: needs the full data set") for line in said)
    assert not finished(tmp_path / "r")


def test_costs_name_every_network_once():
    rows = costs.costed_rows()
    assert [row.name for row in rows[:2]] == ["model-1", "model-2"]
    networks = [row.network for row in rows]
    assert len(set(networks)) == len(networks) == 14  # 8 placements, model 1, 3 baselines, 2 of our own


def test_cost_of_a_small_network():
    """FLOPs of a convolution by hand: the head's 1x1 from 2 channels, 32 x 32 px, is 2 x 2 x 1024."""
    from torch import nn

    assert costs.gigaflop(nn.Conv2d(2, 1, 1), 2, 32) == pytest.approx(2 * 2 * 32 * 32 / 1e9)
    found = costs.cost(plan("A", TINY)[0].network, repeats=1)
    assert found.parameters == found.called_parameters > 0
    assert found.mib == pytest.approx(found.parameters * 4 / 2**20, abs=0.01)
    assert found.ms_per_image > 0


def test_full_scale_cost_is_what_the_spec_says():
    """Model 2 costs 40.4 GFLOP at 128 px; counted without memory."""
    import torch

    from training.engine.architecture import build_any

    model_2 = next(row for row in costs.costed_rows() if row.name == "model-2")
    with torch.device("meta"):
        network = build_any(model_2.at(scale="full", width=0, px=128))
    assert costs.gigaflop(network, 1, 128) == pytest.approx(40.4, abs=0.1)


def test_slurm_options():
    assert options(("partition=gpu", "timeout_min=60", "gpus_per_node=1")) == {
        "slurm_partition": "gpu", "timeout_min": 60, "gpus_per_node": 1,
    }  # fmt: skip
    with pytest.raises(InputError, match="KEY=VALUE, got 'gpu'"):
        options(("gpu",))


def test_slurm_absent_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    job = Job("A", TINY, Sources(tmp_path, tmp_path), tmp_path, (), 0, 1)
    with pytest.raises(InputError, match="no SLURM here"):
        spread.spread([job], tmp_path / "jobs", slurm=("partition=gpu",))


def test_a_slurm_array_has_a_job_for_each_share(tmp_path, monkeypatch):
    """What is handed to submitit: every share once, with the options; nothing runs here."""
    import submitit

    handed = {}

    class Executor:
        def __init__(self, folder, cluster):
            handed["cluster"] = cluster

        def update_parameters(self, **parameters):
            handed.update(parameters)

        def map_array(self, function, jobs):
            handed["shares"] = [(job.number, job.of) for job in jobs]
            return [SimpleNamespace(job_id=f"7_{job.number}") for job in jobs]

    monkeypatch.setattr(submitit, "AutoExecutor", Executor)
    jobs = [Job("A", TINY, Sources(tmp_path, tmp_path), tmp_path, (), n, 3) for n in range(3)]
    said: list[str] = []
    spread.spread(jobs, tmp_path, slurm=("partition=gpu",), say=said.append)
    assert handed == {"cluster": "slurm", "name": "study", "slurm_partition": "gpu", "shares": [(0, 3), (1, 3), (2, 3)]}
    assert "7_0, 7_1, 7_2" in said[0]


def test_each_job_sees_one_gpu(tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    seen = []
    for number in range(3):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
        Job("A", TINY, Sources(tmp_path, tmp_path), tmp_path, (), number, 3, one_gpu=True)._take_one_gpu()
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["4", "6", "4"]


def test_command_lists_the_runs(sources: Sources, tmp_path):
    (tmp_path / "data").mkdir()
    asked = ["study", "D", "--dry-run", "--seeds", "1", "--data", str(tmp_path / "data"), "--cache", str(tmp_path)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "D/unet/seed-0", "D/attention-unet/seed-0", "D/transunet/seed-0", "B/model-1/seed-0",
        "A/encoder+bottleneck/seed-0",
    ]  # fmt: skip
    assert all("64 px, split by patient, 12000 images" in line for line in lines)


def test_command_runs(sources: Sources, tmp_path):
    (tmp_path / "data").mkdir()
    asked = ["study", "A", "--row", "none", "--seeds", "1", "--samples", "16", "--width", "2", "--tile", "32",
             "--results", str(tmp_path / "r"), "--data", str(tmp_path / "data"), "--cache", str(tmp_path)]  # fmt: skip
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert finished(tmp_path / "r") == {"A/none/seed-0"}


@pytest.mark.slow
def test_two_processes_share_a_study(tmp_path):
    """Real processes through submitit; without data each says what is missing, and the command does too."""
    jobs = [Job("A", TINY, Sources(tmp_path, tmp_path), tmp_path / "r", ("none",), n, 2) for n in range(2)]
    with pytest.raises(InputError, match="process 0 failed"):
        spread.spread(jobs, tmp_path / "jobs", say=lambda line: None)
