"""Worst and best slices of one complete scan as pictures, predicted anew with the weights that the studies kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.data.crops import IGNORE
from training.data.scans import TrainingScan
from training.metrics import POSITIVE_PX, iou, overlap_counts
from training.report.cases import CAPTIONS
from training.report.layout import SHOWN, Findings
from training.report.plots import COLOURS, page, png
from training.report.results import Run
from training.report.rows import Row

if TYPE_CHECKING:
    from torch import nn

ATTRIBUTION = "LIDC-IDRI, The Cancer Imaging Archive, CC BY 3.0, results drawn by us"


@dataclass(frozen=True)
class Seen:
    """One network on one slice: ``image`` HU, ``truth`` and ``predicted`` bool, all (h, w), and their IoU."""

    title: str
    image: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    iou: float


@dataclass(frozen=True)
class Case:
    """One nodule on one slice (counted from the feet, from 0), as every network sees it."""

    patient: str
    nodule: int
    slice: int
    area_px: int
    seen: tuple[Seen, ...]

    @property
    def iou(self) -> float:
        return float(np.mean([one.iou for one in self.seen]))


def network_of(run: Run) -> tuple[nn.Module, int, int]:
    """The trained network of a run, its window in pixels and its number of slices.

    Raises
    ------
    InputError
        The run's folder holds no weights, or such as do not fit what ``run.json`` says.
    """
    import torch
    from safetensors.numpy import load_file

    from training.engine.architecture import build_any, config_from_dict
    from training.studies.results import WEIGHTS

    path = run.folder / WEIGHTS
    if not path.is_file():
        raise InputError("the run kept no weights to draw with", path=path, remedy="Run that row of the study again.")
    try:
        config = config_from_dict(run.facts["config"]["network"])
        network = build_any(config, to_be_filled=True)
        network.load_state_dict({n: torch.from_numpy(a) for n, a in load_file(path).items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"weights and run.json do not fit ({error})", path=path) from error
    return network.float().eval(), int(run.facts.get("px", config.input_px)), config.input_slices


def places(scan: TrainingScan) -> list[tuple[int, int, int, int]]:
    """(nodule, k, j, i) of every nodule on every slice where its consensus exceeds 8 px; j, i its middle there."""
    found = []
    for nodule in range(1, int(scan.nodules.max()) + 1):
        inside = (scan.nodules == nodule) & (scan.labels == 1)
        for k in np.flatnonzero(inside.sum(axis=(1, 2)) > POSITIVE_PX):
            j, i = (round(float(axis.mean())) for axis in np.nonzero(inside[k]))
            found.append((nodule, int(k), j, i))
    return found


def look(scan: TrainingScan, networks: Sequence[tuple[str, Any, int, int]]) -> list[Case]:
    """Every nodule on every slice, seen by (title, network, window in pixels, slices)."""
    from LungNoduleSegLib.inference.normalise import normalise
    from training.studies.evaluation import THRESHOLD, probabilities
    from training.studies.fitting import NORMALISATION

    cases = []
    for nodule, k, j, i in places(scan):
        seen = []
        for title, network, px, slices in networks:
            hu, labels = scan.tile((k, j, i), px, slices)
            probability = probabilities(network, normalise(hu[None], NORMALISATION))[0]
            truth, predicted = labels == 1, (probability > THRESHOLD) & (labels != IGNORE)
            score = float(iou(overlap_counts(predicted[None], truth[None]))[0])
            seen.append(Seen(title, hu[slices // 2], truth, predicted, score))
        area = int(((scan.nodules[k] == nodule) & (scan.labels[k] == 1)).sum())
        cases.append(Case(scan.patient, nodule, k, area, tuple(seen)))
    return cases


def choose(cases: Sequence[Case], count: int, *, worst: bool) -> list[Case]:
    """The cases of lowest (highest) mean IoU, one a nodule."""
    chosen: dict[int, Case] = {}
    for case in sorted(cases, key=lambda c: c.iou if worst else -c.iou):
        chosen.setdefault(case.nodule, case)
    return list(chosen.values())[:count]


def draw(case: Case) -> bytes:
    """PNG: the slice, then what each network found (filled line) beside the readers' consensus (dashed)."""
    with page(2.5 * (len(case.seen) + 1), 3.0, len(case.seen) + 1) as (figure, axes):
        for axis, one in zip(axes, (case.seen[0], *case.seen)):
            axis.imshow(one.image, cmap="gray", vmin=-1350, vmax=150, interpolation="nearest")  # the lung window
            axis.set_axis_off()
        axes[0].set_title("the slice")
        for axis, one in zip(axes[1:], case.seen):
            for mask, colour, line in ((one.truth, COLOURS[4], "--"), (one.predicted, COLOURS[5], "-")):
                if mask.any():
                    axis.contour(mask, levels=[0.5], colors=[colour], linestyles=[line], linewidths=1.6)
            axis.set_title(f"{one.title}\nIoU {one.iou:.2f}")
        axes[0].plot([], [], "--", color=COLOURS[4], label="consensus of the readers")
        axes[0].plot([], [], "-", color=COLOURS[5], label="predicted")
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        return png(figure)


def write_cases(rows: Sequence[Row], scan: TrainingScan, output: Path, *, count: int = 3) -> list[Path]:
    """Pictures of the worst and the best slices of a scan, with ``captions.json``, for ``report --cases``.

    The first seed of each of the report's networks is used; the full scale's where both are there.

    Raises
    ------
    InputError
        None of these networks was run or kept its weights, or the scan shows no nodule.
    """
    scale = "full" if any(row.scale == "full" for row in rows) else "compact"
    findings, networks = Findings(scale, rows), []
    for title, place in SHOWN.items():
        row = findings.row(*place)
        if row is not None:
            networks.append((title, *network_of(row.runs[0])))
    if not networks:
        raise InputError(f"none of {', '.join(SHOWN)} was run", remedy="Run study A, B or D first.")
    cases = look(scan, networks)
    if not cases:
        raise InputError(f"{scan.patient} shows no nodule of more than {POSITIVE_PX} pixels")
    captions, paths = {}, []
    output.mkdir(parents=True, exist_ok=True)
    for word in ("worst", "best"):
        for number, case in enumerate(choose(cases, count, worst=word == "worst"), start=1):
            path = output / f"{word}-{number}.png"
            path.write_bytes(draw(case))
            scores = ", ".join(f"{one.title} {one.iou:.2f}" for one in case.seen)
            captions[path.name] = (
                f"{case.patient}, nodule {case.nodule}, slice {case.slice + 1} from the feet, {case.area_px} px: among "
                f"the {word} of this scan. IoU, one seed each, {scale} scale: {scores}. {ATTRIBUTION}."
            )
            paths.append(path)
    (output / CAPTIONS).write_text(json.dumps(captions, indent=1) + "\n", encoding="utf-8")
    return [*paths, output / CAPTIONS]
