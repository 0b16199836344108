"""The weights of runs averaged: by hand, what goes along, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from training.engine import checkpoint
from training.engine.averaging import averaged
from training.engine.runs import run_config

CONFIG = run_config("model-2-compact", samples=64, cooldown=16, width=8)


def write(folder, value: float, config=CONFIG):
    state = {"a": torch.full((2,), value), "count": torch.tensor(int(value))}
    checkpoint.save(
        folder / checkpoint.LAST,
        {
            "network": {name: tensor + 100 for name, tensor in state.items()}, "optimiser": {}, "hard": [],
            "average": {"state": state, "updates": 7}, "step": int(value), "config": config.to_dict(),
        },
    )  # fmt: skip
    return folder


def test_average_by_hand(tmp_path):
    one, other = write(tmp_path / "one", 4.0), write(tmp_path / "other", 8.0)
    state = averaged(one, {other: 0.25})
    assert state["average"]["state"]["a"].tolist() == [5.0, 5.0]
    assert state["network"]["a"].tolist() == [5.0, 5.0]
    assert state["average"]["state"]["count"] == 4, "what counts is the run's own"
    assert state["step"] == 4 and state["average"]["updates"] == 7
    assert checkpoint.load_run(one / checkpoint.LAST)["average"]["state"]["a"].tolist() == [4.0, 4.0]


def test_three_runs_by_hand(tmp_path):
    one, two, three = (write(tmp_path / name, value) for name, value in (("one", 4.0), ("two", 8.0), ("three", 20.0)))
    state = averaged(one, {two: 0.5, three: 0.25})
    assert state["average"]["state"]["a"].tolist() == [10.0, 10.0]
    with pytest.raises(InputError, match=r"shares of the other runs are 0\.5, 0\.5"):
        averaged(one, {two: 0.5, three: 0.5})
    with pytest.raises(InputError, match="none"):
        averaged(one, {})


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 1.5])
def test_a_share_outside_is_refused(tmp_path, share):
    with pytest.raises(InputError, match="share"):
        averaged(write(tmp_path / "one", 1.0), {write(tmp_path / "other", 2.0): share})


def test_other_networks_and_normalisations_are_refused(tmp_path):
    one = write(tmp_path / "one", 1.0)
    wider = run_config("model-2-compact", samples=64, cooldown=16, width=16)
    with pytest.raises(InputError, match="different networks"):
        averaged(one, {write(tmp_path / "wider", 2.0, wider): 0.5})
    other = replace(CONFIG, normalisation=Normalisation(method="minmax", min_range=100.0))
    with pytest.raises(InputError, match="expect images"):
        averaged(one, {write(tmp_path / "minmax", 2.0, other): 0.5})
    without = replace(CONFIG, leave_out=("LIDC-IDRI-0001",))
    with pytest.raises(InputError, match="may have seen LIDC-IDRI-0001"):
        averaged(write(tmp_path / "without", 1.0, without), {one: 0.5})
    with pytest.raises(InputError, match="no checkpoint"):
        averaged(one, {tmp_path / "none": 0.5})
