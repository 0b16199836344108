"""What a card says of the data and of the weights that a run started from."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import checks
from Testing.training.synthetic import TEST, TRAIN, VALIDATION, disc_crops
from training.publish.origin import (
    START_FILE,
    UNPREPARED,
    as_uid,
    check_not_seen,
    data_text,
    forget_start,
    is_lidc,
    parent_of,
    runs_before,
    series_by_side,
    series_of,
    write_start,
)
from training.sources import Sources

MODEL = {"model": "m", "version": "0.1.0", "sha256": "0" * 64, "data": "much", "series": {"train": ["1.9"],
         "validation": ["1.2.0", "1.8"]}, "licence": "Apache-2.0"}  # fmt: skip
OWN = {"cases of the user (CT and segmentation)": {"items": 3, "patients": 2, "crops": 20, "complete_scans": 3}}


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setattr(Sources, "scans", lambda self: [])
    return Sources(tmp_path, tmp_path)


def test_a_name_becomes_a_uid_and_a_uid_stays():
    made = as_uid("case:anna")
    assert checks.uids([made, as_uid("case:berta"), as_uid("1.2.3")], "series")[2] == "1.2.3"
    assert made == as_uid("case:anna")
    assert made.startswith("2.25.")
    assert int(made[5:]) < 2**128
    assert as_uid("1." + "2" * 70).startswith("2.25."), "too long to be one"


def test_series_of_the_first_weights_are_seen_too(sources):
    crops = disc_crops((TRAIN, VALIDATION, TEST), nodules_each=1)  # series 1.2.0, 1.2.1 and 1.2.2
    assert series_by_side(crops, sources) == {"train": ["1.2.0"], "validation": ["1.2.1"]}
    assert series_by_side(crops, sources, MODEL) == {"train": ["1.2.0", "1.9"], "validation": ["1.2.1", "1.8"]}
    found = series_by_side(replace(crops, series=np.full(len(crops.series), "case:a")), sources)
    assert found == {"train": [as_uid("case:a")], "validation": []}, "what trained is no validation"


def test_series_left_out_are_not_named_as_seen(sources):
    crops = disc_crops((TRAIN, VALIDATION, TEST), nodules_each=1)
    assert series_by_side(crops, sources, leave_out=(TRAIN,)) == {"train": [], "validation": ["1.2.1"]}
    left_out = series_of((TRAIN,), crops, [])
    assert left_out == {"1.2.0"}
    check_not_seen(MODEL, left_out, sources.cache)
    with pytest.raises(InputError, match=r"trained on 1 of the series that this run leaves out, such as 1\.9"):
        check_not_seen(MODEL, left_out | {"1.9"}, sources.cache)


def test_the_model_behind_the_first_of_several_runs(sources):
    write_start(sources.run("a"), MODEL)
    write_start(sources.run("b"), {"run": "a"})
    write_start(sources.run("c"), {"run": "b"})
    assert parent_of(sources, sources.run("c")) == MODEL
    assert runs_before(sources, sources.run("c")) == [sources.run("b"), sources.run("a")]
    forget_start(sources.run("a"))
    forget_start(sources.run("a"))
    assert parent_of(sources, sources.run("c")) is None
    write_start(sources.run("a"), {"run": "c"})
    assert parent_of(sources, sources.run("c")) is None, "runs that name each other have no model"
    (sources.run("b") / START_FILE).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        parent_of(sources, sources.run("c"))


def test_the_sentence_on_the_data():
    assert data_text({"sources": {"public crops (LIDC-IDRI slices)": {}}}) == UNPREPARED
    own = {"sources": OWN, "crops_in_all": {}}
    assert data_text(own) == (
        "cases of the user (CT and segmentation), 2 patients, 20 crops around nodules, 3 whole volumes"
    )
    assert data_text(own, MODEL).endswith("; started from m 0.1.0, which was trained on much")
    assert not is_lidc(own)
    both = {"sources": {"scans of LIDC-IDRI cropped to the lungs": {"patients": 1}, **OWN}, "crops_in_all": {}}
    assert is_lidc(both)
    assert data_text(both).startswith("LIDC-IDRI (Armato et al. 2011, CC BY 3.0): scans of LIDC-IDRI cropped")
    assert json.dumps(both)
