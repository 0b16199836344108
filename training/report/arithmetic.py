"""The thesis' figures worked out again: from its own tables, from the networks built anew, and by its own call."""

from __future__ import annotations

from dataclasses import dataclass

from training.report.cost import MIB, cost
from training.report.tables import Table
from training.report.thesis_figures import N_IMAGES, accuracy, fewer_misses
from training.studies.definitions import MODEL_1, MODEL_2, NetworkConfig
from training.studies.thesis import NEGATIVES, POSITIVES, TABLES, Printed


@dataclass(frozen=True)
class Check:
    """One printed figure, what it comes to, and whether the two agree to the printed digits."""

    printed: str
    found: str
    holds: bool


def _accuracies() -> list[Check]:
    """Every printed accuracy against (TP + TN) / 4094; those that agree make one line."""
    good, wrong = 0, []
    for table, rows in TABLES.items():
        for name, row in rows.items():
            if row.accuracy is None or row.tp is None or row.tn is None:
                continue
            again = accuracy(row.tp, row.tn)
            # A printed digit is a rounding, or a cut, of what it stands for: one unit of the last of three or four.
            digits = 4 if round(row.accuracy, 3) != row.accuracy else 3
            if abs(again - row.accuracy) < 10**-digits:
                good += 1
            else:
                wrong.append(Check(f"Table {table}, {name}: accuracy {row.accuracy}", f"{again:.4f}", False))
    return [Check(f"{good} printed accuracies = (TP + TN) / {N_IMAGES}", "the same", True), *wrong]


def _totals() -> list[Check]:
    """TP + FN and TN + FP of every printed row against its own test set; those that agree make one line."""
    good = 0
    wrong: dict[tuple[int | None, ...], list[str]] = {}
    for table, rows in TABLES.items():
        for name, row in rows.items():
            if row.tp is None:
                continue
            sums = row.tp + row.fn, row.tn + row.fp
            if sums == (POSITIVES, NEGATIVES):
                good += 1
            else:
                wrong.setdefault((row.tp, row.tn, row.fp, row.fn), []).append(f"{table} {name}")
    checks = [Check(f"{good} printed rows have TP + FN = {POSITIVES} and TN + FP = {NEGATIVES}", "they do", True)]
    for (tp, tn, fp, fn), places in wrong.items():
        said = f"TP {tp}, TN {tn}, FP {fp}, FN {fn} ({', '.join(places)}): {N_IMAGES} images"
        checks.append(Check(said, f"{tp + fn} + {tn + fp} = {tp + fn + tn + fp} images", False))
    return checks


def _misses() -> list[Check]:
    ours, others = (
        TABLES["D"]["model-1"],
        {"U-Net": "unet", "Attention U-Net": "attention-unet", "TransUNet": "transunet"},
    )
    falls = {title: 100 * fewer_misses(ours.fn, TABLES["D"][name].fn) for title, name in others.items()}
    said = ", ".join(f"{fall:.1f} % against {name}" for name, fall in falls.items())
    worst = TABLES["D"]["transunet"].fn
    other_way = 100 * (worst - ours.fn) / ours.fn
    return [
        Check(
            "39.61 % fewer false negatives",
            f"{said}; ({worst} - {ours.fn}) / {ours.fn} = {other_way:.2f} %: divided by the smaller number",
            any(abs(fall - 39.61) < 0.005 for fall in falls.values()),
        )
    ]


def _networks() -> list[Check]:
    one, two = cost(MODEL_1), cost(MODEL_2)
    decoder = cost(NetworkConfig(scse=("encoder", "decoder")))
    there: dict[str, Printed] = TABLES["E"]
    first, second = there["model-1"], there["model-2"]
    return [
        Check(
            f"model 1: {first.parameters:,} parameters",
            f"{one.called_parameters:,} in layers; {one.parameters:,} with class token and position embedding",
            one.called_parameters == first.parameters,
        ),
        Check(
            f"model 1: {first.megabytes} MB",
            f"{first.parameters:,} x 4 bytes = {first.parameters * 4 / MIB:.2f} MiB",
            abs(first.parameters * 4 / MIB - first.megabytes) < 0.005,
        ),
        Check(
            f"model 2 (encoder + bottleneck): {second.parameters:,} parameters",
            f"{two.parameters:,}; encoder + decoder has {decoder.parameters:,}",
            two.parameters == second.parameters,
        ),
        Check(
            f"model 2: {second.megabytes} MB",
            f"{two.parameters:,} x 4 bytes = {two.mib:.1f} MiB (encoder + decoder: {decoder.mib:.1f})",
            abs(two.mib - second.megabytes) < 0.05,
        ),
    ]


def interpolated(align_corners: bool) -> list[float]:
    """First line of [[1, 2], [3, 4]] enlarged twofold by torch's bilinear interpolation."""
    import torch
    from torch.nn import functional as F

    small = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    large = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=align_corners)
    return [round(v, 4) for v in large[0, 0, 0].tolist()]


def _interpolation() -> list[Check]:
    printed = [1.0, 1.3333, 1.6667, 2.0]
    call, other = interpolated(False), interpolated(True)
    return [
        Check(
            f"F.interpolate(x, scale_factor=2, mode='bilinear') gives {printed}",
            f"{call}; with align_corners=True {other}",
            call == printed,
        )
    ]


def _test_set() -> list[Check]:
    whole = [n * 2 // 10 for n in (13_586, 6_885, 20_471)]
    return [
        Check(
            f"{POSITIVES} + {NEGATIVES} = {N_IMAGES} test images",
            f"a fifth of LIDC-IDRI's slices with, without and in all: {whole[0]}, {whole[1]}, {whole[2]}: "
            "a split of slices, not of patients",
            whole == [POSITIVES, NEGATIVES, N_IMAGES],
        )
    ]


def checks() -> list[Check]:
    """All of them."""
    return [*_misses(), *_networks(), *_totals(), *_accuracies(), *_test_set(), *_interpolation()]


def arithmetic_table() -> Table:
    lines = tuple((c.printed, c.found, "yes" if c.holds else "no") for c in checks())
    return Table("The thesis' figures worked out again", ("printed", "worked out", "agrees"), lines)
