"""``python -m LungNoduleSegLib.cli.demo``: each available model on a public CT, beside that CT's own label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
import typer

from LungNoduleSegLib.cli.console import ending_cleanly, err, out, reported
from LungNoduleSegLib.errors import InputError, WeightsError

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT

GRID_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class Agreement:
    """How well a result agrees with a label volume.

    ``overlapping`` is the label of the found nodule that shares most voxels with it (None where none does), ``dice``
    that nodule's 3D Dice with it, ``dice_all`` the Dice of all found nodules together.
    """

    overlapping: int | None
    dice: float
    dice_all: float


def agreement(labels: np.ndarray, truth: np.ndarray) -> Agreement:
    """Dice of a result's labels [k, j, i] with a bool volume of the same grid."""
    shared = np.bincount(labels[truth], minlength=1)
    shared[0] = 0
    total = int(np.count_nonzero(truth))
    found = int(np.count_nonzero(labels))
    dice_all = 2 * float(shared.sum()) / (total + found) if total + found else 1.0
    if not shared.any():
        return Agreement(None, 0.0, dice_all)
    best = int(shared.argmax())
    return Agreement(best, 2 * float(shared[best]) / (total + int(np.count_nonzero(labels == best))), dice_all)


def read_label(path: Path, ct: CT) -> np.ndarray:
    """A label volume on the CT's grid as bool [k, j, i].

    Raises
    ------
    InputError
        If it lies on another grid.
    """
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image) != 0
    ours = ct.to_sitk()
    apart = [
        float(
            np.abs(np.subtract(image.TransformIndexToPhysicalPoint(at), ours.TransformIndexToPhysicalPoint(at))).max()
        )
        for at in ((0, 0, 0), tuple(n - 1 for n in ours.GetSize()))
    ]
    if values.shape != ct.shape or max(apart) > GRID_TOLERANCE_MM:
        raise InputError("lies on another grid than the CT", path=path)
    return values


@reported
def demo(
    local: Annotated[Optional[Path], typer.Argument(metavar="[CT]", help="The same as --ct.")] = None,  # noqa: UP045
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results, one inside per model.")
    ] = Path("demo"),
    ct: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--ct", help="A CT of your own instead of the sample.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda ...")] = "auto",
) -> None:
    """Segment a public chest CT with every model that is here, and compare with its label."""
    from LungNoduleSegLib.weights import models as catalog

    names = [entry.card.name for entry in catalog() if entry.available]
    if not names:
        raise WeightsError("no model has weights here", remedy="See `lungnoduleseg models` for how to get them.")
    image, label = _input(ct or local)
    truth = None
    for name in names:
        result = _segment(name, image, output / name, device)
        if label is not None:
            truth = read_label(label, result.ct) if truth is None else truth
            out().print(describe(agreement(result.labels, truth), result, truth), markup=False)
        out().print(f"Picture: {output / name / 'overview.png'}\n", markup=False)


def _input(local: Path | None) -> tuple[Path, Path | None]:
    if local is not None:
        return local, None
    from LungNoduleSegLib.cli.sample_data import fetch_sample

    sample = fetch_sample(lambda text: err().print(text, markup=False))
    return sample.image, sample.label


def _segment(name: str, image: Path, output: Path, device: str) -> Any:
    from LungNoduleSegLib.cli import pipeline

    out().print(f"{name}", style="bold")
    return pipeline.run(
        image,
        output,
        command="segment",
        model=name,
        device=device,
        series=None,
        check=lambda volume: None,
        work=lambda segmenter, volume, _, tell: segmenter.segment(volume, progress=tell),
    )


def describe(agreement: Agreement, result: Any, truth: np.ndarray) -> str:
    """The agreement in two lines."""
    volume = np.count_nonzero(truth) * float(abs(np.linalg.det(np.asarray(result.ct.ijk_to_ras)[:3, :3])))
    if agreement.overlapping is None:
        first = f"The labelled nodule ({volume:,.0f} mm³) was not found."
    else:
        first = f"Dice {agreement.dice:.3f} of nodule {agreement.overlapping} with the label ({volume:,.0f} mm³) in 3D."
    count = len(result.nodules)
    return f"{first}\nDice {agreement.dice_all:.3f} of all {count} found with the label, which marks one nodule only."


def main() -> None:
    """Runs the demo as a command."""
    with ending_cleanly():
        typer.run(demo)


if __name__ == "__main__":
    main()
