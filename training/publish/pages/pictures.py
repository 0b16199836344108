"""The pictures of a model's page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from LungNoduleSegLib.weights import Card
from training.publish.pages.scan import NoduleView

DPI = 110
WINDOW_HU = (-1350, 150)
"""The usual lung window."""

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
PARTS = (("validation", BLUE, "o"), ("test", ORANGE, "s"), ("candidates", GREEN, "^"))


def reliability(card: Card) -> bytes | None:
    """Reliability of pixels and candidates, above it how many there are; PNG, None where the card has none."""
    found = [
        (part, colour, marker, card.metrics[part]["calibration"]["bins"])
        for part, colour, marker in PARTS
        if "calibration" in card.metrics.get(part, {})
    ]
    if not found:
        return None
    figure = _figure(5.6, 5.2)
    counts, curve = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    curve.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="as it should be")
    for part, colour, marker, bins in found:
        name = "candidates (two folds)" if part == "candidates" else f"pixels, {part} patients"
        kept = [n for n, count in enumerate(bins["counts"]) if count]
        x, y = ([bins[key][n] for n in kept] for key in ("confidence", "observed"))
        curve.plot(x, y, color=colour, marker=marker, markersize=5, label=name)
        counts.plot(x, [bins["counts"][n] for n in kept], color=colour, marker=marker, markersize=4)
    curve.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", ylabel="share that is nodule")
    counts.set(yscale="log", ylabel="number")
    curve.legend(loc="upper left", frameon=False, fontsize=9)
    return _png(figure)


def scan(views: Sequence[NoduleView], caption: str) -> bytes:
    """A column a nodule: above the result of the whole scan, below that of one click; PNG."""
    from matplotlib.lines import Line2D

    figure = _figure(2.35 * len(views), 5.5)
    axes = figure.subplots(2, len(views), squeeze=False)
    for column, view in enumerate(views):
        for row, (mask, name) in enumerate(((view.result, "whole scan"), (view.click, "one click"))):
            ax = axes[row, column]
            aspect = view.mm_per_px[0] / view.mm_per_px[1]
            ax.imshow(view.hu, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], aspect=aspect, interpolation="none")
            _outline(ax, view.truth, "white")
            _outline(ax, mask, ORANGE)
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(view.title, fontsize=10)
            if column == 0:
                ax.set_ylabel(name, fontsize=10)
    lines = [Line2D([], [], color=c) for c in ("#bbbbbb", ORANGE)]
    figure.legend(lines, ["consensus of the readers (white)", "model"], loc="outside lower left", ncols=2, fontsize=9)
    figure.supxlabel(caption, fontsize=8, x=0.99, ha="right")
    return _png(figure)


def _outline(ax: Any, mask: Any, colour: str) -> None:
    if mask.any():
        ax.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.4)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    """The same bytes for the same figure; a palette is enough for grey pixels and two colours."""
    from PIL import Image

    raw, out = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="png", dpi=DPI, metadata={"Software": None})
    Image.open(raw).convert("RGB").quantize(256).save(out, format="PNG", optimize=True)
    return out.getvalue()
