"""Every run's images in one compressed table, so that each figure of the report can be worked out again."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence

import numpy as np

from training.report.rows import Row

IMAGE = ("patient", "series", "nodule", "slice", "source", "readers", "area_px", "spacing_mm")
RUN = ("scale", "protocol", "study", "row", "seed")
FOUND = ("tp", "fp", "fn", "mean_probability_in_truth", "max_probability")


def _short(value: object) -> str:
    """A cell: integers as such, other numbers to three digits, nothing for what is no number."""
    if isinstance(value, (float, np.floating)):
        return "" if not np.isfinite(value) else f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)


def combined(rows: Sequence[Row]) -> bytes:
    """gzip of one CSV: a line a run and image, lines of one image together (what repeats packs well).

    Columns: the image, the run, pixels at threshold .5, and the two probabilities to three digits. No time stamp: the
    same results give the same bytes.
    """
    lines = []
    for row in rows:
        for run in row.runs:
            place = (row.scale, row.protocol, row.study, row.row, str(run.seed))
            images = [getattr(run.images, name).tolist() for name in IMAGE]
            found = [getattr(run.images, name).tolist() for name in FOUND]
            for image, values in zip(zip(*images), zip(*found)):
                lines.append((*map(_short, image), *place, *map(_short, values)))
    lines.sort(key=lambda line: line[: len(IMAGE) + len(RUN)])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*IMAGE, *RUN, *FOUND))
    writer.writerows(lines)
    return gzip.compress(text.getvalue().encode("utf-8"), compresslevel=9, mtime=0)
