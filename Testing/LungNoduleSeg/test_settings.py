"""What the panel keeps for the user: paths, and the times of earlier runs."""

from __future__ import annotations

import pytest
import slicer
from slicer_harness.application import PANEL


@pytest.fixture
def settings(scene, monkeypatch):
    monkeypatch.syspath_prepend(str(PANEL.parent))
    from LungNoduleSegPanel import settings

    slicer.app.userSettings().remove("LungNoduleSeg")
    yield settings
    slicer.app.userSettings().remove("LungNoduleSeg")


def test_the_interpreter_is_kept(settings):
    assert settings.interpreterPath() == ""
    settings.setInterpreterPath("/opt/my python/bin/python3")
    assert settings.interpreterPath() == "/opt/my python/bin/python3"
    assert str(slicer.app.userSettings().value("LungNoduleSeg/interpreter")) == "/opt/my python/bin/python3"
    settings.setInterpreterPath("")
    assert settings.interpreterPath() == ""


def test_folders_are_kept_by_kind(settings):
    assert settings.lastFolder("weights") == ""
    settings.setLastFolder("weights", "/data/å")
    settings.setLastFolder("export", "/out")
    assert (settings.lastFolder("weights"), settings.lastFolder("export")) == ("/data/å", "/out")


def test_times_are_for_100_slices_and_the_middle_of_the_runs(settings):
    assert settings.timing("m", "a" * 64, "cpu") is None
    settings.recordTiming("m", "a" * 64, "cpu", 200, 50.0, 300)
    settings.recordTiming("m", "a" * 64, "cpu", 100, 31.0, None)
    settings.recordTiming("m", "a" * 64, "cpu", 50, 10.0, 410.5)
    known = settings.timing("m", "a" * 64, "cpu")
    assert (known["seconds"], known["peakMb"], known["runs"], known["device"]) == (25.0, 410.5, 3, "cpu")
    year, month, day = known["date"].split("-")
    assert (len(year), len(month), len(day)) == (4, 2, 2)


def test_memory_that_was_not_measured_is_not_made_up(settings):
    settings.recordTiming("m", "a" * 64, "cpu", 100, 20.0)
    assert settings.timing("m", "a" * 64, "cpu")["peakMb"] is None


def test_other_weights_and_devices_are_timed_apart(settings):
    settings.recordTiming("m", "a" * 64, "cpu", 100, 20.0, 300)
    assert settings.timing("m", "b" * 64, "cpu") is None
    assert settings.timing("n", "a" * 64, "cpu") is None
    assert settings.timing("m", "a" * 64, "cuda") is None


def test_auto_is_the_device_of_the_last_run(settings, monkeypatch):
    class Clock:
        hour = 10

        @classmethod
        def now(cls):
            import datetime

            cls.hour += 1
            return datetime.datetime(2024, 5, 31, cls.hour)

    monkeypatch.setattr(settings, "datetime", Clock)
    settings.recordTiming("m", "a" * 64, "cuda", 100, 4.0, 900)
    settings.recordTiming("m", "a" * 64, "cpu", 100, 20.0, 300)
    assert settings.timing("m", "a" * 64)["device"] == "cpu"
    settings.recordTiming("m", "a" * 64, "cuda", 100, 5.0, 900)
    known = settings.timing("m", "a" * 64, "auto")
    assert (known["device"], known["seconds"], known["date"]) == ("cuda", 4.5, "2024-05-31")


def test_old_runs_make_room(settings):
    settings.recordTiming("m", "a" * 64, "cpu", 100, 1000.0, 9000)  # of a computer that was slower then
    for _number in range(settings.MOST_RUNS):
        settings.recordTiming("m", "a" * 64, "cpu", 100, 20.0, 300)
    known = settings.timing("m", "a" * 64, "cpu")
    assert (known["seconds"], known["peakMb"], known["runs"]) == (20.0, 300.0, settings.MOST_RUNS)


def test_weights_that_were_not_used_for_longest_make_room(settings, monkeypatch):
    monkeypatch.setattr(settings, "MOST_KINDS", 2)
    for sha256 in ("a", "b", "a", "c"):
        settings.recordTiming("m", sha256, "cpu", 100, 20.0)
    assert [settings.timing("m", sha256, "cpu") is None for sha256 in "abc"] == [False, True, False]


@pytest.mark.parametrize(("slices", "seconds"), [(0, 20.0), (100, 0.0), (None, 20.0), (100, None), (-5, 20.0)])
def test_what_is_no_run_is_not_kept(settings, slices, seconds):
    settings.recordTiming("m", "a" * 64, "cpu", slices, seconds, 300)
    assert settings.timing("m", "a" * 64, "cpu") is None


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[1, 2]",
        '{"m|a|cpu": 5}',
        '{"m|a|cpu": [5, {"slices": 0, "seconds": 1, "when": "x"}]}',
        '{"m|a|cpu": [{"slices": 100, "seconds": "fast", "when": "x"}]}',
    ],
)
def test_an_edited_settings_file_does_no_harm(settings, text):
    slicer.app.userSettings().setValue("LungNoduleSeg/timings", text)
    assert settings.timing("m", "a", "cpu") is None
    settings.recordTiming("m", "a", "cpu", 100, 20.0)
    assert settings.timing("m", "a", "cpu")["seconds"] == 20.0
