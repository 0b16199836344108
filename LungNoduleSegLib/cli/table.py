"""The nodules as a table in the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from LungNoduleSegLib.report.text import best_sentence, ras_text


def nodule_table(result: Any) -> Table:
    """A table of the result's nodules, most probable first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("#", "right"), ("side", "left"), ("axes (mm)", "right"), ("mean (mm)", "right"),
                       ("volume (mm³)", "right"), ("HU", "right"), ("type", "left"), ("probability", "right"),
                       ("centre", "left")):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for nodule in result.nodules:
        table.add_row(
            str(nodule.label), nodule.side or "-", f"{nodule.long_axis_mm:.1f} × {nodule.short_axis_mm:.1f}",
            f"{nodule.mean_diameter_mm:.1f}", f"{nodule.volume_mm3:,.0f}", f"{nodule.mean_hu:.0f}",
            nodule.attenuation, f"{nodule.probability:.2f}", ras_text(nodule.centroid_ras),
        )  # fmt: skip
    return table


def nothing_found(result: Any) -> str:
    """What a run says that found nothing."""
    threshold = "" if result.threshold is None else f" at the threshold {result.threshold:.2f}"
    return " ".join(filter(None, [f"No nodule found{threshold}.", best_sentence(result)]))
