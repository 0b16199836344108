"""What a claim comes to, by a stated rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.metrics import Difference

SUPPORTED, CONTRADICTED, NOT_SEPARABLE, NOT_TESTABLE = (
    "supported", "contradicted", "not separable", "not testable here",
)  # fmt: skip

RULE = "by the intervals"
"""Short for :data:`RULE_IN_FULL`, which stands below the table."""

RULE_IN_FULL = (
    "supported: every interval lies above 0; contradicted: one lies below 0; else not testable here where a row is "
    "missing or has one seed, else not separable"
)


@dataclass(frozen=True)
class Claim:
    """What the thesis says, what we found, the rule that decides, and what it comes to."""

    said: str
    evidence: str
    rule: str
    verdict: str


def of_differences(differences: Sequence[Difference | None]) -> str:
    """Verdict on "every one of these differences is above 0", :data:`RULE_IN_FULL`.

    A row with one seed cannot be told from the luck of its training, so its differences decide nothing either way.
    """
    known = [d for d in differences if d is not None and min(d.n_seeds) > 1]
    if any(d.high < 0 for d in known):
        return CONTRADICTED
    if len(known) < len(differences) or not known:
        return NOT_TESTABLE
    return SUPPORTED if all(d.low > 0 for d in known) else NOT_SEPARABLE


def of_any(groups: Sequence[Sequence[Difference | None]], opposite: Sequence[Sequence[Difference | None]]) -> str:
    """Verdict on "in one of these groups every difference is above 0".

    Supported where one is; contradicted where one of the ``opposite`` groups is all above 0 instead; not testable where
    a row is missing; else not separable.
    """
    if any(of_differences(group) == SUPPORTED for group in groups):
        return SUPPORTED
    if any(of_differences(group) == SUPPORTED for group in opposite):
        return CONTRADICTED
    if any(of_differences(group) == NOT_TESTABLE for group in groups):
        return NOT_TESTABLE
    return NOT_SEPARABLE


def in_words(differences: dict[str, Difference | None], measure: str) -> str:
    """Differences with their intervals, n, and the smallest that could have been seen."""
    if not differences:
        return ""
    parts = []
    for name, found in differences.items():
        if found is None:
            parts.append(f"{name}: not run, or not comparable")
            continue
        seeds = f"seeds {found.n_seeds[0]} and {found.n_seeds[1]}"
        alone = ", one seed: not decided by" if min(found.n_seeds) < 2 else ""
        parts.append(f"{name} {found} ({seeds}, detectable {found.smallest_detectable:.3f}{alone})")
    known = [d for d in differences.values() if d is not None]
    size = f" [{known[0].n_images} images, {known[0].n_patients} patients]" if known else ""
    return f"{measure}, difference: {'; '.join(parts)}{size}"
