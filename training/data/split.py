"""Which side of the split a patient, or an image, is on.

``patient`` is the rule for anything that is claimed. ``slice`` is the thesis': images of one nodule lie on both sides,
so a network is asked about what it has nearly seen; it is here to measure how much of a score that leak is worth.
"""

from __future__ import annotations

import hashlib

from LungNoduleSegLib.errors import InputError

ALWAYS_TRAIN = frozenset(f"LIDC-IDRI-{n:04d}" for n in (1, 6, 7, 9, 10, 181))
"""Patients whose complete scans give training its true negatives."""

NEVER_USED = frozenset({"LIDC-IDRI-0063"})
"""The development scan of every end-to-end run: in no part of the split."""

VALIDATION_PERCENT, TEST_PERCENT = 10, 15

PROTOCOLS = ("patient", "slice")
"""What one unit of the split is."""

LEAKY = frozenset({"slice"})
"""Protocols whose figures flatter: the same patient is on two sides."""


def side(patient_id: str) -> str:
    """ "train", "validation", "test" or "none" by SHA-256 of the patient's ID, the same on every machine for ever."""
    return _fixed(patient_id) or _side_of(patient_id)


def image_side(patient_id: str, series_uid: str, nodule: int, slice_number: int) -> str:
    """The side of one image under the leaky ``slice`` protocol.

    Parameters
    ----------
    nodule, slice_number
        Number of the nodule among those of its series, and of the slice among those of the nodule, both from 0.

    Patients whose side is fixed keep it: no split uses what is never used, nor tests on what always trains.
    """
    return _fixed(patient_id) or _side_of(f"{series_uid}/{nodule}/{slice_number}")


def check_protocol(protocol: str) -> str:
    """``protocol`` itself; InputError where there is none of that name."""
    if protocol not in PROTOCOLS:
        raise InputError(f"no split is called {protocol!r}", remedy=f"Choose one of: {', '.join(PROTOCOLS)}.")
    return protocol


def label(protocol: str) -> str:
    """How tables and cards call a protocol: a leaky one says so."""
    return f"{protocol} (leaky)" if check_protocol(protocol) in LEAKY else protocol


def describe(protocol: str = "patient") -> dict[str, object]:
    """The rule as written into model cards."""
    units = {
        "patient": "SHA-256 of the patient ID, first 8 hex digits mod 100",
        "slice": "SHA-256 of SERIES/NODULE/SLICE (numbers from 0), first 8 hex digits mod 100",
    }
    rule: dict[str, object] = {
        "unit": check_protocol(protocol),
        "rule": units[protocol],
        "test": f"0..{TEST_PERCENT - 1}",
        "validation": f"{TEST_PERCENT}..{TEST_PERCENT + VALIDATION_PERCENT - 1}",
        "train": f"{TEST_PERCENT + VALIDATION_PERCENT}..99",
        "always_train": sorted(ALWAYS_TRAIN),
        "never_used": sorted(NEVER_USED),
    }
    if protocol in LEAKY:
        rule["leaky"] = "slices of one nodule are on both sides; figures flatter and are no estimate for new patients"
    return rule


def _fixed(patient_id: str) -> str | None:
    if patient_id in NEVER_USED:
        return "none"
    return "train" if patient_id in ALWAYS_TRAIN else None


def _side_of(name: str) -> str:
    percent = int(hashlib.sha256(name.encode("utf-8")).hexdigest()[:8], 16) % 100
    if percent < TEST_PERCENT:
        return "test"
    return "validation" if percent < TEST_PERCENT + VALIDATION_PERCENT else "train"
