"""Thirty minutes of a large GPU, planned by arithmetic and tried at tiny scale on this CPU."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from training.sources import Sources
from training.studies import full_scale
from training.studies.full_scale import RESERVE, budget, by_value, run_full
from training.studies.plan import Settings
from training.studies.runner import Material

TINY = Settings(samples=4, batch_size=4, width=2, px=32, seeds=1)


def test_order_is_by_value():
    names = [run.name for run in by_value(Settings.at("full"))]
    assert names[:2] == ["B/model-1/seed-0", "A/encoder+bottleneck/seed-0"]
    assert [n.split("/")[1] for n in names[2:5]] == ["unet", "attention-unet", "transunet"]
    assert all(n.startswith("A/") for n in names[5:12])
    assert [n.split("/")[1] for n in names[12:15]] == ["512px", "256px", "64px"]  # 128 px is model 1
    assert len(set(names)) == len(names)


def test_the_budget_is_spent():
    """1,000 s less the reserve, two runs of 100 and 50 images a second, 10 s each beside: 880 / (1/100 + 1/50)."""
    found = budget([("a", 100.0), ("b", 50.0)], 1000, seconds_a_run=10, least=1000, multiple=1)
    assert found.names == ("a", "b")
    assert found.samples == int((1000 * (1 - RESERVE) - 20) / (1 / 100 + 1 / 50)) == 29_333
    assert found.seconds == pytest.approx(1000 * (1 - RESERVE), abs=0.1)


def test_fewer_networks_rather_than_too_few_images():
    rates = [("a", 100.0), ("b", 100.0), ("c", 100.0)]
    found = budget(rates, 1000, seconds_a_run=0, least=40_000, multiple=1)
    assert found.names == ("a", "b") and found.samples == 45_000


def test_the_first_network_is_trained_however_short_the_time():
    found = budget([("a", 10.0), ("b", 10.0)], 10, seconds_a_run=0, least=1000, multiple=4)
    assert found.names == ("a",) and found.samples == 88


def test_no_more_images_than_are_useful_and_whole_batches():
    assert budget([("a", 100.0)], 10_000, seconds_a_run=0, most=5000, multiple=64).samples == 4992


@pytest.fixture(scope="module")
def done(material: Material, tmp_path_factory: pytest.TempPathFactory):
    """The two models, speeds measured for real, on a clock that stands still."""
    folder = tmp_path_factory.mktemp("full")
    sources = Sources(folder, folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_scale, "by_value", lambda settings: by_value(settings)[:2])
        chosen = run_full(
            sources, folder / "results", 0.5, settings=TINY, bundle=folder / "out.zip", least=4, seconds_a_run=0,
            say=lambda line: None, material=material, clock=lambda: 0.0,
        )  # fmt: skip
    return folder, sources, chosen


def test_dry_run_on_this_cpu(done):
    folder, _, chosen = done
    assert chosen.names == ("B/model-1/seed-0", "A/encoder+bottleneck/seed-0")
    for name in chosen.names:
        facts = json.loads((folder / "results" / name / "run.json").read_text())
        assert facts["samples"] == chosen.samples and facts["samples"] % 4 == 0
    stored = json.loads((folder / "results" / "full_scale.json").read_text())
    assert set(stored["names"]) | set(stored["left_out"]) == set(stored["images_a_second"])
    assert all(rate > 0 for rate in stored["images_a_second"].values())


def test_what_comes_back_is_small_and_holds_no_weights(done):
    folder, _, _ = done
    with zipfile.ZipFile(folder / "out.zip") as archive:
        names = archive.namelist()
    assert {"full_scale.json", "soft_targets.npz", "B/model-1/seed-0/images.csv.gz"} <= set(names)
    assert not list((folder / "results").rglob("*.safetensors")) and not list((folder / "results").rglob("*.pt"))
    assert (folder / "out.zip").stat().st_size < 1e6


def test_soft_targets_belong_to_training_crops(done, material: Material):
    folder, _, _ = done
    with np.load(folder / "results" / "soft_targets.npz") as data:
        index, probability = data["index"], data["probability"]
    train = material.crops.on_side("train")
    assert index.tolist() == train[material.crops.positive[train]].tolist()
    assert probability.shape == (len(index), 32, 32) and probability.dtype == np.uint8


def test_it_goes_on_with_the_plan_that_it_made(done, material: Material):
    folder, sources, chosen = done
    said: list[str] = []
    again = run_full(sources, folder / "results", 1e4, settings=TINY, say=said.append, material=material)
    assert again == chosen
    assert "B/model-1/seed-0: finished before" in said


def test_time_that_is_up_begins_no_run(material: Material, tmp_path, monkeypatch):
    """A clock that jumps by the whole time with the first run."""
    now = [0.0]
    execute = full_scale.execute

    def slow(*args, **kwargs):
        now[0] += 100
        return execute(*args, **kwargs)

    monkeypatch.setattr(full_scale, "execute", slow)
    monkeypatch.setattr(full_scale, "images_a_second", lambda *args: 10.0)
    settings = replace(TINY)
    said: list[str] = []
    run_full(
        Sources(tmp_path, tmp_path), tmp_path / "r", 150, settings=settings, least=4, seconds_a_run=0.1,
        say=said.append, clock=lambda: now[0], material=material,
    )  # fmt: skip
    assert sum(1 for _ in (tmp_path / "r").rglob("run.json")) == 1
    assert said[-1].startswith("A/encoder+bottleneck/seed-0: not begun")
