"""Cases as a clinic has them, made up: the files that the tutorial's table lists."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LungNoduleSegLib.ct import CT
from Testing.inference.phantom import ball_mask, thorax
from Testing.slicer_harness.dicom_series import write_series

SHAPE, SPACING = (20, 128, 128), (2.5, 1.0, 1.0)

_TABLE = re.compile(r"^```csv\n(.*?)^```", re.MULTILINE | re.DOTALL)


def make_cases(folder: Path, text: str) -> list[dict[str, str]]:
    """Write the table of a tutorial, and every file in it; its rows."""
    (table,) = _TABLE.findall(text)
    folder.mkdir()
    (folder / "cases.csv").write_text(table, encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    for number, row in enumerate(rows):
        ct, truth = _case(number)
        for path in (folder / row["ct"], folder / row["segmentation"]):
            path.parent.mkdir(exist_ok=True)
        if (folder / row["ct"]).suffix:
            sitk.WriteImage(ct.to_sitk(), str(folder / row["ct"]))
        else:
            write_series(folder / row["ct"], ct, seed=number)
        image = sitk.GetImageFromArray(truth.astype(np.uint8))
        image.CopyInformation(ct.to_sitk())
        sitk.WriteImage(image, str(folder / row["segmentation"]))
    return rows


def _case(number: int) -> tuple[CT, np.ndarray]:
    """Two nodules, and two vessels that look like them."""
    rng = np.random.default_rng(number)
    balls = (
        (8 + number % 3, int(rng.integers(56, 72)), 32 + int(rng.integers(0, 6)), 6.0, 40),
        (12, int(rng.integers(56, 70)), 88 + int(rng.integers(0, 8)), 5.0, 40),
    )
    ct, _ = thorax(SHAPE, SPACING, balls=balls, vessels=((78, 84, 2, 60), (48, 40, 2, 60)))
    return ct, np.logical_or.reduce([ball_mask(ct, *ball[:4]) for ball in balls])
