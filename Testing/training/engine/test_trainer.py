"""The trainer on made-up crops: schedule by hand, exact resume after a kill, a run that learns."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks import NetworkConfig, ViTConfig
from Testing.training.synthetic import TEST, TRAIN, VALIDATION, disc_crops, made_scan
from training.data.sampling_config import SamplingConfig
from training.engine import checkpoint
from training.engine import trainer as trainer_module
from training.engine.trainer import RunConfig, Trainer, best_precision
from training.publish.published import network_of_run

NETWORK = NetworkConfig(widths=(4, 8, 16, 32, 64), scse=("encoder", "bottleneck"), input_slices=3)
BATCH = 4
SMALL = RunConfig(
    network=NETWORK,
    sampling=SamplingConfig(tile_px=32, batch_size=BATCH, shift_px=4, scan_share=0.5, scan_positive_share=0.5),
    samples=12 * BATCH,
    cooldown=4 * BATCH,
    warmup=2 * BATCH,
    mine_every=0,
    validate_every=100 * BATCH,
    seed=5,
)


@pytest.fixture(scope="module")
def crops():
    return disc_crops((TRAIN, VALIDATION), nodules_each=1)


@pytest.fixture(scope="module")
def scans():
    return [made_scan((4, 128, 128))]


class Recorded(Trainer):
    """Keeps every step's loss; may be killed before a step."""

    kill_before: int | None = None

    def __init__(self, *args):
        super().__init__(*args)
        self.losses: dict[int, float] = {}

    def _train_step(self, images, labels):
        if self.step == self.kill_before:
            raise KeyboardInterrupt
        self.losses[self.step] = super()._train_step(images, labels)
        return self.losses[self.step]


