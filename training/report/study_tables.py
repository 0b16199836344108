"""The tables of one study: the honest figures, the thesis' convention, the differences."""

from __future__ import annotations

from training.metrics import Difference
from training.report.layout import REFERENCES, TITLES, Findings, Line, input_px, why_none
from training.report.resample import estimate
from training.report.rows import Row
from training.report.tables import NA, NOT_PRINTED, Table, interval, number, percent, printed_number, times
from training.report.thesis_figures import implied_positives_only
from training.studies.thesis import POSITIVES, Printed


def scale_words(scale: str) -> str:
    return "compact scale" if scale == "compact" else "full scale"


def figure(row: Row | None, measure: str) -> str:
    """Figure with interval, ``n/a`` where the row's images do not allow it."""
    sample = None if row is None else row.sample(measure)
    return NA if sample is None else interval(estimate(sample))


def _size(row: Row) -> tuple[str, str, str]:
    """Seeds, positive images, their patients."""
    positive = row.images.positive
    patients = len(set(row.images.patient[positive].tolist()))
    return str(len(row.seeds)), str(int(positive.sum())), str(patients)


def _filled(line: Line, cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    """A line of ours, or the reason in its first cell and dashes: nothing is filled in."""
    return cells if line.ours else (line.reason, *["–"] * (width - 1))


def common_notes(lines: list[Line], scale: str, protocol: str = "patient") -> tuple[str, ...]:
    """Scale, split, images seen, and what the intervals are."""
    ours = [line.ours for line in lines if line.ours]
    if not ours:
        return ()
    leaky = " (leaky: slices of one patient on both sides)" if protocol == "slice" else ""
    runs = [run for row in ours for run in row.runs]
    seen = [number(run.number("samples"), 0) for run in runs]
    size = "Reduced widths and short training, not the thesis' own scale. " if scale == "compact" else ""
    windows = times(sorted({px for row in ours if (px := input_px(row)) is not None}))
    cut = (
        " Smaller windows are the middle of the same crops; what they cut off counts as missed."
        if "," in windows
        else ""
    )
    return (
        f"{scale_words(scale).capitalize()}. {size}Split by {protocol}{leaky}; windows of {windows} px; images seen in "
        f"training, a run: {times(seen)}. Intervals: 95 %, patients and seeds drawn with replacement; that of a row "
        f"with one seed does not hold what another training would change.{cut}",
    )


def implied(printed: Printed | None, name: str = "iou") -> float | None:
    """The thesis' figure over positives alone, implied by what it prints."""
    value = None if printed is None else getattr(printed, name)
    return None if value is None or printed.tn is None else implied_positives_only(value, printed.tn)


def honest(findings: Findings, study: str) -> Table:
    """Figures of the positive images, beside those that the thesis' figures imply."""
    lines, made = findings.lines(study), []
    for line in lines:
        cells: tuple[str, ...] = ()
        if line.ours:
            cells = (*(figure(line.ours, m) for m in ("iou_pos", "dice_pos", "sensitivity")), *_size(line.ours))
        there = line.thesis
        share = None if there is None or there.tp is None else there.tp / POSITIVES
        made.append((line.title, *_filled(line, cells, 6), printed_number(implied(there)), printed_number(share)))
    header = (
        "row", "iou_pos", "dice_pos", "sensitivity", "seeds", "n images", "n patients",
        "thesis, implied iou_pos", "thesis, sensitivity",
    )  # fmt: skip
    notes = (
        "Over images with a consensus of more than 8 pixels. Sensitivity: share of them with IoU of .5 or more.",
        "The thesis' columns are of its own scale and its slice split; implied: its printed mean over 4,094 images "
        "less the negatives that count as 1.",
        *common_notes(lines, findings.scale),
    )
    return Table(f"{TITLES[study]} – {scale_words(findings.scale)}: images with a nodule", header, tuple(made), notes)


def convention(findings: Findings, study: str) -> Table:
    """Figures in the thesis' convention, where real negatives exist, beside its own."""
    lines, made = findings.lines(study), []
    # Only Table C prints Dice.
    with_dice = any(line.thesis and line.thesis.dice for line in lines)
    width = 9 + with_dice
    for line in lines:
        cells: tuple[str, ...] = ()
        if line.ours:
            counts = line.ours.confusion()
            cells = (
                figure(line.ours, "iou_all"), *((figure(line.ours, "dice_all"),) if with_dice else ()),
                *(number(counts[k], 1) for k in ("TP", "TN", "FP", "FN")), figure(line.ours, "accuracy"),
                *_size(line.ours)[:2], negatives(line.ours),
            )  # fmt: skip
        there = line.thesis or Printed()
        printed = (
            printed_number(there.iou), *((printed_number(there.dice),) if with_dice else ()),
            *(printed_number(v, 0) for v in (there.tp, there.tn, there.fp, there.fn)),
            NOT_PRINTED if there.accuracy is None else percent(there.accuracy, 2),
        )  # fmt: skip
        made.append((line.title, *_filled(line, cells, width), *printed))
    dice = ("dice_all",) if with_dice else ()
    ours = ("iou_all", *dice, "TP", "TN", "FP", "FN", "accuracy", "seeds", "n positives", "negatives")
    theirs = ("thesis IoU", *(("thesis Dice",) if with_dice else ()), "TP", "TN", "FP", "FN", "thesis accuracy")
    notes = (
        "All images, empty truth with empty prediction counted as 1. TP, FN: images with a nodule, IoU from .5 on or "
        "below. FP, TN: images without, any pixel predicted or none. Counts are means over the seeds. The thesis: "
        "4,094 images.",
        f"{NA}: no real negative image of the test patients was at hand. {NOT_PRINTED}: the thesis prints none.",
        *common_notes(lines, findings.scale),
    )
    title = f"{TITLES[study]} – {scale_words(findings.scale)}: in the thesis' convention"
    return Table(title, ("row", *ours, *theirs), tuple(made), notes)


def negatives(row: Row) -> str:
    """Source and number of the real negatives of a row."""
    mask = row.images.negative
    if not mask.any():
        return NA
    patients = len(set(row.images.patient[mask].tolist()))
    return f"{times(sorted(set(row.images.source[mask].tolist())))}: {int(mask.sum())} images of {patients} patients"


def judged(found: Difference | None) -> str:
    """In words: which way, or that the two cannot be told apart."""
    if found is None:
        return NA
    if not found.separable:
        return "not separable"
    words = "higher" if found.value > 0 else "lower"
    return words if min(found.n_seeds) > 1 else f"{words} (one seed)"


def differences(findings: Findings, study: str) -> Table:
    """Each row less the table's reference, paired, with the smallest difference that could have been seen."""
    reference, lines, made = REFERENCES[study], findings.lines(study), []
    base = next(line for line in lines if line.name == reference)
    for line in lines:
        if line is base:
            continue
        found = {m: findings.difference(line.ours, base.ours, m) for m in ("iou_pos", "dice_pos", "sensitivity")}
        iou = found["iou_pos"]
        cells = (
            interval(iou), judged(iou), number(iou.smallest_detectable if iou else None), interval(found["dice_pos"]),
            interval(found["sensitivity"]), judged(found["sensitivity"]),
            number(found["sensitivity"].smallest_detectable if found["sensitivity"] else None),
            *((f"{iou.n_seeds[0]} / {iou.n_seeds[1]}", str(iou.n_images), str(iou.n_patients)) if iou else ()),
        )  # fmt: skip
        mine, theirs = implied(line.thesis), implied(base.thesis)
        gap = None if mine is None or theirs is None else mine - theirs
        if iou is None:
            cells = (line.reason or base.reason or why_none(line.ours, base.ours), *["–"] * 9)
        made.append((line.title, *cells, NOT_PRINTED if gap is None else f"{gap:+.3f}"))
    header = (
        "row", "iou_pos, difference", "which is", "smallest detectable", "dice_pos, difference",
        "sensitivity, difference", "which is", "smallest detectable", "seeds", "n images", "n patients",
        "thesis, implied iou_pos",
    )  # fmt: skip
    notes = (
        f"Row less “{base.title}”, image by image; patients and seeds drawn with replacement. Not separable: the 95 % "
        "interval holds 0. Smallest detectable: a true difference of this size is found in 80 % of such studies "
        "(two-sided 5 %); a smaller one may exist and be missed. Intervals are not widened for the number of rows.",
        *common_notes(lines, findings.scale),
    )
    title = f"{TITLES[study]} – {scale_words(findings.scale)}: differences from “{base.title}”"
    return Table(title, header, tuple(made), notes)
