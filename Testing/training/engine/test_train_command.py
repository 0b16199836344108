"""What `python -m training train` does between its options and the trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from Testing.training.engine.two_processes import BATCH, config
from Testing.training.synthetic import TRAIN, VALIDATION, disc_crops, made_scan
from training.cli.runs import average, train_run
from training.data.split import side
from training.engine import checkpoint
from training.publish.origin import read_start

ROOT = Path(__file__).resolve().parents[3]
OTHER_TRAIN = next(f"LIDC-IDRI-{n:04d}" for n in range(2, 100) if side(f"LIDC-IDRI-{n:04d}") == "train")
SMALL = replace(config(1), samples=2 * BATCH, validate_every=0, mine_every=0)


@dataclass(frozen=True)
class MadeUp:
    """Stands where `training.sources.Sources` does."""

    cache: Path

    def run(self, name: str) -> Path:
        return self.cache / name

    def crops(self):
        return disc_crops((TRAIN, VALIDATION), nodules_each=1, slices=3)

    def scans(self):
        return [made_scan((4, 128, 128))]


def test_a_run_is_trained_and_found_finished(tmp_path, capsys):
    sources = MadeUp(tmp_path)
    train_run(SMALL, sources, "first")
    assert checkpoint.load_run(tmp_path / "first" / "last.pt")["step"] == 2
    assert "first: float32 on cpu" in capsys.readouterr().out
    train_run(SMALL, sources, "first")
    assert "going on at 10 of 10 images" in capsys.readouterr().out


def test_a_run_starts_from_another(tmp_path, capsys):
    sources = MadeUp(tmp_path)
    train_run(SMALL, sources, "first")
    train_run(replace(SMALL, seed=1), sources, "second", init="first")
    assert "started from run first; 0 tensors are new" in capsys.readouterr().out
    other = replace(SMALL, normalisation=Normalisation("zscore", min_range=25))
    with pytest.raises(InputError, match=r"zscore.*--normalisation percentile"):
        train_run(other, sources, "third", init="first")
    with pytest.raises(InputError, match="patient split, not the slice split"):
        train_run(replace(SMALL, protocol="slice"), sources, "third", init="first")
    with pytest.raises(InputError, match="no checkpoint found"):
        train_run(SMALL, sources, "third", init="nothing")


def test_a_shipped_model_of_another_preprocessing_is_refused(tmp_path):
    narrow = replace(SMALL, normalisation=Normalisation("minmax"))
    with pytest.raises(InputError, match="its weights expect images by"):
        train_run(narrow, MadeUp(tmp_path), "third", from_model="model-2-compact")


def test_patients_that_are_left_out(tmp_path, capsys):
    sources = MadeUp(tmp_path)
    with pytest.raises(InputError, match=r"no patient to leave out is called Nobody.*such as LIDC-IDRI-0001"):
        train_run(replace(SMALL, leave_out=("Nobody",)), sources, "first")
    # Of another case with the same nodules: something has to be left to train on.
    two = TwoPatients(tmp_path)
    without = replace(SMALL, leave_out=(TRAIN,))
    train_run(without, two, "first")
    train_run(without, two, "second", init="first")
    train_run(replace(SMALL, seed=1), two, "third", init="first")
    with pytest.raises(InputError, match=f"may have seen {TRAIN}"):
        train_run(without, two, "fourth", init="third")
    with pytest.raises(InputError, match=f"left out {TRAIN}, not nobody"):
        train_run(SMALL, two, "first")


class TwoPatients(MadeUp):
    def crops(self):
        return disc_crops((TRAIN, OTHER_TRAIN, VALIDATION), nodules_each=1, slices=3)


@pytest.mark.slow
def test_the_command_starts_its_second_process_itself(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from dataclasses import replace\n"
        "from Testing.training.engine.test_train_command import MadeUp, SMALL\n"
        "from Testing.training.engine.two_processes import config\n"
        "from training.cli.runs import train_run\n"
        "train_run(replace(SMALL, engine=config(2).engine), MadeUp(Path(sys.argv[1])), 'two', threads=1)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("two: float32 on 2 x cpu") == 1
    assert checkpoint.load_run(tmp_path / "two" / "last.pt")["step"] == 2


def test_two_runs_averaged_into_a_third(tmp_path, capsys, monkeypatch):
    sources = MadeUp(tmp_path)
    train_run(SMALL, sources, "first")
    train_run(replace(SMALL, seed=1), sources, "second", init="first")
    monkeypatch.setattr("training.cli.runs.Sources.find", lambda data, cache: sources)
    average(run="second", other=["first"], into="both", share=[0.25])
    first, second, both = (
        checkpoint.load_run(tmp_path / name / "last.pt")["average"]["state"] for name in ("first", "second", "both")
    )
    name = next(n for n, value in both.items() if value.is_floating_point() and not first[n].equal(second[n]))
    assert torch.allclose(both[name], 0.75 * second[name] + 0.25 * first[name])
    start = read_start(tmp_path / "both")
    assert start == {"run": "first", "averaged": {"second": 0.75, "first": 0.25}}
    train_run(replace(SMALL, samples=3 * BATCH), sources, "both")
    assert "going on at 10 of 15 images" in capsys.readouterr().out
    for names in (["second"], ["first", "first"]):
        with pytest.raises(InputError, match="named twice"):
            average(run="second", other=names, into="neither")
    with pytest.raises(InputError, match="2 shares for 1 other runs"):
        average(run="second", other=["first"], into="neither", share=[0.2, 0.3])
    with pytest.raises(InputError, match="there already"):
        average(run="second", other=["first"], into="both")