def same(a, b) -> bool:
    """Whether nested states are equal to the bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_learning_rate_by_hand(crops, tmp_path):
    config = replace(SMALL, samples=250 * BATCH, cooldown=50 * BATCH, warmup=10 * BATCH, learning_rate=1.0)
    expected = {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 100: 1.0, 200: 1.0, 225: 0.5, 249: 0.02, 250: 0.0, 260: 0.0}
    trainer = Trainer(config, crops, [], tmp_path)
    for step, rate in expected.items():
        trainer.step = step
        assert trainer.learning_rate() == pytest.approx(rate), step


def test_without_warm_up_and_cool_down(crops, tmp_path):
    config = replace(SMALL, cooldown=0, warmup=0, learning_rate=0.5)
    trainer = Trainer(config, crops, [], tmp_path)
    for step in range(12):
        trainer.step = step
        assert trainer.learning_rate() == 0.5


def test_a_longer_run_is_the_same_until_the_shorter_one_cools_down(crops, scans, tmp_path):
    short = Recorded(SMALL, crops, scans, tmp_path / "short")
    long = Recorded(replace(SMALL, samples=16 * BATCH), crops, scans, tmp_path / "long")
    short.run()
    long.run()
    # Of twelve steps the last four cool down. Step 8 is the first: it still has the full rate.
    assert [short.losses[s] == long.losses[s] for s in range(12)] == [True] * 10 + [False] * 2


@pytest.mark.parametrize("killed_at", [9, 11])
def test_resume_after_a_kill_is_exact(crops, scans, tmp_path, killed_at, monkeypatch):
    """Checkpoints and searches for false positives at steps 4 and 8; what is found is sampled from the next step on."""

    def found(network, scan, normalisation, *, seed, **_):
        # A place that depends on the step and on the weights that were searched with.
        weights = sum(value.double().abs().sum().item() for value in network.state_dict().values())
        return np.array([[seed % 4, 30 + int(weights * 1e4) % 64, 64]])

    monkeypatch.setattr(trainer_module, "mine", found)
    sampling = replace(SMALL.sampling, scan_positive_share=0.0, hard_share=1.0)
    config = replace(SMALL, sampling=sampling, mine_every=4 * BATCH, validate_every=4 * BATCH)
    whole = Recorded(config, crops, scans, tmp_path / "whole")
    whole.run()
    killed = Recorded(config, crops, scans, tmp_path / "killed")
    killed.kill_before = killed_at
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    assert killed.losses == {s: whole.losses[s] for s in range(killed_at)}

    resumed = Recorded(config, crops, scans, tmp_path / "killed")
    assert resumed.resume()
    assert resumed.step == 8
    resumed.run()
    assert resumed.losses == {s: whole.losses[s] for s in range(8, 12)}
    states = [checkpoint.load(tmp_path / name / "last.pt") for name in ("whole", "killed")]
    assert states[0]["step"] == states[1]["step"] == 12
    for part in ("network", "optimiser", "average", "hard", "config"):
        assert same(states[0][part], states[1][part]), part
    figures = [[line for line in lines(tmp_path / name) if "iou_pos" in line][-1] for name in ("whole", "killed")]
    assert figures[0]["iou_pos"] == figures[1]["iou_pos"]


def test_mined_places_survive_a_kill(crops, scans, tmp_path):
    trainer = Recorded(SMALL, crops, scans, tmp_path)
    trainer.sampler.hard = [np.array([[1, 50, 60], [2, 3, 4]])]
    trainer.save()
    again = Recorded(SMALL, crops, scans, tmp_path)
    assert again.resume()
    assert np.array_equal(again.sampler.hard[0], trainer.sampler.hard[0])
    for a, b in zip(again.sampler.batch(3), trainer.sampler.batch(3)):
        assert torch.equal(a, b)


def test_nothing_to_resume(crops, tmp_path):
    assert not Trainer(SMALL, crops, [], tmp_path).resume()


def test_a_damaged_checkpoint_is_not_silently_begun_anew(crops, tmp_path):
    (tmp_path / "last.pt").write_bytes(b"half")
    with pytest.raises(InputError, match="not readable"):
        Trainer(SMALL, crops, [], tmp_path).resume()


def test_a_seed_decides_the_first_weights(crops, tmp_path):
    one, same_seed, other = (Trainer(replace(SMALL, seed=s), crops, [], tmp_path).network for s in (1, 1, 2))
    assert same(dict(one.state_dict()), dict(same_seed.state_dict()))
    assert not same(dict(one.state_dict()), dict(other.state_dict()))


def test_norms_biases_and_positions_are_not_decayed(crops, tmp_path):
    network = replace(NETWORK, vit=ViTConfig(dim=32, depth=1, heads=2), input_px=32)
    trainer = Trainer(replace(SMALL, network=network), crops, [], tmp_path)
    decayed, plain = trainer.optimiser.param_groups
    assert decayed["weight_decay"] == SMALL.weight_decay
    assert plain["weight_decay"] == 0
    names = {id(p): name for name, p in trainer.network.named_parameters()}
    free = {names[id(p)] for p in plain["params"]}
    assert {n for n in names.values() if n.endswith("bias")} <= free
    assert any("position" in name for name in free)
    assert len(decayed["params"]) + len(plain["params"]) == len(names)


def test_start_from_takes_what_fits(crops, tmp_path):
    torch.manual_seed(1)
    source = Trainer(replace(SMALL, seed=9), crops, [], tmp_path).network
    target = Trainer(replace(SMALL, network=replace(NETWORK, input_slices=1, scse=("encoder",))), crops, [], tmp_path)
    before = {name: value.clone() for name, value in target.network.state_dict().items()}
    fresh = target.start_from(source.state_dict())
    own, given = target.network.state_dict(), source.state_dict()
    # Another number of input slices: only the layers that read the input are new.
    assert fresh
    assert all(name.startswith("encoders.0.") for name in fresh)
    for name, value in own.items():
        assert torch.equal(value, before[name] if name in fresh else given[name]), name
        assert torch.equal(value, target.average.state[name]), "the average starts from the same weights"


def test_start_from_its_own_state_leaves_nothing_new(crops, tmp_path):
    source, target = (Trainer(replace(SMALL, seed=s), crops, [], tmp_path) for s in (1, 2))
    assert target.start_from(source.average.state) == []
    assert same(dict(target.network.state_dict()), dict(source.network.state_dict()))


def test_false_positives_are_mined_when_due(crops, scans, tmp_path):
    config = replace(SMALL, mine_every=5 * BATCH)
    trainer = Recorded(config, crops, scans, tmp_path)
    trainer.run()
    mined = [line for line in lines(tmp_path) if "mined" in line]
    assert [line["samples"] for line in mined] == [5 * BATCH, 10 * BATCH]
    assert [len(line["mined"]) for line in mined] == [1, 1]
    assert len(trainer.sampler.hard) == 1


def test_validation_uses_validation_patients_only(tmp_path):
    crops = disc_crops((TRAIN, VALIDATION, TEST), nodules_each=1)
    trainer = Trainer(SMALL, crops, [], tmp_path)
    figures = trainer.validate()
    assert {figure["n_images"] for figure in figures.values()} == {3}
    assert {figure["n_patients"] for figure in figures.values()} == {1}


def test_the_configuration_as_json(crops, tmp_path):
    trainer = Trainer(SMALL, crops, [], tmp_path)
    trainer.save()
    stored = checkpoint.load(tmp_path / "last.pt")["config"]
    assert stored == json.loads(json.dumps(stored)) == SMALL.to_dict()
    assert NetworkConfig.from_dict(stored["network"]) == SMALL.network
    assert Normalisation.from_dict(stored["normalisation"]) == SMALL.normalisation


def test_precision_is_what_the_processor_multiplies():
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert best_precision() is (torch.bfloat16 if fast else None)


def test_a_run_learns(tmp_path):
    crops = disc_crops((TRAIN, "LIDC-IDRI-0006", "LIDC-IDRI-0007", VALIDATION), nodules_each=3)
    config = RunConfig(
        network=NETWORK,
        sampling=SamplingConfig(tile_px=48, batch_size=8, shift_px=8, scan_share=0.25),
        samples=90 * 8, cooldown=30 * 8, warmup=5 * 8, learning_rate=1e-2, ema_decay=0.9, mine_every=45 * 8,
        validate_every=90 * 8,
    )  # fmt: skip
    trainer = Recorded(config, crops, [made_scan((4, 128, 128), vessel=False)], tmp_path)
    untrained = trainer.validate()["iou_pos"]["value"]
    trainer.run()
    first, last = (np.mean([trainer.losses[s] for s in steps]) for steps in (range(5), range(80, 90)))
    assert last < 0.6 * first
    (line,) = [line for line in lines(tmp_path) if "iou_pos" in line]
    assert untrained < 0.2
    assert line["iou_pos"]["value"] > 0.8
    assert line["lr"] == 0
    assert line["samples"] == 720
    assert line["loss"] == pytest.approx(np.mean(list(trainer.losses.values())))
    # A finished run has nothing left to do.
    again = Recorded(config, crops, [], tmp_path)
    assert again.resume()
    again.run()
    assert again.losses == {}


def test_the_best_average_is_kept(crops, tmp_path, monkeypatch):
    """Looks at steps 4, 8 and 12; the second is the best."""
    figures = iter([0.3, 0.6, 0.5])
    monkeypatch.setattr(trainer_module, "look", lambda *_, **__: {"iou_pos": {"value": next(figures)}})
    averages = {}

    class Watched(Trainer):
        def validate(self):
            averages[self.step] = {n: v.clone() for n, v in self.average.state.items()}
            return super().validate()

    Watched(replace(SMALL, validate_every=4 * BATCH), crops, [], tmp_path).run()
    best, last = (checkpoint.load_average(tmp_path, best=which) for which in (True, False))
    assert (best["step"], best["iou_pos"], last["step"]) == (8, 0.6, 12)
    assert same(best["average"]["state"], averages[8])
    network, published = network_of_run(tmp_path, best=True)
    assert published.samples == 8 * BATCH
    assert same(dict(network.state_dict()), averages[8])
    assert not same(dict(network_of_run(tmp_path)[0].state_dict()), averages[8])


def test_without_a_look_there_is_no_best_average(crops, tmp_path):
    Trainer(replace(SMALL, validate_every=0), crops, [], tmp_path).run()
    with pytest.raises(InputError, match="best\\.pt"):
        network_of_run(tmp_path, best=True)
