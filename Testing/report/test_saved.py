"""A result in a file and back, and the record of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.spread import SpreadBox
from LungNoduleSegLib.report.record import plain, run_record, write_json
from LungNoduleSegLib.report.saved import load_result, save_result

SAME = (
    "nodules",
    "min_diameter_mm",
    "model",
    "model_sha256",
    "threshold",
    "parameters",
    "warnings",
    "best",
    "seen_in_training",
    "kind",
)


@pytest.mark.parametrize("with_ct", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_round_trip(make, tmp_path, with_ct, count):
    result = make(count)
    path = tmp_path / "Ergebnis ä.npz"
    save_result(path, result, with_ct=with_ct)
    back = load_result(path, None if with_ct else result.ct)
    assert np.array_equal(back.labels, result.labels)
    assert back.labels.dtype == np.uint16
    assert not back.labels.flags.writeable
    for name in SAME:
        assert getattr(back, name) == getattr(result, name), name
    assert back.seconds == {"network": 1.25}
    assert len(back.candidates) == count
    for ours, theirs in zip(back.candidates, result.candidates):
        assert np.array_equal(ours.mask, theirs.mask)
        for name in ("offset_kji", "probability", "peak", "centroid_ras", "diameter_mm", "features"):
            assert getattr(ours, name) == getattr(theirs, name), name
    assert np.array_equal(back.ct.hu, result.ct.hu)
    assert np.array_equal(back.ct.ijk_to_ras, result.ct.ijk_to_ras)
    assert back.ct.series_uid == "1.2.3.4"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_uncertainty_is_kept_where_the_run_kept_it(make, tmp_path):
    result = make(2)
    save_result(tmp_path / "without.npz", result)
    assert load_result(tmp_path / "without.npz", result.ct).spread is None
    values = [np.full((1, 2, 3), 0.25, np.float16), np.array([[[0.5, np.nan]]], np.float16)]
    for boxes in ([], [SpreadBox((1, 2, 3), values[0]), SpreadBox((5, 6, 7), values[1])]):
        kept = replace(result, spread=tuple(boxes))
        save_result(tmp_path / "with.npz", kept)
        back = load_result(tmp_path / "with.npz", result.ct)
        np.testing.assert_array_equal(back.uncertainty(), kept.uncertainty())
        assert np.count_nonzero(~np.isnan(back.uncertainty())) == (7 if boxes else 0)


def test_threshold_of_what_is_read_back_can_be_changed(make, tmp_path):
    result = make(4)
    strict = result.at(0.91)
    assert len(strict.nodules) == 2
    save_result(tmp_path / "r.npz", strict)
    back = load_result(tmp_path / "r.npz", result.ct)
    assert back.nodules == strict.nodules
    wide = back.at(0.45)
    assert len(wide.nodules) == 4
    assert [n.uid for n in wide.nodules[:2]] == [n.uid for n in strict.nodules]  # a nodule keeps its UID
    assert np.array_equal(wide.labels, result.labels)


def test_file_without_the_ct_is_small(make, tmp_path):
    save_result(tmp_path / "r.npz", make(2))
    assert (tmp_path / "r.npz").stat().st_size < 20_000


def test_without_ct_one_must_be_given(result, tmp_path):
    save_result(tmp_path / "r.npz", result)
    with pytest.raises(InputError, match="holds no CT"):
        load_result(tmp_path / "r.npz")


def test_other_grid_is_refused(result, tmp_path):
    save_result(tmp_path / "r.npz", result)
    other = CT.from_array(result.ct.hu, spacing_mm=(3, 1.5, 1.4))
    with pytest.raises(InputError, match="another grid"):
        load_result(tmp_path / "r.npz", other)


def test_damaged_file_is_refused_with_its_name(result, tmp_path):
    path = tmp_path / "r.npz"
    save_result(path, result)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"r\.npz: is not a saved result"):
        load_result(path, result.ct)
    with pytest.raises(InputError, match="is not a saved result"):
        load_result(tmp_path / "absent.npz", result.ct)


def test_failed_writing_leaves_the_earlier_file(result, tmp_path, monkeypatch):
    path = tmp_path / "r.npz"
    path.write_bytes(b"earlier")
    monkeypatch.setattr(np, "savez_compressed", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_result(path, result)
    assert path.read_bytes() == b"earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["r.npz"]


def test_record_is_json_with_what_a_reader_needs(result, tmp_path):
    result = replace(result, seen_in_training="validation", warnings=("Slices are 5 mm apart.",))
    record = run_record(
        result, command="segment", started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc), seconds={"read": 0.5},
        files=["nodules.csv"], left_out={"scene.mrb": "no slicer-core"},
    )  # fmt: skip
    write_json(tmp_path / "run.json", record)
    read = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert read["started"] == "2026-01-02T03:04:05+00:00"
    assert read["seconds"] == {"network": 1.25, "read": 0.5}
    assert read["model"] == {"name": "model-2-compact", "sha256": "0" * 64}
    assert read["versions"]["numpy"] == np.__version__
    assert "LungNoduleSeg" in read["versions"]
    assert read["ct"]["series_uid"] == "1.2.3.4"
    assert read["ct"]["spacing_mm_kji"] == [3.0, 1.5, 1.5]
    assert len(read["nodules"]) == 2
    assert read["nodules"][0]["uid"] == result.nodules[0].uid
    assert read["highest_probability"]["candidate"]["probability"] == result.nodules[0].probability
    assert read["seen_in_training"] == "validation"
    assert read["warnings"][0].startswith("The model was tuned on this CT")
    assert "research use only" in read["notice"]
    assert read["left_out"] == {"scene.mrb": "no slicer-core"}


def test_plain_unpacks_numpy_and_what_json_cannot_say():
    value = {"a": np.float32(0.5), 1: (np.int64(2), float("nan")), "b": np.arange(2), "c": {3}, "d": object}
    assert plain(value) == {"a": 0.5, "1": [2, None], "b": [0, 1], "c": [3], "d": str(object)}
