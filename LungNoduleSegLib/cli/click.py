"""``lungnoduleseg click``."""

from __future__ import annotations

from typing import Annotated, Optional

import typer
from typer.core import TyperCommand

from LungNoduleSegLib.cli.console import reported
from LungNoduleSegLib.cli.options import DEFAULT_MODEL, CTPath, Device, Engine, Model, Output, Series

_POINT_OPTIONS = ("--ras", "--negative")


def join_points(arguments: list[str]) -> list[str]:
    """The arguments with ``--ras X Y Z`` as ``--ras "X Y Z"``; points already in one argument stay.

    typer knows no option that takes three values and may be repeated.
    """
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        joined.append(argument)
        if argument == "--":
            return joined + rest
        if argument in _POINT_OPTIONS:
            count = 1 if rest and len(rest[0].replace(",", " ").split()) == 3 else 3
            values, rest = rest[:count], rest[count:]
            if values:
                joined.append(" ".join(values))
    return joined


class SeedsCommand(TyperCommand):
    """A command whose point options take three numbers each."""

    def parse_args(self, ctx, args: list[str]) -> list[str]:  # type: ignore[no-untyped-def, override]
        return super().parse_args(ctx, join_points(list(args)))


@reported
def click(
    ct: CTPath,
    output: Output,
    ras: Annotated[
        list[str],
        typer.Option(
            "--ras", metavar="X Y Z", help="A point in the nodule, RAS mm; may be repeated.", show_default=False
        ),
    ],
    negative: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--negative", metavar="X Y Z", help="A point outside the nodule; may be repeated.", show_default=False
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    engine: Engine = "auto",
    series: Series = None,
) -> None:
    """Segment the nodule at a point."""
    from LungNoduleSegLib.cli import pipeline
    from LungNoduleSegLib.cli.inputs import check_inside, parse_points

    inside, outside = parse_points(ras, "--ras"), parse_points(negative, "--negative")

    def check(volume) -> None:  # type: ignore[no-untyped-def]
        check_inside(volume, inside, "--ras")
        check_inside(volume, outside, "--negative")

    pipeline.run(
        ct,
        output,
        command="click",
        model=model,
        device=device,
        engine=engine,
        series=series,
        check=check,
        work=lambda segmenter, volume, _, tell: segmenter.click(volume, inside, outside, progress=tell),
    )
