"""Operating points from prepared scans: the same truth that reading the scan again gives."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.candidate import Candidate
from Testing.training.prepare.made_source import dicom_source
from training.data import scans as scans_module
from training.evaluate import whole_scans
from training.evaluate.whole_scans import read_truth
from training.prepare import run, work
from training.prepare.store import Store
from training.publish.operating import judged_stored, set_operating_points
from training.publish.scoring import judge_candidates, operating_curve
from training.publish.stored_scans import evenly, open_stored
from training.sources import Sources


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A prepared scan: a nodule of three readers, one of one, and a mark at (10, 30, 30)."""
    ct, scan, _ = dicom_source(tmp_path / "data" / "LIDC-IDRI")
    (tmp_path / "data" / "lidc_marks.csv").write_text(
        f"patient,series_instance_uid,reader,kind,z_mm,column,row\n,{scan.series_uid},0,nodule_lt3,10,30,30\n"
    )
    for module in (work, scans_module):
        monkeypatch.setattr(module, "lung_mask", lambda ct: np.ones(ct.shape, bool))
    monkeypatch.setattr(run, "read_scans", lambda: [scan])
    monkeypatch.setattr(whole_scans, "read_scans", lambda series_uids: [scan])
    done = run.prepare(tmp_path / "data", tmp_path / "cache", progress=False)
    (one,) = done.store.scans("train")
    return one, ct, scan, tmp_path


def candidate(k: int, j: int, i: int) -> Candidate:
    return Candidate((k, j, i), np.ones((1, 2, 2), bool), 0.5, 0.5, (0.0, 0.0, 0.0), 5.0, {})


FOUND = [candidate(*at) for at in ((4, 64, 74), (8, 103, 103), (10, 34, 30), (10, 30, 45), (2, 10, 10))]


def test_candidates_are_judged_as_on_the_scan_itself(stored):
    one, ct, scan, folder = stored
    truth = read_truth(replace(ct, series_uid=scan.series_uid), scan.z_mm, (0, 0), folder / "data" / "lidc_marks.csv")
    direct = judge_candidates(FOUND, truth, ct.shape)
    (judged,) = judged_stored(SimpleNamespace(segment=lambda ct, **_: SimpleNamespace(candidates=FOUND)), [one])
    assert judged.kinds == direct.kinds == ("nodule", "nodule", "finding", "false", "false")
    assert judged.hits == direct.hits
    assert judged.readers == direct.readers == (3, 1)
    read, again, _ = open_stored(one)
    assert np.array_equal(read.hu, ct.hu)
    for nodule, other in zip(truth.nodules, again.nodules, strict=True):
        placed, stored_mask = np.zeros(ct.shape, bool), np.zeros(ct.shape, bool)
        placed[truth.box(nodule)] = nodule.mask
        stored_mask[again.box(other)] = other.mask
        assert np.array_equal(placed, stored_mask)


def test_nodules_of_one_reader_count_where_there_are_no_others(stored):
    one, *_ = stored
    (judged,) = judged_stored(SimpleNamespace(segment=lambda ct, **_: SimpleNamespace(candidates=FOUND)), [one])
    scores = [np.array([0.9, 0.8, 0.7, 0.6, 0.5])]
    assert {p["nodules"] for p in operating_curve([judged], scores)} == {1}
    own = replace(judged, readers=(1, 1))
    last = operating_curve([own], scores)[-1]
    assert (last["found"], last["nodules"], last["false_positives"]) == (2, 2, 2)


def test_an_even_choice():
    assert evenly(list("abcdefg"), 3) == ["a", "d", "g"]
    assert evenly(list("ab"), 3) == evenly(list("ab"), 0) == ["a", "b"]


def test_too_few_scans_are_named(stored, monkeypatch):
    _, _, _, folder = stored
    operating = sys.modules["training.publish.operating"]
    monkeypatch.setattr(operating, "plain_scoring", lambda *_: (None, None))
    assert Store.is_there(folder / "cache")
    with pytest.raises(InputError, match=r"1 whole scans .* needs two") as caught:
        set_operating_points("m", folder, Sources(folder, folder / "cache"))
    assert "--scans" in str(caught.value.remedy)
