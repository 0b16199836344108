"""Which runs stand in which line of which table, and why a line is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from training.metrics import Difference
from training.report.resample import paired
from training.report.rows import Row, shared
from training.studies.definitions import STUDIES, home, rows
from training.studies.definitions import Row as Definition
from training.studies.thesis import Printed, printed

CROP_PX = 128
"""The public crops are this large: a larger window has to be cut from complete scans."""

TITLES = {
    "A": "Table A: where scSE stands",
    "B": "Table B: with and without the transformer",
    "C": "Table C: size of the crop",
    "D": "Table D: against U-Net, Attention U-Net and TransUNet",
    "E": "Table E: the two models in time, parameters and size",
    "extra": "Without fusion, without residual shortcuts (the thesis never left them out)",
}
REFERENCES = {"A": "none", "B": "encoder", "C": "128px", "D": "model-1", "E": "model-1", "extra": "model-2"}
"""The line that the others of a table are compared with."""

SHOWN = {
    "model 1": ("D", "model-1"),
    "model 2": ("D", "model-2"),
    "no scSE": ("A", "none"),
    "U-Net": ("D", "unet"),
    "Attention U-Net": ("D", "attention-unet"),
    "TransUNet": ("D", "transunet"),
}
"""Networks whose calibration, figures by size and pictures are shown."""

NEEDS_DATA, NOT_RUN = "needs the full data set", "not run"


@dataclass(frozen=True)
class Line:
    """One line of a table: what it is, our runs or None with the reason, the thesis' figures or None."""

    definition: Definition
    ours: Row | None
    reason: str
    thesis: Printed | None

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def title(self) -> str:
        return self.definition.title


@dataclass
class Findings:
    """All rows of one scale, found by table and line; differences are computed once."""

    scale: str
    rows: Sequence[Row]
    trials: dict[tuple[str, str], str] = field(default_factory=dict)
    _differences: dict[tuple[str, ...], Difference | None] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._places = {(r.study, r.row, r.protocol): r for r in self.rows if r.scale == self.scale}
        sizes = Counter(px for r in self._places.values() if r.study != "C" and (px := input_px(r)) is not None)
        self.px = sizes.most_common(1)[0][0] if sizes else CROP_PX

    def row(self, study: str, name: str, protocol: str = "patient") -> Row | None:
        """Our row in a table's line; runs that several tables share are found wherever they were kept."""
        definition = next((d for d in rows(study) if d.name == name), None)
        if definition is None:
            return None
        kept = home(definition, px=self.px, protocol=protocol)
        for place in ((study, name), kept):
            found = self._places.get((place[0].removesuffix("-slice"), place[1], protocol))
            if found is not None:
                return found
        return None

    def lines(self, study: str, protocol: str = "patient") -> list[Line]:
        """Every line of a table in the order of its definition."""
        made = []
        for definition in rows(study):
            ours = self.row(study, definition.name, protocol)
            reason = "" if ours else NEEDS_DATA if (definition.px or 0) > CROP_PX else NOT_RUN
            tried = self.trials.get((study, definition.name))
            reason += f" (its code was tried on {tried})" if reason and tried else ""
            made.append(Line(definition, ours, reason, printed(study, definition.name)))
        return made

    def difference(self, a: Row | None, b: Row | None, measure: str) -> Difference | None:
        """Mean of ``a`` less mean of ``b`` on the images of both.

        None where a row or its images are missing, or where the runs were trained on different numbers of images: such
        a difference would be one of training, not of networks.
        """
        if a is None or b is None or images_seen(a) != images_seen(b):
            return None
        key = (a.study, a.row, a.protocol, b.study, b.row, b.protocol, measure)
        if key not in self._differences:
            both = shared(a, b, measure)
            self._differences[key] = None if both is None else paired(*both)
        return self._differences[key]

    def ran(self, study: str) -> bool:
        return any(line.ours for line in self.lines(study))


def input_px(row: Row) -> int | None:
    """Window that a row's networks were trained on, None where ``run.json`` does not say."""
    px = row.mean("px")
    return None if px is None else int(px)


def images_seen(row: Row) -> tuple[float | None, ...]:
    """Numbers of images that the row's runs saw in training, each once."""
    return tuple(sorted({run.number("samples") for run in row.runs}, key=lambda n: -1 if n is None else n))


def why_none(a: Row | None, b: Row | None) -> str:
    """Why there is no difference of two rows."""
    if a is None or b is None:
        return NOT_RUN
    return "not comparable: other number of images seen" if images_seen(a) != images_seen(b) else "no image in common"


def tables() -> tuple[str, ...]:
    """The studies that make a table; the leak has a section of its own."""
    return tuple(study for study in STUDIES if study in TITLES)
