"""What the engine adds to a run: parts of a batch, workers, early stopping, checkpoints that are refused, old ones."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks import NetworkConfig, member, scaled
from Testing.training.synthetic import TEST, TRAIN, VALIDATION, disc_crops, made_scan
from training.data.sampling import Sampler
from training.data.sampling_config import SamplingConfig
from training.engine import checkpoint
from training.engine.batches import Prefetched, crops_of_run
from training.engine.config import EngineConfig, RunConfig
from training.engine.trainer import Trainer
from training.engine.validation import OnDevice, central, validation_index
from training.evaluate.crops import figures_of, predict

BATCH = 4
CPU = EngineConfig(accelerator="cpu", progress=False)
SMALL = RunConfig(
    network=NetworkConfig(widths=(4, 8, 16, 32, 64), scse=("encoder",), input_slices=1, input_px=64),
    sampling=SamplingConfig(tile_px=32, batch_size=BATCH, shift_px=4, scan_share=0.0),
    samples=4 * BATCH, cooldown=2 * BATCH, warmup=BATCH, mine_every=0, validate_every=0, seed=3, engine=CPU,
)  # fmt: skip


@pytest.fixture(scope="module")
def crops():
    return disc_crops((TRAIN, VALIDATION), nodules_each=1)


class Recorded(Trainer):
    def __init__(self, *args):
        super().__init__(*args)
        self.losses: list[float] = []

    def _train_step(self, images, labels):
        self.losses.append(float(super()._train_step(images, labels)))
        return torch.tensor(self.losses[-1])


def test_parts_of_a_batch_give_its_gradient(crops, tmp_path):
    """With batch normalisation as in evaluation: in training it sees the part, as the setting says."""
    gradients, losses = [], []
    for parts in (1, 3):
        engine = replace(CPU, accumulate=parts, precision="float32")
        trainer = Trainer(replace(SMALL, engine=engine), crops, [], tmp_path)
        for norm in [m for m in trainer.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]:
            norm.eval()
            norm.train = lambda mode=True: None
        losses.append(float(trainer._train_step(*trainer.sampler.batch(0))))
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.network.parameters()]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_made_ahead_are_the_batches(crops, workers):
    sampler = Sampler(crops, [made_scan((4, 96, 96))], replace(SMALL.sampling, scan_share=0.5), Normalisation(), 1, 7)
    with Prefetched(sampler, range(1, BATCH, 2), end=9, workers=workers) as batches:
        for step in (3, 4, 5):
            images, labels = batches.get(step)
            whole = sampler.batch(step)
            assert torch.equal(images, whole[0][1::2])
            assert torch.equal(labels, whole[1][1::2])
        sampler.hard = [np.array([[2, 50, 60]])]
        sampler.config = replace(sampler.config, scan_positive_share=0.0, hard_share=1.0)
        batches.forget()
        assert torch.equal(batches.get(8)[0], sampler.batch(8)[0][1::2])


def test_one_batch_of_a_narrow_member(tmp_path):
    """As the studies try every configuration; nothing else is set."""
    network = replace(scaled(member("model-1"), 8), input_px=64)
    config = RunConfig(network=network, sampling=SamplingConfig(tile_px=64, batch_size=4, shift_px=16), samples=4)
    trainer = Trainer(config, disc_crops((TRAIN, VALIDATION), nodules_each=1), [], tmp_path)
    trainer.run()
    (line,) = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert line["samples"] == 4
    assert 0 <= line["iou_pos"]["value"] <= 1
    assert checkpoint.load_run(tmp_path / "last.pt")["step"] == 1


def test_a_run_without_validation(crops, tmp_path):
    trainer = Trainer(SMALL, crops, [], tmp_path)
    trainer.run()
    (line,) = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert line.keys() == {"samples", "lr", "loss", "rate"}
    no_patients = disc_crops((TRAIN,), nodules_each=1)
    assert Trainer(SMALL, no_patients, [], tmp_path).validate() == {}


def test_a_run_that_improves_no_more_cools_down_and_ends(crops, tmp_path):
    looks = iter([0.5, 0.6, 0.55, 0.6] + [0.7] * 9)

    class Flat(Recorded):
        def validate(self):
            return {"iou_pos": {"value": next(looks)}}

    config = replace(SMALL, samples=20 * BATCH, validate_every=BATCH, patience=2)
    trainer = Flat(config, crops, [], tmp_path)
    trainer.run()
    assert trainer.step == 4 + 2
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["samples"] // BATCH for line in lines if "stopped" in line] == [4]
    assert lines[-1]["lr"] == 0
    again = Flat(config, crops, [], tmp_path)
    assert again.resume()
    again.run()
    assert again.losses == [], "a run that stopped early stays finished"


def test_dropout_after_a_resume_is_what_it_would_have_been(crops, tmp_path, monkeypatch):
    def with_dropout(config, **_):
        from training.engine.architecture import build

        network = build(config)
        network.head = torch.nn.Sequential(torch.nn.Dropout(0.5), network.head)
        return network

    monkeypatch.setattr("training.engine.trainer.build_any", with_dropout)
    whole = Recorded(SMALL, crops, [], tmp_path / "whole")
    whole.run()
    half = Recorded(SMALL, crops, [], tmp_path / "half")
    for _ in range(2):
        half._train_step(*half.sampler.batch(half.step))
        half.step += 1
    half.save()
    torch.rand(17)  # elsewhere in a new process
    resumed = Recorded(SMALL, crops, [], tmp_path / "half")
    assert resumed.resume()
    resumed.run()
    assert half.losses + resumed.losses == whole.losses
    assert len(set(whole.losses)) == 4


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"network": replace(SMALL.network, scse=())}, "another network"),
        ({"normalisation": Normalisation("minmax")}, "percentile.*not.*minmax"),
        ({"sampling": replace(SMALL.sampling, batch_size=2)}, "batches of 4 images, not 2"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(crops, tmp_path, change, finding):
    Trainer(SMALL, crops, [], tmp_path).save()
    with pytest.raises(InputError, match=finding) as caught:
        Trainer(replace(SMALL, **change), crops, [], tmp_path).resume()
    assert str(tmp_path / "last.pt") in str(caught.value)


def test_a_checkpoint_of_the_other_split_is_refused(crops, tmp_path):
    trainer = Trainer(SMALL, crops, [], tmp_path)
    trainer.save()
    state = checkpoint.load_run(tmp_path / "last.pt")
    state["config"]["protocol"] = "slice"
    checkpoint.save(tmp_path / "last.pt", state)
    with pytest.raises(InputError, match="slice split, not the patient split"):
        trainer.resume()


def test_weights_that_do_not_fit_are_refused(crops, tmp_path):
    trainer = Trainer(SMALL, crops, [], tmp_path)
    trainer.save()
    state = checkpoint.load_run(tmp_path / "last.pt")
    state["network"]["something.else"] = state["network"].pop("head.weight")
    checkpoint.save(tmp_path / "last.pt", state)
    with pytest.raises(InputError, match="do not fit its network"):
        trainer.resume()
    with pytest.raises(InputError, match="none of these weights fits"):
        trainer.start_from({"something.else": torch.zeros(3)})


def test_a_run_of_an_earlier_version_goes_on(crops, tmp_path):
    """Checkpoints before this engine: fewer keys, plain optimiser."""
    trainer = Recorded(SMALL, crops, [], tmp_path)
    trainer._train_step(*trainer.sampler.batch(0))
    trainer.step = 1
    trainer.save()
    state = checkpoint.load_run(tmp_path / "last.pt")
    for key in ("schedule", "scaler"):
        del state[key]
    for key in ("engine", "protocol", "patience", "dice", "bce_weight", "positive_weight", "validate_images"):
        del state["config"][key]
    for group in state["optimiser"]["param_groups"]:
        group["fused"] = None
    checkpoint.save(tmp_path / "last.pt", state)
    again = Recorded(SMALL, crops, [], tmp_path)
    assert again.resume()
    for later in (trainer, again):
        later._train_step(*later.sampler.batch(1))
    assert trainer.losses[1] == again.losses[0]
    for a, b in zip(trainer.network.parameters(), again.network.parameters()):
        assert torch.equal(a, b)


def test_validation_looks_at_the_window_that_the_network_takes(crops, tmp_path):
    trainer = Trainer(SMALL, crops, [], tmp_path)
    middle = central(crops, 64)
    assert middle.images.shape[1:] == middle.labels.shape[1:] == (64, 64)
    assert np.array_equal(middle.images, crops.images[:, 32:96, 32:96])
    assert central(crops, 128) is crops
    index = validation_index(middle, SMALL)
    assert len(index) == 3
    assert set(crops.patients[index]) == {VALIDATION}
    network = trainer.averaged_network()
    probability = predict(network, middle, index, SMALL.normalisation, slices=1, precision=trainer.precision)
    assert probability.shape == (3, 64, 64)
    expected = figures_of(probability, middle, index)["iou_pos"].value
    assert trainer.validate()["iou_pos"]["value"] == pytest.approx(expected, abs=1e-4)


def test_patients_left_out_train_nothing_and_still_validate():
    crops = disc_crops((TRAIN, VALIDATION), nodules_each=1)
    run = crops_of_run(crops, "patient", (TRAIN, VALIDATION))
    assert len(crops.on_side("train")) and not len(run.on_side("train"))
    np.testing.assert_array_equal(run.on_side("validation"), crops.on_side("validation"))


def test_scans_of_patients_left_out_are_not_loaded(tmp_path):
    scan = made_scan((4, 128, 128))
    kept = made_scan((4, 128, 128), patient="another")
    crops = disc_crops((TRAIN, VALIDATION), nodules_each=1)
    trainer = Trainer(replace(SMALL, leave_out=(scan.patient,)), crops, [scan, kept], tmp_path)
    assert trainer.sampler.scans == [kept]


@pytest.mark.parametrize("protocol", ["patient", "slice"])
def test_training_and_validation_keep_to_the_protocol(tmp_path, protocol):
    crops = disc_crops((TEST, VALIDATION, "LIDC-IDRI-0002"), nodules_each=10)
    config = replace(SMALL, protocol=protocol)
    trainer = Trainer(config, crops, [], tmp_path)
    trained = set(trainer.sampler._positives.tolist())
    looked = set(validation_index(crops, config).tolist())
    assert trained == set(crops.on_side("train", protocol).tolist())
    assert looked == set(crops.on_side("validation", protocol).tolist())
    assert trained
    assert looked
    assert not trained & looked
    shared = set(crops.patients[list(trained)]) & set(crops.patients[list(looked)])
    assert bool(shared) == (protocol == "slice")


def test_an_even_selection_of_the_validation_images():
    crops = disc_crops((TRAIN, VALIDATION), nodules_each=3)
    index = validation_index(crops, replace(SMALL, validate_images=4))
    everything = validation_index(crops, SMALL)
    assert len(everything) == 9
    assert len(set(index)) == 4
    assert {everything[0], everything[-1]} <= set(index) <= set(everything)


def test_a_network_on_its_device_takes_and_gives_what_lies_here():
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    x = torch.randn(2, 1, 8, 8)
    out = OnDevice(network, torch.device("cpu"), torch.bfloat16)(x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, network(x), rtol=0.05, atol=0.05)
    assert torch.equal(OnDevice(network, torch.device("cpu"), None)(x), network(x))
