"""Tables across the studies: the leak, size of nodule, calibration, single images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.metrics import HIT_IOU, POSITIVE_PX, Calibration
from training.report.layout import Findings
from training.report.leakage import Leak
from training.report.resample import Sample, estimate
from training.report.rows import Row
from training.report.study_tables import figure, judged, scale_words
from training.report.tables import NA, Table, interval, number

BANDS = ((POSITIVE_PX + 1, 20), (21, 50), (51, 100), (101, 300), (301, None))
"""Area of the consensus in pixels, both ends in."""

READER_IOU = (0.40, 0.58, 0.61, 0.66, 0.75)
"""One reader against the 50 % consensus of the others, by the same bands: computed from LIDC-IDRI's annotations."""


def leak_table(leaks: Sequence[Leak], rows: Sequence[Row]) -> Table:
    """Score under the slice split less score under the patient split."""
    made = []
    done = {id(leak.by_slice) for leak in leaks}
    for leak in leaks:
        for measure, gap in leak.gaps.items():
            made.append(
                (
                    f"{leak.by_slice.study} / {leak.by_slice.row}", leak.by_slice.scale, measure,
                    figure(leak.by_slice, measure), figure(leak.by_patient, measure), interval(gap), judged(gap),
                    number(gap.smallest_detectable), f"{gap.n_seeds[0]} / {gap.n_seeds[1]}",
                    f"{len(leak.by_slice.sample(measure).patients)} / {len(leak.by_patient.sample(measure).patients)}",
                )
            )  # fmt: skip
    for row in rows:
        if row.protocol == "slice" and id(row) not in done:
            name = f"{row.study} / {row.row}"
            made.append((name, row.scale, "iou_pos", figure(row, "iou_pos"), "not run with as many images", *["–"] * 5))
    header = (
        "row", "scale", "figure", "slice split (leaky)", "patient split", "difference", "leaky is",
        "smallest detectable", "seeds", "n images",
    )  # fmt: skip
    notes = (
        "The thesis' split deals slices, so that slices of one nodule stand in training and in the test. The two "
        "splits have different test images; patients of both are drawn together. Pairs: slice / patient.",
    )
    return Table("How much of a score is leakage", header, tuple(made), notes)


def size_table(findings: Findings, lines: Sequence[tuple[str, Row]]) -> Table:
    """`iou_pos` and sensitivity by area of the consensus, and one reader against the others."""
    header = ("row", "figure", *(f"{low}–{high} px" if high else f"over {low - 1} px" for low, high in BANDS))
    made = [("one reader against the others", "iou_pos", *(number(v, 2) for v in READER_IOU))]
    for title, row in lines:
        area, iou = row.images.area_px, np.stack([run.images.iou for run in row.runs])
        for name, values in (("iou_pos", iou), ("sensitivity", (iou >= HIT_IOU).astype(float))):
            cells = []
            for low, high in BANDS:
                chosen = (area >= low) & (area <= (high or np.inf)) & row.images.positive
                found = estimate(Sample(values[:, chosen], row.images.patient[chosen])) if chosen.any() else None
                cells.append(NA if found is None else f"{found} (n {found.n_images})")
            made.append((title, name, *cells))
    notes = ("n: images. The readers' line is of all patients, the others of the test patients.",)
    return Table(f"By size of the nodule – {scale_words(findings.scale)}", header, tuple(made), notes)


def calibration_table(found: dict[str, Calibration], scale: str) -> Table:
    """Expected calibration error, over all pixels and without those of the lowest bin."""
    made = []
    for name, bins in found.items():
        # Most pixels are background near 0 and would make any network look calibrated.
        sums = np.nan_to_num(bins.confidence) * bins.counts
        inner = Calibration(bins.counts[1:], bins.positives[1:], sums[1:])
        made.append((name, number(int(bins.counts.sum()), 0), number(bins.ece, 4), number(inner.ece, 4)))
    header = ("row", "pixels", "expected calibration error", "the same without the lowest bin")
    notes = ("Seeds pooled. A pixel's bin is that of its probability; 0 would be perfect.",)
    return Table(f"Calibration – {scale_words(scale)}", header, tuple(made), notes)


def case_table(title: str, row: Row, *, worst: bool, count: int = 10) -> Table:
    """The images with the lowest (highest) mean IoU over the seeds, at most one a nodule; names only, no pixel."""
    iou = np.stack([run.images.iou for run in row.runs]).mean(axis=0)
    images = row.images
    order = np.argsort(iou if worst else -iou, kind="stable")
    made, nodules = [], set()
    for index in order:
        nodule = (images.series[index], images.nodule[index])
        if not images.positive[index] or nodule in nodules:
            continue
        nodules.add(nodule)
        made.append(
            (
                str(images.patient[index]), str(images.nodule[index]), str(images.slice[index]),
                number(float(images.area_px[index]), 0), str(int(images.readers[index])), number(float(iou[index])),
            )
        )  # fmt: skip
        if len(made) == count:
            break
    header = ("patient", "nodule", "slice", "area, px", "readers", "IoU")
    words = "Worst" if worst else "Best"
    missed = int((iou[images.positive] == 0).sum())
    note = (
        f"One image a nodule. Of {int(images.positive.sum())} images with a nodule {missed} have IoU 0 in every seed."
    )
    return Table(f"{words} images of {title} – {scale_words(row.scale)}", header, tuple(made), (note,))
