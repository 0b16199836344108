"""Which side of the split a patient is on."""

from __future__ import annotations

import hashlib

ALWAYS_TRAIN = frozenset(f"LIDC-IDRI-{n:04d}" for n in (1, 6, 7, 9, 10, 181))
"""Patients whose complete scans give training its true negatives."""

NEVER_USED = frozenset({"LIDC-IDRI-0063"})
"""The development scan of every end-to-end run: in no part of the split."""

VALIDATION_PERCENT, TEST_PERCENT = 10, 15


def side(patient_id: str) -> str:
    """ "train", "validation", "test" or "none" by SHA-256 of the patient's ID, the same on every machine for ever."""
    if patient_id in NEVER_USED:
        return "none"
    if patient_id in ALWAYS_TRAIN:
        return "train"
    percent = int(hashlib.sha256(patient_id.encode("ascii")).hexdigest()[:8], 16) % 100
    if percent < TEST_PERCENT:
        return "test"
    return "validation" if percent < TEST_PERCENT + VALIDATION_PERCENT else "train"


def describe() -> dict[str, object]:
    """The rule as written into model cards."""
    return {
        "unit": "patient",
        "rule": "SHA-256 of the patient ID, first 8 hex digits mod 100",
        "test": f"0..{TEST_PERCENT - 1}",
        "validation": f"{TEST_PERCENT}..{TEST_PERCENT + VALIDATION_PERCENT - 1}",
        "train": f"{TEST_PERCENT + VALIDATION_PERCENT}..99",
        "always_train": sorted(ALWAYS_TRAIN),
        "never_used": sorted(NEVER_USED),
    }
