"""``lungnoduleseg segment``: a real network on a phantom, from file to folder."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LungNoduleSegLib.cli.outputs import NAMES
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.report.processes import library_environment
from Testing.cli.tiny import NODULES, OTHER_SERIES, TRAINED_SERIES, phantom

ROOT = Path(__file__).resolve().parents[2]
RESEARCH = "research use only"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_the_engine_can_be_chosen(cli, store, phantom_path, tmp_path, engine):
    pytest.importorskip(engine)
    box = ("--roi", 30, -20, -20, 60, 20, 10)
    ended = cli("segment", phantom_path, "-o", tmp_path, "-m", "tiny", "--device", "cpu", "--engine", engine, *box)
    assert ended.code == 0, ended.err
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["parameters"]["engine"] == engine and engine in record["versions"]


def test_an_unknown_engine_is_an_input_error(cli, store, phantom_path, tmp_path):
    ended = cli("segment", phantom_path, "-o", tmp_path / "out", "-m", "tiny", "--engine", "abacus")
    assert ended.code == 2 and "Expected argument `engine`" in ended.err and not (tmp_path / "out").exists()


def test_whole_run_writes_every_file(cli, store, phantom_path, tmp_path):
    target = tmp_path / "Ergebnis für Müller 患者"
    ended = cli("segment", phantom_path, "--output", target, "--model", "tiny", "--device", "cpu")
    assert ended.code == 0, ended.err
    have_slicer = (target / "scene.mrb").is_file()
    assert sorted(path.name for path in target.iterdir()) == sorted(
        n for n in NAMES if n != "uncertainty.nrrd" and (n != "scene.mrb" or have_slicer)
    )
    assert [path.name for path in tmp_path.iterdir()] == [target.name]

    record = json.loads((target / "run.json").read_text(encoding="utf-8"))
    card = json.loads((store / "tiny.json").read_text(encoding="utf-8"))
    assert record["model"] == {"name": "tiny", "sha256": card["sha256"]}
    assert record["parameters"]["device"] == "cpu"
    assert record["parameters"]["engine"] in ("torch", "onnxruntime", "openvino")
    assert record["threshold"] == 0.3
    assert RESEARCH in record["notice"]
    assert record["seen_in_training"] is None
    assert record["files"] == [name for name in NAMES if (target / name).is_file()]
    steps = record["seconds"]
    assert set(steps) >= {"read", "load", "segment", "write", "total"}
    assert steps["total"] >= 0.99 * sum(steps[name] for name in ("read", "load", "segment", "write")) - 0.01

    ct = phantom()
    centroids = np.array([nodule["centroid_ras"] for nodule in record["nodules"]])
    for k, j, i, radius in NODULES:
        distance = np.linalg.norm(centroids - ct.kji_to_ras(np.array([k, j, i], float)), axis=1)
        assert distance.min() < radius
    with (target / "nodules.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record["nodules"])

    image = sitk.ReadImage(str(target / "nodules.seg.nrrd"))
    assert image.GetMetaData("Segment0_ID") == record["nodules"][0]["uid"]
    labels = sitk.GetArrayFromImage(image)
    assert labels.shape == ct.shape
    for k, j, i, _ in NODULES:
        assert labels[k, j, i] > 0
    assert (target / "overview.png").read_bytes().startswith(b"\x89PNG")
    if have_slicer:
        assert (target / "scene.mrb").read_bytes()[:2] == b"PK"
        assert record["left_out"] == {}
    lines = [line.rstrip() for line in ended.out.splitlines() if line.strip()]
    assert len(lines) == 1 + len(rows)
    for line, nodule in zip(lines[1:], record["nodules"]):
        assert len(line) <= 80
        assert f"{nodule['long_axis_mm']:.1f} × {nodule['short_axis_mm']:.1f}" in line
        assert line.endswith(" ".join(f"{value:.1f}" for value in nodule["centroid_ras"]))  # as --ras takes it
    assert RESEARCH in ended.err


def test_earlier_result_is_replaced_and_other_files_stay(cli, store, phantom_path, tmp_path, quick_outputs):
    (tmp_path / "scene.mrb").write_text("of an earlier run")
    (tmp_path / "notes.txt").write_text("mine")
    roi = ("--roi", "10", "-20", "-20", "80", "20", "20")  # around the nodule of the right lung
    ended = cli("segment", phantom_path, "-o", tmp_path, "-m", "tiny", "--device", "cpu", *roi)
    assert ended.code == 0, ended.err
    assert sorted(files(tmp_path)) == ["nodules.csv", "nodules.seg.nrrd", "notes.txt", "overview.png", "run.json"]
    assert "slicer-core" in ended.err
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert "slicer-core" in record["left_out"]["scene.mrb"]
    assert np.allclose(record["parameters"]["roi"], [[10, -20, -20], [80, 20, 20]])
    assert all(nodule["centroid_ras"][0] > 0 for nodule in record["nodules"])  # none of the left lung


def test_uncertainty_is_written_on_the_grid_of_the_ct_and_goes_with_the_next_run(
    cli, store, phantom_path, tmp_path, quick_outputs
):
    roi = ("--roi", "10", "-20", "-20", "80", "20", "20")
    ended = cli("segment", phantom_path, "-o", tmp_path, "-m", "tiny", "--uncertainty", *roi)
    assert ended.code == 0, ended.err
    image, labels = (sitk.ReadImage(str(tmp_path / name)) for name in ("uncertainty.nrrd", "nodules.seg.nrrd"))
    values = sitk.GetArrayFromImage(image)
    assert values.dtype == np.float32
    for get in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert np.allclose(getattr(image, get)(), getattr(phantom().to_sitk(), get)())
    inside = sitk.GetArrayFromImage(labels) > 0
    assert inside.any() and not np.isnan(values[inside]).any() and np.isnan(values).mean() > 0.3
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert "uncertainty.nrrd" in record["files"] and record["parameters"]["uncertainty"] is True
    assert cli("segment", phantom_path, "-o", tmp_path, "-m", "tiny", *roi).code == 0
    assert not (tmp_path / "uncertainty.nrrd").exists()


def test_nothing_found_is_said_with_the_highest_probability_and_its_place(
    cli, store, phantom_path, tmp_path, quick_outputs
):
    roi = ("--roi", "10", "-20", "-20", "80", "20", "20")
    target = tmp_path / "out"
    ended = cli("segment", phantom_path, "-o", target, "-m", "tiny", "--threshold", "1.0", *roi)
    assert ended.code == 0, ended.err
    assert "No nodule found at the threshold 1.00." in ended.out
    record = json.loads((target / "run.json").read_text(encoding="utf-8"))
    assert record["nodules"] == []
    best = record["highest_probability"]["candidate"]
    assert f"{best['probability']:.2f} at R {best['ras'][0]:.1f}" in ended.out
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(target / "nodules.seg.nrrd"))).max() == 0


def test_training_series_is_said(cli, store, phantom_path, tmp_path, quick_outputs, monkeypatch):
    from LungNoduleSegLib.ct import CT

    read = CT.from_sitk.__func__
    # NRRD has no series UID; a DICOM folder would. The rest of the run is real.
    monkeypatch.setattr(
        CT, "from_sitk", classmethod(lambda cls, image, **kw: read(cls, image, **{**kw, "series_uid": TRAINED_SERIES}))
    )
    roi = ("--roi", "10", "-20", "-20", "80", "20", "20")
    ended = cli("segment", phantom_path, "-o", tmp_path / "out", "-m", "tiny", *roi)
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    if record["ct"]["series_uid"] != TRAINED_SERIES:
        pytest.skip("files are read without CT.from_sitk")
    assert record["seen_in_training"] == "train"
    assert "The model was trained on this CT" in ended.err
    assert OTHER_SERIES not in json.dumps(record)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "no-such-model"], "no model named 'no-such-model'"),
        (["--model", "absent"], "absent"),
        (["--model", "tiny", "--device", "quantum"], "quantum"),
        (["--model", "tiny", "--roi", "1000", "0", "0", "1100", "10", "10"], "--roi lies outside the CT, which spans"),
        (["--model", "tiny", "--roi", "0", "0", "0", "0", "10", "10"], "Expected --roi to be two opposite corners"),
        (["--model", "tiny", "--threshold", "1.5"], "'--threshold'"),
        (["--model", "tiny", "--min-diameter", "-1"], "'--min-diameter'"),
    ],
)
def test_input_errors_end_with_2_and_write_nothing(cli, store, phantom_path, tmp_path, arguments, said):
    ended = cli("segment", phantom_path, "--output", tmp_path / "a" / "b", *arguments)
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "empty folder", "text"])
def test_unreadable_ct_ends_with_2_and_its_name(cli, store, tmp_path, kind):
    path = tmp_path / "CT of a patient.nrrd"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a CT")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "nodules.csv").write_text("earlier")
    ended = cli("segment", path, "--output", tmp_path / "out", "--model", "tiny")
    assert ended.code == 2
    assert "CT of a patient" in ended.err
    assert "Traceback" not in ended.err
    assert files(tmp_path / "out") == {"nodules.csv": b"earlier"}


def test_output_that_is_a_file_is_refused_before_the_ct_is_read(cli, store, tmp_path):
    (tmp_path / "file").write_text("")
    ended = cli("segment", tmp_path / "absent.nrrd", "--output", tmp_path / "file", "--model", "tiny")
    assert ended.code == 2
    assert "the output folder is a file" in ended.err


class Fails:
    """A segmenter that reports progress and then ends as told."""

    def __init__(self, error: BaseException):
        self.error = error

    def segment(self, ct, progress=None, **_):
        progress(0.5, "half")
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "nothing was written"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(28, "No space left on device", "/some/where"), 1, "/some/where: No space left on device"),
        (RuntimeError("kernel [bold]broke[/]"), 1, "RuntimeError: kernel [bold]broke[/]"),
        (InputError("no lung in this CT", remedy="Give a chest CT."), 2, "no lung in this CT. Give a chest CT."),
    ],
)
def test_failures_while_running(cli, store, phantom_path, tmp_path, monkeypatch, error, code, said):
    import LungNoduleSegLib.segmenter as segmenter

    monkeypatch.setattr(segmenter, "load_segmenter", lambda *_, **__: Fails(error))
    (tmp_path / "run.json").write_text("earlier")
    ended = cli("segment", phantom_path, "--output", tmp_path, "--model", "tiny")
    assert ended.code == code
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert files(tmp_path) == {"run.json": b"earlier"}


def test_failure_while_writing_leaves_the_earlier_result(
    cli, store, phantom_path, tmp_path, monkeypatch, quick_outputs
):
    from LungNoduleSegLib.mrml import seg_nrrd

    monkeypatch.setattr(seg_nrrd, "write_seg_nrrd", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    (tmp_path / "run.json").write_text("earlier")
    roi = ("--roi", "10", "-20", "-20", "80", "20", "20")
    ended = cli("segment", phantom_path, "--output", tmp_path, "--model", "tiny", *roi)
    assert ended.code == 1
    assert "No space left" in ended.err
    assert files(tmp_path) == {"run.json": b"earlier"}


def test_picture_that_cannot_be_drawn_costs_only_itself(cli, store, phantom_path, tmp_path, monkeypatch, quick_outputs):
    from LungNoduleSegLib.cli import outputs

    monkeypatch.setattr(outputs, "write_overview", lambda *_, **__: (_ for _ in ()).throw(ValueError("a bug")))
    roi = ("--roi", "10", "-20", "-20", "80", "20", "20")
    ended = cli("segment", phantom_path, "--output", tmp_path / "out", "--model", "tiny", *roi)
    assert ended.code == 0
    assert "overview.png was left out: ValueError: a bug" in ended.err
    assert "overview.png" not in files(tmp_path / "out")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_real_process_cleanly(store, phantom_path, tmp_path, number, code):
    target = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "LungNoduleSegLib.cli",
        "segment",
        str(phantom_path),
        "-o",
        str(target),
        "-m",
        "tiny",
    ]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        env=library_environment(),
        cwd=ROOT,
        # Test runs that a shell started in the background hand down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".lns-*")):  # the run has begun
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []
