"""The nodule value: what it accepts, what it refuses, and that it survives JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from LungNoduleSegLib.nodules.nodule import Nodule, equivalent_diameter_mm, is_uid, new_uid, sphere_volume_mm3


def nodule(**changed) -> Nodule:
    fields = {
        "uid": "2.25.1234",
        "label": 3,
        "centroid_ras": (1.0, -2.0, 3.5),
        "volume_mm3": 500.0,
        "long_axis_mm": 12.0,
        "short_axis_mm": 8.0,
        "mean_diameter_mm": 10.0,
        "mean_hu": -40.0,
        "attenuation": "solid",
        "solid_diameter_mm": None,
        "probability": 0.9,
        "side": "left",
        "long_axis_ras": ((0, 0, 0), (12, 0, 0)),
        "short_axis_ras": ((6, -4, 0), (6, 4, 0)),
        "bounds_kji": ((1, 2, 3), (4, 5, 6)),
    }
    return Nodule(**(fields | changed))


def test_numpy_values_become_plain_and_json_reads_back_equal():
    made = nodule(
        label=np.uint16(3),
        probability=np.float32(0.5),
        centroid_ras=np.array([1.0, 2.0, 3.0]),
        long_axis_ras=np.zeros((2, 3)),
        bounds_kji=np.array([[0, 1, 2], [3, 4, 5]]),
    )
    assert type(made.label) is int
    assert type(made.probability) is float
    assert made.bounds_kji == ((0, 1, 2), (3, 4, 5))
    assert hash(made) == hash(replace(made))
    assert Nodule.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_name_and_equivalent_diameter():
    made = nodule(label=7, volume_mm3=4 / 3 * math.pi * 5**3)
    assert made.name == "Nodule 7"
    assert made.equivalent_diameter_mm == pytest.approx(10.0, rel=1e-12)
    assert sphere_volume_mm3(equivalent_diameter_mm(123.4)) == pytest.approx(123.4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uid", "not a uid"),
        ("uid", "2.25.007"),
        ("label", 0),
        ("label", 1.5),
        ("volume_mm3", 0.0),
        ("volume_mm3", math.nan),
        ("mean_hu", math.inf),
        ("mean_hu", "dense"),
        ("short_axis_mm", 12.1),
        ("attenuation", "Solid"),
        ("solid_diameter_mm", 4.0),
        ("probability", 1.01),
        ("side", "L"),
        ("centroid_ras", (1.0, 2.0)),
        ("long_axis_ras", ((0, 0, 0),)),
        ("bounds_kji", ((1, 2, 3), (4, 2, 6))),
        ("bounds_kji", ((-1, 2, 3), (4, 5, 6))),
        ("bounds_kji", ((0.5, 2, 3), (4, 5, 6))),
    ],
)
def test_a_wrong_value_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"`{field}`"):
        nodule(**{field: value})


def test_a_part_solid_nodule_may_carry_the_size_of_its_solid_part():
    assert nodule(attenuation="part-solid", solid_diameter_mm=4.0).solid_diameter_mm == 4.0
    assert nodule(attenuation="part-solid").solid_diameter_mm is None


def test_new_uids_are_valid_and_differ():
    uids = {new_uid() for _ in range(100)}
    assert len(uids) == 100
    assert all(is_uid(uid) and uid.startswith("2.25.") for uid in uids)


@pytest.mark.parametrize("text", ["", "1", "1..2", "1.2.", "1.02", "1." + "2" * 63, "1.2\n", None])
def test_what_is_no_uid(text):
    assert not is_uid(text)
