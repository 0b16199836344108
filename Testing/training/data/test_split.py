"""The split stays what it is for ever: a changed side would be a leak between training and test."""

from __future__ import annotations

import hashlib

import pytest

from LungNoduleSegLib.errors import InputError
from training.data.split import ALWAYS_TRAIN, NEVER_USED, describe, image_side, label, side

ALL = [f"LIDC-IDRI-{n:04d}" for n in range(1, 1013)]
SIDES_SHA256 = "e68aff7b0d11cf184744939808659e8a5d82bbe6a5ea2b7973697fa17b5b2d6b"
SLICE_SIDES_SHA256 = "dddff50ff2f1d99c5b97d1a79d778ec476e0838d8bef214a99bb6d8ca5524f7f"


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ("LIDC-IDRI-0002", "train"),
        ("LIDC-IDRI-0003", "train"),
        ("LIDC-IDRI-0004", "validation"),
        ("LIDC-IDRI-0005", "test"),
        ("LIDC-IDRI-0008", "test"),
        ("LIDC-IDRI-0011", "train"),
    ],
)
def test_known_patients(patient, expected):
    assert side(patient) == expected


def test_no_patient_changes_side():
    text = ",".join(f"{p}={side(p)}" for p in ALL)
    assert hashlib.sha256(text.encode()).hexdigest() == SIDES_SHA256


def test_patients_with_complete_scans_are_always_train():
    assert {p[-4:] for p in ALWAYS_TRAIN} == {"0001", "0006", "0007", "0009", "0010", "0181"}
    assert {side(p) for p in ALWAYS_TRAIN} == {"train"}


def test_the_development_scan_is_on_no_side():
    assert set(NEVER_USED) == {"LIDC-IDRI-0063"}
    assert side("LIDC-IDRI-0063") == "none"
    assert not NEVER_USED & ALWAYS_TRAIN
    assert [p for p in ALL if side(p) == "none"] == ["LIDC-IDRI-0063"]


def test_shares_over_all_patients_of_the_database(lidc_scans):
    patients = {scan.patient_id for scan in lidc_scans}
    assert len(patients) == 1010
    sides = [side(p) for p in patients]
    for name, percent in (("train", 75), ("validation", 10), ("test", 15)):
        # Three standard deviations of drawing 1010 patients at that rate.
        spread = 3 * (percent / 100 * (1 - percent / 100) * 1010) ** 0.5
        assert sides.count(name) == pytest.approx(percent / 100 * 1010, abs=spread)


def test_the_rule_as_described_is_the_rule():
    rule = describe()
    ranges = {name: [int(v) for v in rule[name].split("..")] for name in ("test", "validation", "train")}
    assert sorted(ranges.values()) == [[0, 14], [15, 24], [25, 99]]
    for patient in ALL:
        if patient in rule["always_train"] or patient in rule["never_used"]:
            continue
        number = int(hashlib.sha256(patient.encode()).hexdigest()[:8], 16) % 100
        low, high = ranges[side(patient)]
        assert low <= number <= high


def test_the_leaky_split_parts_the_slices_of_one_nodule():
    sides = [image_side("LIDC-IDRI-0002", "1.2.3", 0, k) for k in range(2000)]
    for name, percent in (("train", 75), ("validation", 10), ("test", 15)):
        spread = 4 * (percent / 100 * (1 - percent / 100) * 2000) ** 0.5
        assert sides.count(name) == pytest.approx(percent / 100 * 2000, abs=spread)
    assert sides == [image_side("LIDC-IDRI-0002", "1.2.3", 0, k) for k in range(2000)]
    assert sides != [image_side("LIDC-IDRI-0002", "1.2.3", 1, k) for k in range(2000)]


def test_the_leaky_split_stays_what_it_is():
    text = ",".join(image_side("LIDC-IDRI-0002", f"1.2.{n}", n % 3, n % 7) for n in range(1000))
    assert hashlib.sha256(text.encode()).hexdigest() == SLICE_SIDES_SHA256


def test_the_leaky_split_keeps_the_fixed_patients():
    assert {image_side("LIDC-IDRI-0063", "1.2", 0, k) for k in range(200)} == {"none"}
    assert {image_side("LIDC-IDRI-0001", "1.2", 0, k) for k in range(200)} == {"train"}


def test_only_the_leaky_split_is_called_leaky():
    assert label("slice") == "slice (leaky)"
    assert label("patient") == "patient"
    assert "leaky" in describe("slice")
    assert describe("patient") == describe()
    assert "leaky" not in describe()
    assert describe("slice")["unit"] == "slice"
    with pytest.raises(InputError, match=r"no split is called 'nodule'.*patient, slice"):
        describe("nodule")
