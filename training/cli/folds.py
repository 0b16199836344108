"""``folds``: whole scans judged by networks that left them out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from LungNoduleSegLib.errors import InputError
from training.cli.options import Cache, Data, Marks, Scans
from training.sources import Sources


def folds(
    source: Scans,
    run: Annotated[list[str], typer.Option(help="A run that was trained with --leave-out; two at least.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("evaluation-folds"),
    model: Annotated[str | None, typer.Option(help="Model whose card gets this scorer and its points.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder of its weights and card.")] = Path("Resources/Weights"),
    reduction: Annotated[
        str | None, typer.Option(help="False-positive reduction of `reduce`; the model's weights get the one of all.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Version of the model from now on; default: as it was.")] = None,
    marks: Marks = None,
    data: Data = None,
    cache: Cache = None,
) -> None:
    """FROC, outlines and false positives on the scans that each of several runs left out; a scorer fitted on them."""
    from rich.console import Console

    from LungNoduleSegLib.weights import load_state, save_weights
    from training.cli.evaluate import tables
    from training.evaluate.places import find_marks
    from training.evaluate.run import write_tables
    from training.evaluate.summary import TWO_FOLDS
    from training.publish.folds import fold_records, fold_scores, folds_of, judge_folds, source_text
    from training.publish.operating import DEFAULT_POINT, FALSE_PER_SCAN, with_scorer
    from training.publish.scoring import operating_curve, operating_points
    from training.publish.shipped import shipped
    from training.reduction.store import read_weights, summary_of

    sources = Sources.find(data, cache)
    card = None
    if model is not None:
        card, entry = shipped(model, folder)
        card = replace(card, version=version or card.version)
    elif version:
        raise InputError("a version is given, but no model", remedy="Name it with --model.")
    parts = folds_of(run, sources, reduction)
    output.mkdir(parents=True, exist_ok=True)
    table_of_marks = find_marks(source, output, marks)
    scans = judge_folds(parts, source, table_of_marks, say=typer.echo)
    judged, scores = [s.judged for s in scans], fold_scores(scans)
    points = {str(p["name"]): p for p in operating_points(operating_curve(judged, scores), FALSE_PER_SCAN)}
    threshold = float(str(points[DEFAULT_POINT]["threshold"])) if DEFAULT_POINT in points else 0.5
    records = fold_records(scans, scores, " and ".join(run), threshold, table_of_marks)
    about = {
        "model": asdict(records[0].settings),
        "reduction": reduction,
        "runs": [{"run": f.run, "images": f.samples, "left_out": sorted(f.leave_out)} for f in parts],
        "source": source.name,
        "marks": None if table_of_marks is None else table_of_marks.name,
        "points": list(points.values()),
        "skipped": [],
    }
    summary = write_tables(output, about, records, {r.patient: TWO_FOLDS for r in records})
    console = Console(soft_wrap=True)
    for table in tables(summary):
        console.print(table)
    if card is not None:
        about_points = source_text(parts, scans)
        if reduction is None:
            with_scorer(card, judged, scores, about_points).write(folder / f"{card.name}.json")
        else:
            trained = sources.reduction(reduction)
            layers, weights = read_weights(trained)
            card = with_scorer(card, judged, scores, about_points, layers.to_dict())
            card = replace(card, training={**card.to_dict()["training"], "reduction": summary_of(trained)})
            save_weights(folder, card, load_state(entry), weights)
        typer.echo(f"written: {folder / f'{card.name}.json'}")
    typer.echo(f"written: {output}")
