"""Claims that one network is better than another: decided by paired differences."""

from __future__ import annotations

from training.metrics import Difference
from training.report.layout import Findings
from training.report.verdicts import RULE, Claim, in_words, of_any, of_differences

BASELINES = {"U-Net": "unet", "Attention U-Net": "attention-unet", "TransUNet": "transunet"}
PAPER_PLACES = ("encoder+decoder", "encoder+bottleneck+decoder")
"""The scSE paper puts a block behind every encoder and decoder; with the bottleneck or without, both are taken."""
THESIS_PLACES = ("encoder", "encoder+bottleneck")
"""The placements that the thesis recommends instead."""


def against(findings: Findings, a: tuple[str, str], others: dict[str, tuple[str, str]], measure: str):
    """Differences of one line from several, by their titles."""
    mine = findings.row(*a)
    return {title: findings.difference(mine, findings.row(*place), measure) for title, place in others.items()}


def _better(said: str, differences: dict[str, Difference | None], measure: str) -> Claim:
    return Claim(said, in_words(differences, measure), RULE, of_differences(list(differences.values())))


def baselines(findings: Findings) -> list[Claim]:
    others = {f"model 1 less {title}": ("D", name) for title, name in BASELINES.items()}
    second = {f"model 2 less {title}": ("D", name) for title, name in BASELINES.items()}
    one, two = ("D", "model-1"), ("D", "model-2")
    return [
        _better("Contribution 1: model 1 has a higher IoU than U-Net, Attention U-Net and TransUNet",
                against(findings, one, others, "iou_pos"), "iou_pos"),
        _better("Contribution 1: model 1 has fewer false negatives than U-Net, Attention U-Net and TransUNet",
                against(findings, one, others, "sensitivity"), "sensitivity"),
        _better("The same of model 2: fewer false negatives than the three",
                against(findings, two, second, "sensitivity"), "sensitivity"),
    ]  # fmt: skip


def places(findings: Findings) -> Claim:
    """Contribution 3, on iou_pos."""

    def group(mine: tuple[str, ...], theirs: tuple[str, ...]) -> list[dict[str, Difference | None]]:
        return [against(findings, ("A", m), {f"{m} less {t}": ("A", t) for t in theirs}, "iou_pos") for m in mine]

    for_it, other_way = group(THESIS_PLACES, PAPER_PLACES), group(PAPER_PLACES, THESIS_PLACES)
    shown = {name: found for one in for_it for name, found in one.items()}
    return Claim(
        "Contribution 3: the scSE paper's placement (behind every encoder and decoder) is not always the best",
        in_words(shown, "iou_pos"),
        "supported: encoder or encoder + bottleneck lies above both of the paper's placements, all intervals above 0; "
        "contradicted: one of the paper's lies above both of them; not testable here where a row is missing or has one "
        "seed; else not separable",
        of_any([list(g.values()) for g in for_it], [list(g.values()) for g in other_way]),
    )  # fmt: skip


def parts(findings: Findings) -> list[Claim]:
    """Tables A to C and the title: what each part is said to add."""
    places = [d.name for d in (line.definition for line in findings.lines("A")) if d.name != "none"]
    scse = {}
    for place in places:
        scse |= against(findings, ("A", place), {f"{place} less none": ("A", "none")}, "iou_pos")
    vit = against(findings, ("B", "model-1"), {"with less without": ("B", "encoder")}, "iou_pos")
    found = against(findings, ("B", "model-1"), {"with less without": ("B", "encoder")}, "sensitivity")
    sizes = against(findings, ("C", "128px"), {f"128 less {p} px": ("C", f"{p}px") for p in (512, 256, 64)}, "iou_pos")
    title = {
        "with fusion less without": ("extra", "no-fusion"),
        "with shortcuts less without": ("extra", "no-shortcuts"),
    }
    both = [*vit.values(), *found.values()]
    return [
        _better("Table A: scSE raises IoU wherever it stands", scse, "iou_pos"),
        Claim("Table B: the transformer raises IoU and lowers misses",
              f"{in_words(vit, 'iou_pos')}; {in_words(found, 'sensitivity')}", RULE, of_differences(both)),
        _better("Table C: 128 px is the best size of crop", sizes, "iou_pos"),
        _better("The title: multi-scale fusion and residual units help (it never left them out)",
                against(findings, ("extra", "model-2"), title, "iou_pos"), "iou_pos"),
    ]  # fmt: skip
