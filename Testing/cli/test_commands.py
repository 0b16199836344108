"""``click``, ``models``, the help, and the parts that they stand on."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from LungNoduleSegLib.cli.click import join_points
from LungNoduleSegLib.cli.console import ProgressBar
from LungNoduleSegLib.cli.inputs import bounds_ras, check_inside, parse_points, roi_box
from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.report.processes import library_environment
from LungNoduleSegLib.report.text import ras_text
from Testing.cli.tiny import NODULES, phantom

ROOT = Path(__file__).resolve().parents[2]


def test_click_segments_the_nodule_at_the_point(cli, store, phantom_path, tmp_path, quick_outputs):
    k, j, i, radius = NODULES[0]
    ct = phantom()
    x, y, z = ct.kji_to_ras(np.array([k, j, i], float))
    target = tmp_path / "click"
    ended = cli(
        "click",
        phantom_path,
        "--ras",
        x,
        y,
        z,
        "--ras",
        x + 1,
        y,
        z,
        "--negative",
        -x,
        y,
        z,
        "-o",
        target,
        "-m",
        "tiny",
    )
    assert ended.code == 0, ended.err
    record = json.loads((target / "run.json").read_text(encoding="utf-8"))
    assert record["command"] == "click"
    assert record["kind"] == "SEMIAUTOMATIC"
    assert record["threshold"] is None
    assert np.allclose(record["parameters"]["positive_ras"], [[x, y, z], [x + 1, y, z]])
    assert np.allclose(record["parameters"]["negative_ras"], [[-x, y, z]])
    (nodule,) = record["nodules"]
    assert np.linalg.norm(np.subtract(nodule["centroid_ras"], (x, y, z))) < 2
    assert nodule["long_axis_mm"] == pytest.approx(2 * radius, abs=3)
    assert "right" in ended.out


def test_point_outside_the_ct_is_named_with_where_the_ct_is(cli, store, phantom_path, tmp_path):
    for option in ("--ras", "--negative"):
        points = ["--ras", 40, 0, 0, option, 500, 0, -3.5]
        ended = cli("click", phantom_path, *points, "-o", tmp_path / "x", "-m", "tiny")
        assert ended.code == 2
        assert f"{option} 500 0 -3.5 lies outside the CT, which spans X -89." in ended.err
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("points", [["--ras", "1", "2"], ["--ras", "a", "b", "c"], ["--ras", "nan", "0", "0"], []])
def test_bad_points_end_with_2(cli, store, phantom_path, tmp_path, points):
    ended = cli("click", phantom_path, "-o", tmp_path / "x", "-m", "tiny", *points)
    assert ended.code == 2
    assert "--ras" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        (["ct", "--ras", "1", "-2", "3", "-o", "x"], ["ct", "--ras", "1 -2 3", "-o", "x"]),
        (["--ras", "1,2,3", "ct"], ["--ras", "1,2,3", "ct"]),
        (["--ras", "1 2 3", "ct"], ["--ras", "1 2 3", "ct"]),
        (["--negative", "-1", "-2", "-3"], ["--negative", "-1 -2 -3"]),
        (["--ras=1,2,3"], ["--ras=1,2,3"]),
        (["--", "--ras", "1"], ["--", "--ras", "1"]),
        (["--ras"], ["--ras"]),
    ],
)
def test_three_values_become_one(given, joined):
    assert join_points(given) == joined


def test_points_are_parsed():
    assert parse_points(["1 -2 3.5", "4,5,6"], "--ras") == [(1, -2, 3.5), (4, 5, 6)]
    assert parse_points(None, "--ras") == []
    with pytest.raises(InputError, match="Expected --ras to be three numbers"):
        parse_points(["1 2"], "--ras")


def test_bounds_are_voxel_edges():
    ct = CT.from_array(np.zeros((2, 3, 4), np.int16), ijk_to_ras=np.diag([-1.0, -2.0, 3.0, 1.0]))
    low, high = bounds_ras(ct)
    assert low == pytest.approx((-3.5, -5, -1.5))
    assert high == pytest.approx((0.5, 1, 4.5))
    check_inside(ct, [(0.49, 0.99, 4.49), (-3.49, -4.99, -1.49)], "--ras")
    with pytest.raises(InputError, match="lies outside the CT"):
        check_inside(ct, [(0.51, 0, 0)], "--ras")
    assert roi_box(ct, (0, 0, 4, -3, -4, 0)) == ((-3, -4, 0), (0, 0, 4))
    assert roi_box(ct, None) is None


def test_models_table_and_json(cli, store):
    ended = cli("models")
    assert ended.code == 0
    tiny = next(line for line in ended.out.splitlines() if line.startswith("tiny "))
    assert "yes" in tiny
    absent = next(line for line in ended.out.splitlines() if line.startswith("absent "))
    assert "no" in absent
    assert "Train it." in ended.out
    listed = {model["name"]: model for model in json.loads(cli("models", "--json").out)}
    assert listed["tiny"]["available"] is True
    assert Path(listed["tiny"]["path"]).stat().st_size == listed["tiny"]["size_bytes"]
    assert listed["tiny"]["parameters"] == listed["tiny"]["card"]["parameters"]
    assert listed["tiny"]["card"]["training"]["series"]["train"]
    assert listed["absent"]["available"] is False
    assert listed["absent"]["path"] is None


@pytest.mark.parametrize(
    "arguments", [["--help"], ["segment", "--help"], ["click", "--help"], ["models"], ["--version"]]
)
def test_what_needs_no_network_imports_no_torch(arguments, store):
    code = (
        "import sys\nfrom LungNoduleSegLib.cli.app import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        "heavy = {'torch', 'vtk', 'vtkmodules', 'slicer', 'SimpleITK', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=library_environment(), cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()


def test_without_a_command_the_help_is_shown(cli):
    ended = cli()
    assert ended.code in (0, 2)
    assert "segment" in ended.out + ended.err


def test_places_are_told_with_letters():
    assert ras_text((1.04, -2.0, -3.26)) == "R 1.0, P 2.0, I 3.3 mm"
    assert ras_text((-1.0, 2.0, 3.0)) == "L 1.0, A 2.0, S 3.0 mm"


def test_progress_bar_runs_through_its_steps(monkeypatch):
    from LungNoduleSegLib.cli import console

    terminal = Console(force_terminal=True, width=120, file=io.StringIO())
    monkeypatch.setattr(console, "err", lambda: terminal)
    with ProgressBar([("one", 1), ("two", 3)]) as bar:
        tell = bar.step("one")
        tell(0.5, "half of [one]")
        task = bar._progress.tasks[0]
        assert task.completed == pytest.approx(0.125)
        assert task.description == r"half of \[one]"
        tell = bar.step("two")
        assert task.completed == pytest.approx(0.25)
        tell(2.0, "")
        assert task.completed == pytest.approx(1.0)
