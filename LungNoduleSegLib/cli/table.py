"""The nodules as a table in the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from LungNoduleSegLib.report.text import best_sentence

# 80 characters wide at most; the place is written as --ras takes it.
_COLUMNS = (
    ("#", "right"),
    ("side", "left"),
    ("axes (mm)", "right"),
    ("mean", "right"),
    ("mm³", "right"),
    ("HU", "right"),
    ("type", "left"),
    ("prob.", "right"),
    ("centre (RAS, mm)", "left"),
)


def nodule_table(result: Any) -> Table:
    """A table of the result's nodules, most probable first."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name, side in _COLUMNS:
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for nodule in result.nodules:
        table.add_row(
            str(nodule.label),
            nodule.side or "-",
            f"{nodule.long_axis_mm:.1f} × {nodule.short_axis_mm:.1f}",
            f"{nodule.mean_diameter_mm:.1f}",
            f"{nodule.volume_mm3:.0f}",
            f"{nodule.mean_hu:.0f}",
            nodule.attenuation,
            f"{nodule.probability:.2f}",
            " ".join(f"{value:.1f}" for value in nodule.centroid_ras),
        )
    return table


def nothing_found(result: Any) -> str:
    """What a run says that found nothing."""
    threshold = "" if result.threshold is None else f" at the threshold {result.threshold:.2f}"
    return " ".join(filter(None, [f"No nodule found{threshold}.", best_sentence(result)]))
