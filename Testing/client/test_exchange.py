"""Files for the other process: what is in them, where they lie, and that they do not stay."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from LungNoduleSegLib.client import exchange as module
from LungNoduleSegLib.client.exchange import Base, Exchange, as_line, remove_left_overs
from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import Cancelled
from LungNoduleSegLib.runner import _load_base, _read


@pytest.fixture
def exchange():
    made = Exchange()
    yield made
    made.remove()
    made.remove()
    assert not made.folder.exists()


@pytest.mark.parametrize("uid", ["", "1.2.3"])
def test_a_volume_is_read_back_by_the_runner(exchange, uid, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 100)  # several pieces, the last one shorter
    rng = np.random.default_rng(0)
    matrix = np.array([[-0.7, 0, 0, 10], [0, -0.7, 0, 20], [0, 0, 2.5, -30], [0, 0, 0, 1.0]])
    ct = CT.from_array(rng.integers(-1000, 1000, (5, 7, 9)), ijk_to_ras=matrix, series_uid=uid, study_uid=uid)
    path = exchange.write_volume("volume.npz", ct)
    assert path.stat().st_size < ct.hu.nbytes + 2000
    back = _read({"volume": str(path)})
    np.testing.assert_array_equal(back.hu, ct.hu)
    np.testing.assert_array_equal(back.ijk_to_ras, matrix)
    assert (back.series_uid, back.study_uid) == (uid, uid)


def test_writing_ends_when_it_is_cancelled(exchange, ct, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1000)
    asked = iter([False] * 20)
    with pytest.raises(Cancelled):
        exchange.write_volume("volume.npz", ct, lambda: next(asked, True))
    assert exchange.path("volume.npz").stat().st_size < 30_000


def test_a_segment_is_read_back_by_the_runner(exchange):
    mask = np.random.default_rng(0).random((3, 4, 5)) > 0.5
    path = exchange.write_base("base.npz", Base((7, 8, 9), mask))
    offset, back = _load_base({"labels": str(path)})
    assert offset == (7, 8, 9) and back.dtype == bool
    np.testing.assert_array_equal(back, mask)


def test_a_job_is_one_line_of_ascii(exchange):
    job = {"ct": Path("Bilder ä/1"), "roi": ((np.float64(1.5), 2), np.array([3, 4])), "threads": None}
    text = as_line(job)
    assert text.isascii() and "\n" not in text
    assert json.loads(text) == {"ct": str(Path("Bilder ä/1")), "roi": [[1.5, 2], [3, 4]], "threads": None}
    assert json.loads(exchange.write_job("job.json", job).read_bytes()) == json.loads(text)
    with pytest.raises(TypeError, match="object"):
        as_line({"volume": object()})


def test_the_place_is_the_users_own_if_its_path_is_ascii(monkeypatch, tmp_path_factory):
    plain = tmp_path_factory.mktemp("plain b")
    monkeypatch.setattr(tempfile, "tempdir", str(plain))
    made = Exchange()
    assert made.folder.parent == plain and str(made.folder).isascii()
    made.remove()


@pytest.mark.skipif(sys.platform == "win32", reason="other places than on Windows")
def test_another_place_is_taken_where_letters_may_be_lost(monkeypatch, tmp_path):
    own = tmp_path / "Jörg"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    made = Exchange()
    assert str(made.folder).isascii() and made.folder.stat().st_mode & 0o077 == 0
    made.remove()
    # Where there is no other one, it must do.
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    made = Exchange()
    assert made.folder.parent == own
    made.remove()


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path, exchange):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    prefix = exchange.folder.name.rsplit("-", 2)[0]
    left = tmp_path / f"{prefix}-{dead.pid}-abc"
    living = tmp_path / exchange.folder.name
    elsewhere = tmp_path / f"lns-other1-{dead.pid}-abc"  # of another computer
    foreign = tmp_path / f"{prefix}-notes-abc"
    for folder in (left, living, elsewhere, foreign):
        folder.mkdir()
        (folder / "volume.npz").write_bytes(b"x")
    assert remove_left_overs(tmp_path) == [left]
    assert sorted(tmp_path.iterdir()) == sorted([living, elsewhere, foreign])
