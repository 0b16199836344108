"""The list of nodules as text (CSV, and what is copied into a spreadsheet), and a case to train on."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from LungNoduleSegLib.errors import InputError

from .cells import COLUMNS, cells
from .files import written_beside
from .rows import STATUSES, ReviewRow

if TYPE_CHECKING:
    from .review import NoduleReview


def export_csv(path: str | os.PathLike[str], rows: Sequence[ReviewRow]) -> Path:
    """Write the rows as UTF-8 CSV with a header; complete or not at all, no row gives a header only.

    :func:`LungNoduleSegLib.nodules.read_csv` reads it back.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        with written_beside(target) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(cells(rows))
    except OSError as error:
        raise InputError(
            f"the table could not be written ({error.strerror or error})",
            path=target,
            remedy="Give a folder that you may write to, and close the file where it is open in another program.",
        ) from error
    return target


def copied_text(rows: Sequence[ReviewRow]) -> str:
    """The rows as text that a spreadsheet takes from the clipboard: separated by tabs, with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells(rows))
    return text.getvalue()


def export_training_pair(
    folder: str | os.PathLike[str], review: NoduleReview, *, statuses: Iterable[str] = ("accepted",)
) -> tuple[Path, Path]:
    """Write the CT and its nodules as a case that ``python -m training prepare`` finds: both files, or none.

    The CT is written as ``NAME.nrrd``, the nodules as ``NAME.seg.nrrd`` on the same grid, where it lies in the scene.
    NAME is the volume's name in letters that every system takes, with a number where there is such a case already.

    Parameters
    ----------
    statuses
        Nodules of these verdicts are written. Whatever else the CT shows is learned as background.

    Returns
    -------
    Paths of the CT and of the segmentation.

    Raises
    ------
    InputError
        If no nodule has one of the verdicts, or the files cannot be written.
    ValueError
        If one of `statuses` is none.
    """
    from .read import SceneNodules, scene_records
    from .seg_nrrd import write_labels

    wanted = set(statuses)
    if not wanted <= set(STATUSES):
        raise ValueError(f"Expected argument `statuses` to be of {STATUSES}, got {sorted(wanted - set(STATUSES))}")
    rows = tuple(row for row in review.rows if row.status in wanted)
    if not rows:
        raise InputError(
            f"no nodule is {' or '.join(sorted(wanted))}",
            remedy="Accept all nodules of the CT first: what is not marked is learned as background.",
        )
    ct = review.ct
    labels = np.zeros(ct.shape, np.uint16)
    for row in rows:
        placed = review.mask(row.segment_id)
        labels[placed.box][placed.mask] = row.nodule.label
    nodules = SceneNodules(
        labels,
        tuple(row.nodule for row in rows),
        tuple(row.name for row in rows),
        tuple(row.segment_id for row in rows),
        rows,
    )
    records = scene_records(review.segmentation_node, nodules)
    target = Path(folder)
    name = _free_name(target, review.volume_node.GetName() or "CT")
    ct_path, segmentation_path = target / f"{name}.nrrd", target / f"{name}.seg.nrrd"
    try:
        # The segmentation comes last: a CT alone is no case.
        with written_beside(ct_path) as partial:
            _write_image(ct.to_sitk(), partial)
        try:
            write_labels(segmentation_path, labels, ct, records)
        except BaseException:
            ct_path.unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError) as error:  # SimpleITK raises the latter
        raise InputError(
            "the case could not be written",
            path=target,
            remedy="Give a folder that you may write to, and see that there is room on the disk.",
        ) from error
    return ct_path, segmentation_path


def _write_image(image, path: Path) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(image, os.fspath(path), useCompression=True)


def _free_name(folder: Path, wished: str) -> str:
    """`wished` in letters for a file name, not taken in `folder`, and not one that names a segmentation."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", wished).strip("-._")[:60] or "CT"
    if re.search(r"(?:^|[._-])(?:seg|segmentation|label|labels|mask)$", plain, re.IGNORECASE):
        plain += "-ct"
    names, number = plain, 1
    while any((folder / f"{names}{suffix}").exists() for suffix in (".nrrd", ".seg.nrrd")):
        number += 1
        names = f"{plain}-{number}"
    return names
