"""Cores are counted once, whatever hardware threads they have, and never beyond what the process may use."""

from __future__ import annotations

import os
import sys

import pytest

from LungNoduleSegLib.inference.engines import cores


@pytest.fixture
def cpus(tmp_path, monkeypatch):
    """Four processors on two cores."""
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
    monkeypatch.setattr(cores, "_CPUS", tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    allowed = {0, 1, 2, 3}
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: allowed, raising=False)
    return allowed


def test_hardware_threads_of_a_core_count_once(cpus):
    assert cores.usable_cores() == 2


def test_only_what_the_process_may_use(cpus):
    cpus -= {1, 3}
    assert cores.usable_cores() == 1


def test_where_the_system_does_not_tell(cpus, monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "_CPUS", tmp_path / "nothing")
    assert cores.usable_cores() == 4


@pytest.mark.parametrize(("wanted", "expected"), [("1", 1), ("8", 2), ("0", 2), ("", 2), ("1,2", 1), ("many", 2)])
def test_the_variable_of_openmp_is_a_limit(cpus, monkeypatch, wanted, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert cores.usable_cores() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags : fpu avx2 avx512_bf16", True),
        ("flags : fpu avx2 amx_bf16 amx_tile", True),
        ("flags : fpu avx2 avx512f", False),
        ("Features : fp asimd bf16", True),
    ],
)
def test_bfloat16_is_ruled_out_only_where_the_system_says_so(tmp_path, monkeypatch, text, expected):
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(cores, "_CPUINFO", path)
    assert cores.may_have_half_units()  # no such file
    assert not cores.has_half_units()
    path.write_text(text)
    assert cores.may_have_half_units() is expected
    assert cores.has_half_units() is (expected and "flags" in text)


@pytest.mark.parametrize(
    ("text", "avx2", "tiles"),
    [
        ("flags\t\t: fpu avx2 avx_vnni", True, False),
        ("processor : 0\nflags : fpu avx avx2 avx512_bf16\nbugs : none", True, False),
        ("flags : avx2 avx512_vnni amx_bf16 amx_int8", True, True),
        ("flags : fpu avx sse4_2", False, False),
        ("Features : fp asimd i8mm", False, False),
    ],
)
def test_units_for_whole_numbers_and_for_tiles(tmp_path, monkeypatch, text, avx2, tiles):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    monkeypatch.setattr(cores, "_CPUINFO", path)
    assert (cores.has_avx2(), cores.has_tile_units()) == (avx2, tiles)


@pytest.mark.parametrize(
    ("identifier", "tiles"),
    [
        ("Intel64 Family 6 Model 154 Stepping 3, GenuineIntel", False),  # Alder Lake, mobile
        ("Intel64 Family 6 Model 143 Stepping 8, GenuineIntel", True),  # Sapphire Rapids
        ("AMD64 Family 26 Model 36 Stepping 0, AuthenticAMD", False),  # Zen 5
        ("", False),
    ],
)
def test_what_windows_tells(tmp_path, monkeypatch, identifier, tiles):
    asked = []
    monkeypatch.setattr(cores, "_CPUINFO", tmp_path / "nothing")
    monkeypatch.setattr(cores.platform, "processor", lambda: identifier)
    monkeypatch.setattr(cores, "_windows_has", lambda feature: asked.append(feature) or True)
    monkeypatch.setattr(cores.sys, "platform", "win32")
    assert (cores.has_avx2(), cores.has_tile_units(), asked) == (True, tiles, [40])
    monkeypatch.setattr(cores.sys, "platform", "darwin")
    assert (cores.has_avx2(), cores.has_tile_units(), asked) == (False, False, [40])


def test_it_agrees_with_torch():
    """What torch finds must never be ruled out."""
    import torch

    from LungNoduleSegLib.inference.engines.precision import cpu_features

    features = cpu_features()
    assert cores.may_have_half_units() or not (features["amx_bf16"] or features["avx512_bf16"])
    mps = sys.platform == "darwin" and torch.backends.mps.is_available()
    assert cores.may_have_gpu() or not (torch.cuda.is_available() or mps)
