"""Claims about cost: what fusion adds, and which of the two models is for whom."""

from __future__ import annotations

from training.report.claims_better import against
from training.report.cost import cost
from training.report.cost_tables import spread
from training.report.layout import Findings
from training.report.tables import number, percent
from training.report.verdicts import (
    CONTRADICTED,
    NOT_SEPARABLE,
    NOT_TESTABLE,
    RULE,
    SUPPORTED,
    Claim,
    in_words,
    of_differences,
)
from training.studies.definitions import MODEL_1, MODEL_2

TIME = "ms_per_image"

FREE = 0.01
"""What adds less than this share of parameters and of FLOPs could be said to cost nothing."""


def choice(findings: Findings) -> list[Claim]:
    """Contribution 4 and which model when."""
    pair = {"model 1 less model 2": ("E", "model-2")}
    iou = against(findings, ("E", "model-1"), pair, "iou_pos")
    misses = against(findings, ("E", "model-1"), pair, "sensitivity")
    both = [*iou.values(), *misses.values()]
    shown = f"{in_words(iou, 'iou_pos')}; {in_words(misses, 'sensitivity')}"
    cheaper, words = _cheaper(findings)
    better = of_differences(both)
    # A choice needs a price on either side: where the dearer model is not better, the cheaper one is simply better.
    worth_it = better if cheaper else CONTRADICTED
    one_way = "model 2 has fewer parameters and FLOPs (counted at full width)"
    return [
        Claim("Contribution 4: two models to choose from", f"{words}; {shown}",
              f"{one_way}, and model 1 is better in iou_pos and sensitivity: {RULE}", worth_it),
        Claim("Model 1 when IoU and few misses matter most", shown, RULE, better),
        Claim("Model 2 when time and memory are limited", words,
              f"supported: {one_way}, and every run of it took less time an image than every one of model 1; "
              "contradicted: it has more, or every run took longer; not testable here with fewer than two seeds; else "
              "not separable",
              _cheap_verdict(findings, cheaper)),
    ]  # fmt: skip


def _times(findings: Findings) -> tuple[list[float], list[float]]:
    """Milliseconds an image of models 1 and 2, seed by seed."""
    first, second = (findings.row("E", name) for name in ("model-1", "model-2"))
    return ([] if first is None else first.numbers(TIME)), ([] if second is None else second.numbers(TIME))


def _cheaper(findings: Findings) -> tuple[bool, str]:
    one, two = cost(MODEL_1), cost(MODEL_2)
    words = (
        f"model 2 against model 1: {percent(two.parameters / one.parameters)} of the parameters, "
        f"{percent(two.flops / one.flops)} of the FLOPs"
    )
    first, second = _times(findings)
    if first and second:
        words += f", measured {spread(second)} against {spread(first)} ms an image (the thesis: 15.3 against 23.4)"
    return two.parameters < one.parameters and two.flops < one.flops, words


def _cheap_verdict(findings: Findings, cheaper: bool) -> str:
    first, second = _times(findings)
    if not cheaper:
        return CONTRADICTED
    if min(len(first), len(second)) < 2:
        return NOT_TESTABLE
    if max(second) < min(first):
        return SUPPORTED
    return CONTRADICTED if min(second) > max(first) else NOT_SEPARABLE


def fusion() -> Claim:
    found = cost(MODEL_2)
    parameters, flops = found.fusion_parameters / found.parameters, found.fusion_flops / found.flops
    return Claim(
        "Multi-scale fusion adds neither computation nor memory",
        f"of model 2 it is {percent(parameters)} of the parameters and {percent(flops)} of the FLOPs; without it "
        f"{number(found.unfused_parameters, 0)} parameters and {found.unfused_flops / 1e9:.1f} GFLOP remain of "
        f"{number(found.parameters, 0)} and {found.flops / 1e9:.1f}",
        f"counted: contradicted where either share exceeds {percent(FREE, 0)}",
        CONTRADICTED if max(parameters, flops) > FREE else SUPPORTED,
    )
