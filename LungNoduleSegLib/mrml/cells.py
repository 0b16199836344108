"""The list of nodules as cells of a table: the same in the scene, in CSV and on the clipboard."""

from __future__ import annotations

from collections.abc import Sequence

from LungNoduleSegLib.nodules.table import COLUMNS as MEASURED
from LungNoduleSegLib.nodules.table import Value
from LungNoduleSegLib.nodules.table import rows as measured_rows

from .rows import ReviewRow

COLUMNS: tuple[str, ...] = ("name", "status", *MEASURED[1:], "guideline", "size_band", "kind", "edited", "model")
"""Names of the columns: those of the command line's table, with what the review knows beside them."""


def cells(rows: Sequence[ReviewRow]) -> list[dict[str, Value]]:
    """One dict a row with the keys :data:`COLUMNS`; name and type are the user's, None where nothing was measured."""
    measured = measured_rows(row.nodule for row in rows)
    return [
        {
            **values,
            "name": row.name,
            "status": row.status,
            "attenuation": row.attenuation,
            "guideline": "" if row.band is None else row.band.guideline,
            "size_band": "" if row.band is None else row.band.category,
            "kind": row.kind,
            "edited": "yes" if row.edited else "no",
            "model": row.model,
        }
        for row, values in zip(rows, measured, strict=True)
    ]
