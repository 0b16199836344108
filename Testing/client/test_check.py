"""The check of an installation says what is there, what is missing, and what works."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import pytest

from LungNoduleSegLib.client import probe as probe_module
from LungNoduleSegLib.client.check import DeviceReport, InstallationReport, start_check
from LungNoduleSegLib.client.probe import _devices, probe
from LungNoduleSegLib.errors import Cancelled
from LungNoduleSegLib.inference.engines import cores
from LungNoduleSegLib.inference.engines.cores import has_avx2
from Testing.client.fakes import last


def found(**options) -> InstallationReport:
    arguments = {"model": None, "device": "auto", "threads": None, **options}
    return InstallationReport.from_event(
        probe(**arguments, progress=lambda fraction, message: None, cancel=lambda: False)
    )


def test_a_bare_python_is_told_what_it_lacks(bare):
    one = start_check(bare, "model-2-compact", "auto", threads=1)
    events = last(one)
    one.close()
    assert events[-1]["event"] == "result", one.log
    report = events[-1]["report"]
    assert not report.ok and report.missing == ("numpy", "scipy", "onnxruntime", "safetensors")
    assert report.torch is None and report.devices == () and report.cpu and report.threads >= 1
    assert "Missing: numpy, scipy, ONNX Runtime, safetensors." in report.sentences()


def test_a_python_that_has_everything(tiny):
    report = found(model="tiny", device="cpu")
    assert report.ok and report.missing == () and not report.broken and report.problem == ""
    assert report.python == ".".join(map(str, sys.version_info[:3])) and report.executable == sys.executable
    assert report.torch and report.onnxruntime and all(report.packages.values())
    assert report.engine in ("torch", "onnxruntime", "openvino")
    assert report.devices[0] == DeviceReport("cpu", True, "", report.cpu)
    assert report.device == "cpu" and report.precision in ("float32", "bfloat16")
    assert 0 < report.seconds_a_tile_batch < 60 and report.tiles_a_batch > 0
    said = report.sentences()
    assert "All packages that a run needs are there." in said
    assert any("The model tiny runs on cpu in " in sentence and " with " in sentence for sentence in said)
    assert all(sentence.endswith((".", report.executable)) for sentence in said)


def test_missing_packages_are_named_before_anything_is_imported(monkeypatch):
    present = {"numpy", "scipy"}
    monkeypatch.setattr(
        probe_module.importlib.util, "find_spec", lambda name: types.SimpleNamespace() if name in present else None
    )
    report = found(model="tiny")
    assert report.missing == ("onnxruntime", "safetensors") and report.torch is None and not report.ok
    assert report.packages["torch"] is report.packages["onnxruntime"] is None and report.packages["numpy"]
    assert "Missing: ONNX Runtime, safetensors." in report.sentences()
    assert found(model="tiny", device="cuda:1").missing == ("torch", "safetensors")


def test_one_engine_is_enough(tiny, monkeypatch):
    usual = probe_module.importlib.util.find_spec
    engines = {"torch", "onnxruntime", "openvino"}
    for there in sorted(name for name in engines if usual(name)):
        absent = engines - {there}
        monkeypatch.setattr(
            probe_module.importlib.util, "find_spec", lambda name, a=absent: None if name in a else usual(name)
        )
        report = found(model="tiny", device="cpu", threads=1)
        assert report.missing == () and report.ok, report.sentences()
        assert report.engine == there or (there == "openvino" and not has_avx2())
        assert all(getattr(report, name) is None and report.packages[name] is None for name in absent)
        assert getattr(report, there)
        other = "onnxruntime" if there == "torch" and report.precision == "float32" else "openvino"
        advice = f"The package {other}, which is not installed, would make it faster."
        wanted = other == "onnxruntime" or (there == "onnxruntime" and has_avx2())
        assert (advice in report.sentences()) == wanted
        assert report.threads >= 1 and any(f"{report.threads} thread" in sentence for sentence in report.sentences())


def test_a_package_that_cannot_be_loaded_is_named(monkeypatch):
    whole = probe_module.imported
    failing = {"torch"}

    def imported(name):
        if name in failing:
            raise OSError("libcudart.so.12: cannot open shared object file\nmore")
        return whole(name)

    monkeypatch.setattr(probe_module, "imported", imported)
    report = found()
    assert report.broken == {"torch": "OSError: libcudart.so.12: cannot open shared object file"}
    assert report.torch is None and report.ok and not report.blocking and not report.devices
    assert any("PyTorch is there but cannot be loaded" in sentence for sentence in report.sentences())
    failing |= {"onnxruntime"}
    assert found().ok == (importlib.util.find_spec("openvino") is not None)
    failing |= {"openvino"}
    report = found()
    assert report.blocking.keys() == report.broken.keys() >= {"torch", "onnxruntime"} and not report.ok
    failing -= {"onnxruntime", "openvino", "torch"}
    failing |= {"scipy"}
    assert found().blocking.keys() == {"scipy"}


def test_a_model_that_does_not_load_is_a_finding_and_no_error(tiny):
    absent = found(model="absent", device="cpu")
    assert "absent" in absent.problem and not absent.ok and absent.problem in absent.sentences()
    unknown = found(model="tiny", device="abacus")
    assert "abacus" in unknown.problem and unknown.devices[0].usable


def test_the_check_can_be_cancelled():
    with pytest.raises(Cancelled):
        probe(None, "auto", None, lambda *_: None, lambda: True)


def fake_torch(monkeypatch, *, cuda: str | None, available: bool, init=None) -> types.SimpleNamespace:
    import torch

    from LungNoduleSegLib.inference.engines import device

    monkeypatch.setattr(device, "available", lambda kind: kind == "cpu" or (kind == "cuda" and available))
    cards = types.SimpleNamespace(
        device_count=lambda: 2, get_device_name=lambda n: f"Card {n}", init=init or (lambda: None)
    )
    return types.SimpleNamespace(device=torch.device, version=types.SimpleNamespace(cuda=cuda, hip=None), cuda=cards)


def test_a_build_without_cuda_beside_a_driver_is_said(monkeypatch):
    monkeypatch.setattr(probe_module, "nvidia_driver", lambda: True)
    cpu, cuda = _devices(fake_torch(monkeypatch, cuda=None, available=False))[:2]
    assert cpu["usable"] and not cuda["usable"] and "has no CUDA although an NVIDIA driver" in cuda["reason"]
    assert "cannot be used" in DeviceReport(**cuda).sentence()


def test_a_driver_that_fails_says_why(monkeypatch):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old")

    monkeypatch.setattr(probe_module, "nvidia_driver", lambda: True)
    devices = _devices(fake_torch(monkeypatch, cuda="12.6", available=False, init=init))
    assert "too old" in devices[1]["reason"]
    monkeypatch.setattr(probe_module, "nvidia_driver", lambda: False)
    without = _devices(fake_torch(monkeypatch, cuda="12.6", available=False))
    assert [device["name"] for device in without if device["name"] != "mps"] == ["cpu"]


def test_every_card_is_tried(monkeypatch):
    from LungNoduleSegLib.inference.engines import device

    torch = fake_torch(monkeypatch, cuda="12.6", available=True)
    monkeypatch.setattr(device, "failure", lambda what: "no kernel image" if str(what) == "cuda:1" else None)
    devices = [DeviceReport(**fields) for fields in _devices(torch)]
    assert [(d.name, d.usable) for d in devices[:3]] == [("cpu", True), ("cuda:0", True), ("cuda:1", False)]
    assert devices[1].sentence() == "The device cuda:0 (Card 0) works."
    assert devices[2].sentence() == "The device cuda:1 (Card 1) cannot be used: no kernel image."


def test_the_driver_is_found_by_what_it_leaves(monkeypatch, tmp_path):
    monkeypatch.setattr(cores.shutil, "which", lambda name: None)
    monkeypatch.setattr(cores.sys, "platform", "win32")
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    assert not cores.nvidia_driver()
    (tmp_path / "System32").mkdir()
    Path(tmp_path / "System32" / "nvcuda.dll").write_bytes(b"")
    assert cores.nvidia_driver()
