"""Checkpoints are complete or not there, and the moving average is what its formula says."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from LungNoduleSegLib.errors import InputError
from training.engine import checkpoint


def test_what_was_saved_comes_back(tmp_path):
    path = tmp_path / "new folder" / "last.pt"
    config = {"a": [1, None]}
    state = {"network": {"w": torch.randn(3, 2)}, "hard": [torch.tensor([[1, 2, 3]])], "step": 7, "config": config}
    checkpoint.save(path, state)
    back = checkpoint.load(path)
    assert torch.equal(back["network"]["w"], state["network"]["w"])
    assert torch.equal(back["hard"][0], state["hard"][0])
    assert (back["step"], back["config"]) == (7, config)
    assert [p.name for p in path.parent.iterdir()] == ["last.pt"]


def test_a_kill_while_writing_leaves_the_old_state(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"step": 1})

    def killed(state, target):
        target.write(b"half of a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path) == {"step": 1}
    monkeypatch.undo()
    checkpoint.save(path, {"step": 3})  # what was left behind does not disturb
    assert checkpoint.load(path) == {"step": 3}


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_file_names_itself_and_the_remedy(tmp_path, keep):
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"w": torch.randn(1000)})
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    with pytest.raises(InputError, match="not readable") as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)
    assert "Delete it" in str(caught.value)


def test_a_missing_file_is_told_from_a_damaged_one(tmp_path):
    with pytest.raises(InputError, match="no checkpoint found") as caught:
        checkpoint.load(tmp_path / "last.pt")
    assert str(tmp_path / "last.pt") in str(caught.value)


class _Runs:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (self.target, "w")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    path, target = tmp_path / "last.pt", tmp_path / "executed"
    path.write_bytes(pickle.dumps(_Runs(str(target)), protocol=2))
    with pytest.raises(InputError):
        checkpoint.load(path)
    assert not target.exists()


class _OneWeight(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("count", torch.tensor(0))

    def put(self, value: float, count: int) -> None:
        with torch.no_grad():
            self.weight.fill_(value)
            self.count.fill_(count)


def test_average_by_hand():
    network = _OneWeight()
    average = checkpoint.Averaged(network, decay=0.999)
    network.put(1.0, 5)
    assert average.state["weight"].item() == 0, "the average must not share memory with the network"
    average.update(network)  # keeps 2/11
    assert average.state["weight"].item() == pytest.approx(9 / 11)
    assert average.state["count"].item() == 5
    network.put(2.0, 6)
    average.update(network)  # keeps 3/12
    assert average.state["weight"].item() == pytest.approx(9 / 11 / 4 + 2 * 3 / 4)
    assert network.weight.item() == 2


def test_average_keeps_at_most_its_decay():
    network = _OneWeight()
    average = checkpoint.Averaged(network, decay=0.1)
    network.put(1.0, 1)
    average.update(network)
    assert average.state["weight"].item() == pytest.approx(0.9)


def test_average_goes_on_after_loading():
    network = _OneWeight()
    whole, first = checkpoint.Averaged(network, 0.999), checkpoint.Averaged(network, 0.999)
    for value in (1.0, 3.0):
        network.put(value, 0)
        whole.update(network)
        first.update(network)
    second = checkpoint.Averaged(_OneWeight(), 0.999)
    second.load_state_dict(first.state_dict())
    network.put(-2.0, 0)
    whole.update(network)
    second.update(network)
    assert torch.equal(whole.state["weight"], second.state["weight"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_keeps_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"w": torch.ones(1000)})
    (tmp_path / "last.part").symlink_to("/dev/full")  # every write: no space left on device
    with pytest.raises(InputError, match=r"No space left.*before it is kept") as caught:
        checkpoint.save(path, {"w": torch.zeros(100_000)})
    assert "Make room" in str(caught.value)
    assert torch.equal(checkpoint.load(path)["w"], torch.ones(1000))
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
    checkpoint.save(path, {"w": torch.zeros(2)})
    assert checkpoint.load(path)["w"].shape == (2,)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="there is none before it"):
        checkpoint.save(tmp_path / "file" / "last.pt", {})


def test_a_file_of_something_else_is_no_run(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"network": {}, "step": 1})
    with pytest.raises(InputError, match=r"no checkpoint of a training run .*optimiser"):
        checkpoint.load_run(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="no checkpoint of a training run"):
        checkpoint.load_run(path)
