"""The thesis' claims, held against the runs of one scale."""

from __future__ import annotations

from training.report.arithmetic import checks
from training.report.claims_better import baselines, parts, places
from training.report.claims_cost import choice, fusion
from training.report.layout import Findings
from training.report.resample import estimate
from training.report.study_tables import scale_words
from training.report.tables import Table
from training.report.verdicts import CONTRADICTED, NOT_TESTABLE, RULE, RULE_IN_FULL, SUPPORTED, Claim


def _level(findings: Findings, said: str, measure: str, level: float) -> Claim:
    """A printed level, of model 1: needs real negatives and the thesis' scale."""
    rule = (
        "at full scale with real negatives and two seeds or more: supported where the interval reaches the level, "
        "contradicted where it lies below; else not testable here"
    )
    row = findings.row("D", "model-1")
    honest = None if row is None else row.sample("iou_pos")
    sample = None if row is None else row.sample(measure)
    shown = f"{measure} n/a (no real negatives of test patients)" if sample is None else f"{measure} {estimate(sample)}"
    parts = ["model 1 not run"] if row is None else [f"model 1: {shown}"]
    if honest is not None:
        parts.append(f"iou_pos {estimate(honest)}")
    if findings.scale != "full" or sample is None or len(row.seeds) < 2:
        parts.append("no such level can be expected of networks this small" if findings.scale != "full" else "")
        return Claim(said, "; ".join(p for p in parts if p), rule, NOT_TESTABLE)
    verdict = SUPPORTED if estimate(sample).high >= level else CONTRADICTED
    return Claim(said, "; ".join(parts), rule, verdict)


def _fewer_percent() -> Claim:
    check = next(c for c in checks() if c.printed.startswith("39.61 %"))
    rule = "arithmetic on its own Table D: contradicted where no baseline's false negatives fall by this share"
    return Claim("Contribution 1: 39.61 % fewer false negatives", check.found, rule,
                 SUPPORTED if check.holds else CONTRADICTED)  # fmt: skip


def _readers() -> Claim:
    return Claim(
        "Contribution 2: physicians read faster",
        "neither the thesis nor we timed a reader",
        "needs readers",
        NOT_TESTABLE,
    )


def claims(findings: Findings) -> list[Claim]:
    """Every claim, in the order of the thesis' contributions, then the rest."""
    higher, fewer, second = baselines(findings)
    return [
        higher,
        _level(findings, "Contribution 1: IoU .82", "iou_all", 0.8195),
        fewer,
        second,
        _fewer_percent(),
        _level(findings, "Contribution 1: accuracy 94.63 %", "accuracy", 0.94625),
        _readers(),
        places(findings),
        *choice(findings),
        fusion(),
        *parts(findings),
    ]


def claims_table(findings: Findings) -> Table:
    made = tuple((c.said, c.verdict, c.evidence, c.rule) for c in claims(findings))
    notes = (
        "The verdict is computed by the rule beside it from the runs of this scale (split by patient, images with a "
        "nodule) or from counts; a difference takes part only with two seeds or more on both sides.",
        f"{RULE.capitalize()}: {RULE_IN_FULL}.",
        "At compact scale a verdict is about the small networks that were run, not about the thesis' own."
        if findings.scale == "compact"
        else "",
    )
    title = f"Claims of the thesis – {scale_words(findings.scale)}"
    return Table(title, ("claim", "verdict", "our evidence", "rule"), made, tuple(n for n in notes if n))
