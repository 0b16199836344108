"""Settings of a run: checked where they enter, written and read back, older ones filled in."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks import NetworkConfig, ViTConfig, member
from training.data.sampling_config import SamplingConfig
from training.engine.architecture import build_any, config_from_dict
from training.engine.config import EngineConfig, RunConfig
from training.engine.fabric import device_kind, launch, precision_of
from training.engine.runs import run_config

NETWORK = NetworkConfig(widths=(4, 8, 16, 32, 64), vit=ViTConfig(dim=32, depth=1, heads=2), input_px=32)


def test_a_configuration_comes_back():
    config = RunConfig(
        network=NETWORK, normalisation=Normalisation("zscore", min_range=25), protocol="slice", dice="batch",
        sampling=SamplingConfig(scale=(0.5, 2.0)), engine=EngineConfig(devices=2, precision="bfloat16"),
    )  # fmt: skip
    assert RunConfig.from_dict(config.to_dict()) == config


def test_a_run_of_an_earlier_version_takes_the_defaults():
    data = RunConfig(network=NETWORK, samples=7).to_dict()
    for key in ("protocol", "engine", "dice", "patience", "validate_images", "bce_weight", "positive_weight"):
        del data[key]
    for key in ("fusion", "shortcuts"):
        del data["network"][key]
    assert RunConfig.from_dict(data) == RunConfig(network=NETWORK, samples=7)


def test_a_run_of_a_later_version_is_not_guessed_at():
    with pytest.raises(ValueError, match="novelty"):
        RunConfig.from_dict({**RunConfig(network=NETWORK).to_dict(), "novelty": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples", 0), ("cooldown", -1), ("learning_rate", 0), ("ema_decay", 1.0), ("dice", "volume"),
        ("validate_every", -1), ("patience", -2), ("protocol", "pixel"),
    ],
)  # fmt: skip
def test_wrong_values_are_named(name, value):
    with pytest.raises(InputError, match=str(value)):
        RunConfig(network=NETWORK, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("accelerator", "gpuu"), ("devices", 0), ("nodes", 0), ("precision", "int8"), ("accumulate", 0), ("workers", -1),
     ("strategy", "fsdp")],
)  # fmt: skip
def test_wrong_engines_are_named(name, value):
    with pytest.raises(InputError, match=f"{name}.*{value}"):
        EngineConfig(**{name: value})


def test_every_process_and_part_needs_an_image():
    sampling = SamplingConfig(batch_size=8)
    RunConfig(network=NETWORK, sampling=sampling, engine=EngineConfig(devices=2, nodes=2, accumulate=2))
    with pytest.raises(InputError, match="at least 12"):
        RunConfig(network=NETWORK, sampling=sampling, engine=EngineConfig(devices=2, nodes=2, accumulate=3))


def test_a_dice_over_the_batch_is_not_added_up_from_parts():
    with pytest.raises(InputError, match="batch cannot be added up"):
        RunConfig(network=NETWORK, dice="batch", engine=EngineConfig(accumulate=2))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has CUDA")
def test_cuda_asked_for_and_absent():
    with pytest.raises(InputError, match="CUDA was asked for and is not available") as caught:
        launch(EngineConfig(accelerator="cuda"))
    assert "nvidia-smi" in str(caught.value)


def test_more_gpus_than_there_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    with pytest.raises(InputError, match="4 GPUs were asked for and 2 are here"):
        launch(EngineConfig(accelerator="cuda", devices=4))


def test_processes_started_from_outside_must_be_as_many_as_asked_for(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(InputError, match="3 processes were started"):
        launch(EngineConfig(accelerator="cpu", devices=2))


def test_precisions():
    assert device_kind(EngineConfig(accelerator="cpu")) == "cpu"
    assert precision_of(EngineConfig(precision="float32"), "cpu") is None
    assert precision_of(EngineConfig(precision="bfloat16"), "cpu") is torch.bfloat16
    assert precision_of(EngineConfig(precision="float16"), "cuda") is torch.float16
    with pytest.raises(InputError, match="no loss scaling"):
        precision_of(EngineConfig(precision="float16"), "cpu")


def test_networks_by_their_dictionary():
    for config in (NETWORK, member("model-2-compact")):
        assert config_from_dict(config.to_dict()) == config
    assert build_any(NETWORK)(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)
    with pytest.raises(ValueError, match="colour"):
        config_from_dict({"colour": 1})


def test_baselines_go_the_same_way():
    pytest.importorskip("monai", reason="MONAI is not installed")
    config = config_from_dict({"baseline": "unet", "scale": "compact", "input_px": 32})
    assert config_from_dict(config.to_dict()) == config
    assert build_any(config).eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)
    run = RunConfig(network=config)
    assert RunConfig.from_dict(run.to_dict()) == run


def test_named_runs():
    config = run_config("model-2-compact", samples=10, cooldown=5, method="zscore", width=8, patience=3)
    assert config.network.widths[0] == 8 and config.network.input_slices == 3
    assert run_config("model-2-compact", samples=10, cooldown=5, slices=5).network.input_slices == 5
    with pytest.raises(InputError, match="4 slices have no middle one"):
        run_config("model-2-compact", samples=10, cooldown=5, slices=4)
    assert config.normalisation.min_range == 25
    assert config.patience == 3
    for wrong, finding in ((("model-3", {}), "model-3"), (("model-1", {"method": "rank"}), "rank")):
        with pytest.raises(InputError, match=finding):
            run_config(wrong[0], samples=10, cooldown=5, **wrong[1])
    assert replace(config, seed=1) != config
