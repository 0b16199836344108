"""The figures: intervals of the rows, differences, learning curves, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.metrics import Calibration, Difference, Estimate
from training.report.plots import COLOURS, look, page, png
from training.report.results import Run


@dataclass(frozen=True)
class Picture:
    """A PNG with the name of its file, and what it shows in words."""

    name: str
    caption: str
    data: bytes


def rows_with_intervals(
    name: str, caption: str, label: str, rows: Sequence[tuple[str, Estimate, float | None]]
) -> Picture:
    """Value and interval of each row (title, ours, the thesis' or None), in the order given: it is no ranking."""
    with page(8.2, 1.4 + 0.42 * len(rows)) as (figure, (axes,)):
        places = np.arange(len(rows))[::-1]
        for place, (_, found, printed) in zip(places, rows):
            axes.plot([found.low, found.high], [place] * 2, color=COLOURS[0], linewidth=2.2)
            axes.plot(found.value, place, "o", color=COLOURS[0], markersize=7)
            if printed is not None:
                axes.plot(printed, place, "D", color=COLOURS[1], markersize=6, markerfacecolor="white")
        axes.set_yticks(places, [title for title, _, _ in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(label)
        axes.plot([], [], "o-", color=COLOURS[0], label="ours, 95 % interval")
        if any(printed is not None for _, _, printed in rows):
            axes.plot([], [], "D", color=COLOURS[1], markerfacecolor="white", label="thesis (own scale, slice split)")
        figure.legend(loc="outside upper right", frameon=False, ncols=2)
        return Picture(name, caption, png(figure))


def differences_with_intervals(name: str, caption: str, label: str, rows: Sequence[tuple[str, Difference]]) -> Picture:
    """Differences with intervals about 0; filled where they can be told from 0, open where not."""
    with page(8.2, 1.4 + 0.42 * len(rows)) as (figure, (axes,)):
        places = np.arange(len(rows))[::-1]
        axes.axvline(0, color="#555555", linewidth=1)
        for place, (_, found) in zip(places, rows):
            decided = found.separable and min(found.n_seeds) > 1
            colour = COLOURS[0] if decided else COLOURS[7]
            axes.plot([found.low, found.high], [place] * 2, color=colour, linewidth=2.2)
            axes.plot(
                found.value, place, "o", color=colour, markersize=7, markerfacecolor=colour if decided else "white"
            )
        axes.set_yticks(places, [title for title, _ in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(label)
        axes.plot([], [], "o-", color=COLOURS[0], label="interval without 0, two seeds or more")
        axes.plot([], [], "o-", color=COLOURS[7], markerfacecolor="white", label="not told apart")
        figure.legend(loc="outside upper right", frameon=False, ncols=2)
        return Picture(name, caption, png(figure))


def logged(run: Run, key: str) -> list[tuple[float, float]]:
    """(images seen, value) of each entry of the validation log that has the key, a number or an estimate."""
    found = []
    for entry in run.log:
        value, seen = entry.get(key), entry.get("samples")
        value = value.get("value") if isinstance(value, dict) else value
        if isinstance(value, (int, float)) and isinstance(seen, (int, float)):
            found.append((float(seen), float(value)))
    return found


def learning_curves(name: str, caption: str, rows: Sequence[tuple[str, Sequence[Run]]]) -> Picture | None:
    """Loss and `iou_pos` of the validation patients against images seen: mean of the seeds, band from least to most.

    None where no run kept a log.
    """
    keys = [k for k in ("iou_pos", "loss") if any(logged(run, k) for _, runs in rows for run in runs)]
    if not keys:
        return None
    words = {"iou_pos": "iou_pos, validation patients", "loss": "training loss"}
    with page(9.6, 4.6 + 0.11 * len(rows), len(keys)) as (figure, axes):
        for axis, key in zip(axes, keys):
            for index, (title, runs) in enumerate(rows):
                curves = [dict(logged(run, key)) for run in runs]
                seen = sorted(set.intersection(*(set(c) for c in curves)))
                if not seen:
                    continue
                values = np.array([[curve[n] for n in seen] for curve in curves])
                axis.plot(
                    seen, values.mean(axis=0), label=title if axis is axes[0] else None, markersize=5, **look(index)
                )
                if len(curves) > 1:
                    colour = look(index)["color"]
                    axis.fill_between(
                        seen, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.12, linewidth=0
                    )
            axis.set_xlabel("images seen")
            axis.set_title(words[key])
            axis.locator_params(axis="x", nbins=5)
            axis.xaxis.set_major_formatter("{x:,.0f}")
        figure.legend(loc="outside lower center", frameon=False, ncols=3)
        return Picture(name, caption, png(figure))


def reliability(name: str, caption: str, rows: Sequence[tuple[str, Calibration]]) -> Picture:
    """Share of nodule pixels against predicted probability, and how many pixels each bin holds."""
    with page(9.6, 4.4, 2) as (figure, (curve, counts)):
        curve.plot([0, 1], [0, 1], color="#555555", linewidth=1, linestyle=":")
        for index, (title, bins) in enumerate(rows):
            there = bins.counts > 0
            curve.plot(bins.confidence[there], bins.observed[there], label=title, markersize=5, **look(index))
            middle = (np.arange(len(bins.counts)) + 0.5) / len(bins.counts)
            share = bins.counts / bins.counts.sum()
            counts.plot(middle[there], share[there], markersize=5, **look(index))
        curve.set(xlabel="predicted probability", ylabel="share of nodule pixels", xlim=(0, 1), ylim=(0, 1))
        curve.set_title("dotted: perfect")
        counts.set(xlabel="predicted probability", ylabel="share of all pixels", xlim=(0, 1), yscale="log")
        counts.set_title("pixels in each bin")
        figure.legend(loc="outside lower center", frameon=False, ncols=3)
        return Picture(name, caption, png(figure))
