"""``export``, ``operate`` and ``scans``: from a run to a model that ships, and what it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.cli.options import Cache, Data
from training.sources import Sources

if TYPE_CHECKING:
    from LungNoduleSegLib.weights import Card


def export(
    name: Annotated[str, typer.Argument(help="Model name, e.g. model-2-compact.")],
    run: Annotated[str, typer.Option(help="Run whose moving average becomes the weights.")],
    version: Annotated[str, typer.Option(help="Version of the weights.")],
    output: Annotated[Path, typer.Option(help="Folder for the weights and the card.")] = Path("Resources/Weights"),
    after: Annotated[list[str] | None, typer.Option(help="RUN:SAMPLES that it started from; repeatable.")] = None,
    licence: Annotated[str, typer.Option(help="Under which the weights may be used.")] = "Apache-2.0",
    best: Annotated[bool, typer.Option(help="Of the run's best validation, not of its end.")] = False,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Write float16 weights with their card: figures of the validation and test patients, series, split, hash.

    NAME may be any: the card says which network it is.
    """
    from LungNoduleSegLib.weights import Card
    from training.publish.published import publish

    sources = Sources.find(data, cache)
    path = publish(
        name, sources.run(run), version, output, sources, after=tuple(after or ()), licence=licence, best=best
    )
    card = Card.read(path)
    _say_figures(card)
    _say_int8(card)
    typer.echo(f"written: {path}")


def _say_figures(card: Card) -> None:
    for part in ("validation", "test"):
        found = card.metrics.get(part)
        if found is None:
            typer.echo(f"{part}: no patient with a nodule of more than 8 pixels: the card has no figures of it")
        else:
            overlap = found["iou_pos"]
            typer.echo(
                f"{part}: iou_pos {overlap['value']} [{overlap['low']}, {overlap['high']}] on {overlap['n_images']} "
                f"images of {overlap['n_patients']} patients"
            )


def _say_int8(card: Card) -> None:
    if card.quantisation is None:
        typer.echo("int8: no; it lost too much, or was not tried (no ONNX Runtime, or no validation patients)")
        return
    figures = card.quantisation["validation"]
    typer.echo(f"int8: iou_pos of the validation patients {figures['int8']}, in float32 {figures['float32']}")


def quantise(
    name: Annotated[str, typer.Argument(help="Model whose card gets what computing in int8 needs.")],
    folder: Annotated[Path, typer.Option(help="Folder of the weights and the card.")] = Path("Resources/Weights"),
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Ranges for whole numbers of 8 bits, which CPUs with AVX2 compute faster; `export` does it too."""
    from training.publish.quantise import quantise as measure

    _say_int8(measure(name, folder, Sources.find(data, cache)))


def remeasure(
    name: Annotated[str, typer.Argument(help="Model whose card is measured anew.")],
    version: Annotated[str, typer.Option(help="Version of the card from now on.")],
    folder: Annotated[Path, typer.Option(help="Folder of the weights and the card.")] = Path("Resources/Weights"),
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Figures of a shipped model's crops anew, after what it does with crops has changed; the weights stay."""
    from training.publish.remeasure import remeasure as measure

    _say_figures(measure(name, folder, version, Sources.find(data, cache)))


def operate(
    name: Annotated[str, typer.Argument(help="Model whose card gets its candidate scorer and operating points.")],
    folder: Annotated[Path, typer.Option(help="Folder of the weights and the card.")] = Path("Resources/Weights"),
    scans: Annotated[int, typer.Option(min=0, help="At most so many prepared scans, spread over all; 0: all.")] = 0,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Fit the candidate scorer on whole scans of the training side, by two folds, and choose the operating points."""
    from training.publish.operating import set_operating_points

    card = set_operating_points(name, folder, Sources.find(data, cache), scans)
    for point in card.operating_points:
        typer.echo(json.dumps({k: v for k, v in point.items() if k != "source"}))


def calibrate(
    name: Annotated[str, typer.Argument(help="Model whose card gets its calibration.")],
    folder: Annotated[Path, typer.Option(help="Folder of the weights and the card.")] = Path("Resources/Weights"),
    test: Annotated[bool, typer.Option("--test", help="Also of the test patients: a look, which is logged.")] = False,
    candidates: Annotated[bool, typer.Option("--candidates", help="Also of the candidates of whole scans.")] = False,
    scans: Annotated[int, typer.Option(min=0, help="At most so many prepared scans for those; 0: all.")] = 0,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """How calibrated a model with a card is, on the validation patients; `export` and `operate` measure it too."""
    from training.publish.calibrate import calibrate as measure

    card = measure(name, folder, Sources.find(data, cache), test=test, candidates=candidates, most=scans)
    for part, metrics in card.metrics.items():
        found = metrics.get("calibration")
        if found is not None:
            interval = f" [{found['low']}, {found['high']}]" if "low" in found else ""
            typer.echo(
                f"{part}: expected calibration error {found['value']}{interval}, Brier {found['brier']['value']}"
            )


def scans(
    name: Annotated[str, typer.Argument(help="Model to try on complete scans.")],
    patient: Annotated[list[str] | None, typer.Option(help="LIDC-IDRI-NNNN, repeatable; default: 0063.")] = None,
    clicks: Annotated[bool, typer.Option(help="Also click into each annotated nodule.")] = True,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """Whole CTs (and one click a nodule) against the annotations."""
    from LungNoduleSegLib import load_segmenter
    from training.data.split import NEVER_USED, side
    from training.publish.operating import evaluate_scan

    sources = Sources.find(data, cache)
    segmenter = load_segmenter(name)
    for who in patient or sorted(NEVER_USED):
        figures, rows = evaluate_scan(segmenter, who, sources, clicks=clicks)
        seen = "" if side(who) == "none" else f" (on the {side(who)} side of the split)"
        typer.echo(
            f"{who}{seen}: {figures.results} results, false positives: {figures.strict_false} strict, "
            f"{figures.luna16_false} luna16"
        )
        for row in rows:
            typer.echo(json.dumps(row))
