"""The report put together: which sections, tables and figures it has for the runs that are there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from training.metrics import Calibration
from training.report.arithmetic import arithmetic_table
from training.report.claims import claims_table
from training.report.cost_tables import counted, full_width, measured
from training.report.figures import (
    Picture,
    differences_with_intervals,
    learning_curves,
    reliability,
    rows_with_intervals,
)
from training.report.layout import REFERENCES, SHOWN, TITLES, Findings, tables
from training.report.leakage import leaks
from training.report.other_tables import calibration_table, case_table, leak_table, size_table
from training.report.render import Document, Section
from training.report.resample import estimate
from training.report.rows import Row
from training.report.study_tables import convention, differences, honest, implied, scale_words


def _shown(findings: Findings) -> list[tuple[str, Row]]:
    found = [(title, findings.row(*place)) for title, place in SHOWN.items()]
    return [(title, row) for title, row in found if row is not None]


def _study(findings: Findings, study: str) -> Section:
    title = f"{TITLES[study]} – {scale_words(findings.scale)}"
    if not findings.ran(study):
        return Section(title, ("Not run.",), (honest(findings, study),))
    lines, stem = [line for line in findings.lines(study) if line.ours], f"{findings.scale}-{study.lower()}"
    made = [honest(findings, study), convention(findings, study), differences(findings, study)]
    figures: list[Picture | None] = []
    shown = [
        (line.title, estimate(line.ours.sample("iou_pos")), implied(line.thesis))
        for line in lines
        if line.ours and line.ours.sample("iou_pos") is not None
    ]
    words = scale_words(findings.scale)
    if shown:
        figures.append(
            rows_with_intervals(
                f"{stem}-rows.png",
                f"{TITLES[study]}, {words}: iou_pos with 95 % intervals. The thesis' figures are implied for its "
                "positives, at its own scale and on its slice split. In the table's order: no ranking.",
                "iou_pos", shown,
            )
        )  # fmt: skip
    reference = findings.row(study, REFERENCES[study])
    gaps = [(line.title, findings.difference(line.ours, reference, "iou_pos")) for line in lines]
    known = [(name, gap) for (name, gap), line in zip(gaps, lines) if gap and line.name != REFERENCES[study]]
    if known:
        base = next(line.title for line in findings.lines(study) if line.name == REFERENCES[study])
        figures.append(
            differences_with_intervals(
                f"{stem}-differences.png",
                f"{TITLES[study]}, {words}: difference in iou_pos from “{base}”, paired, with 95 % intervals.",
                "difference in iou_pos", known,
            )
        )  # fmt: skip
    figures.append(
        learning_curves(
            f"{stem}-learning.png",
            f"{TITLES[study]}, {words}: learning curves, mean of the seeds and their range.",
            [(line.title, line.ours.runs) for line in lines if line.ours],
        )
    )
    return Section(title, (), tuple(made), tuple(f for f in figures if f is not None))


def _cost(findings: Findings) -> Section:
    title = f"{TITLES['E']} – {scale_words(findings.scale)}"
    made = [measured(findings)]
    if findings.ran("E"):
        made += [honest(findings, "E"), convention(findings, "E")]
    return Section(title, (), (*made, counted()))


def _calibration(findings: Findings) -> Section | None:
    found: dict[str, Calibration] = {}
    for title, row in _shown(findings):
        kept = [run.calibration for run in row.runs if run.calibration is not None]
        if kept and len({len(c.counts) for c in kept}) == 1:
            found[title] = reduce(add, kept)
    if not found:
        return None
    words = scale_words(findings.scale)
    picture = reliability(
        f"{findings.scale}-calibration.png",
        f"Reliability, {words}: share of nodule pixels against predicted probability; pixels in each bin.",
        list(found.items()),
    )
    return Section(f"Calibration – {words}", (), (calibration_table(found, findings.scale),), (picture,))


def _cases(all_findings: Sequence[Findings], pictures: Sequence[Picture]) -> Section:
    made = []
    for findings in all_findings:
        for title in ("model 1", "model 2"):
            row = findings.row(*SHOWN[title])
            if row is not None and row.sample("iou_pos") is not None:
                made += [case_table(title, row, worst=True), case_table(title, row, worst=False)]
    words = (
        "The tables name the worst and the best test images by mean IoU over the seeds. Pictures are shown of "
        "LIDC-IDRI-0063 and of the public sample only; no other pixel of LIDC-IDRI is committed.",
        *(() if pictures else ("No picture was given.",)),
    )
    return Section("Worst and best cases", words, tuple(made), tuple(pictures))


def _lead(rows: Sequence[Row], scales: Sequence[str]) -> tuple[str, ...]:
    runs = sum(len(row.runs) for row in rows)
    patients = {p for row in rows for p in row.images.patient.tolist()}
    return (
        f"{runs} runs of {len(rows)} networks at {' and '.join(map(scale_words, scales))}, tested on images of "
        f"{len(patients)} patients, beside the figures of the thesis (Lai, National Cheng Kung University), which "
        "are of its own scale, its slice-level split and its own negatives.",
        "iou_pos and dice_pos are means over images with a consensus of more than 8 pixels; iou_all counts an empty "
        "prediction on an image without nodule as 1, as the thesis very probably did, and is given only where real "
        "negatives exist. Every interval is a patient-level bootstrap's; where one holds 0 the two networks are not "
        "separable, and no table is a ranking. What was not run says so; nothing is filled in.",
        "Raw results of every run and image: images.csv.gz.",
    )


def document(
    rows: Sequence[Row],
    pictures: Sequence[Picture] = (),
    trials: dict[tuple[str, str], str] | None = None,
    costs: Sequence[dict[str, Any]] = (),
) -> Document:
    """The report on these rows; ``pictures`` are prepared cases, ``trials`` what was tried of rows without figures.

    ``costs`` are those of the networks at full width, as `study E` writes them.
    """
    scales = [scale for scale in ("full", "compact") if any(row.scale == scale for row in rows)]
    every = [Findings(scale, rows, trials or {}) for scale in scales]
    sections = [Section("Claims of the thesis", (), tuple(claims_table(f) for f in every))]
    sections.append(Section("Arithmetic", (), (arithmetic_table(),)))
    for findings in every:
        sections += [_study(findings, study) for study in tables() if study != "E"]
        sections.append(_cost(findings))
    if costs:
        sections.append(Section("The networks at full width", (), (full_width(costs),)))
    found = leaks(rows)
    if found or any(row.protocol == "slice" for row in rows):
        leaky: tuple[str, ...] = ()
    else:
        leaky = ("No row was run under the slice split.",)
    sections.append(Section("How much of a score is leakage", leaky, () if leaky else (leak_table(found, rows),)))
    for findings in every:
        sections.append(
            Section(
                f"By size of the nodule – {scale_words(findings.scale)}", (), (size_table(findings, _shown(findings)),)
            )
        )
        calibration = _calibration(findings)
        sections += [calibration] if calibration else []
    sections.append(_cases(every, pictures))
    words = " and ".join(map(scale_words, scales))
    return Document(f"The thesis' experiments repeated: {words}", _lead(rows, scales), tuple(sections))
