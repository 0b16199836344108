"""What the table of nodules says: the columns, and the cells of a row of the review. No Qt."""

import re
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Cell:
    """One value of one nodule.

    text - what is shown.
    key - what is sorted by; None, which comes last in either order, where there is nothing to sort by.
    tip - what is said when the mouse rests on it.
    marked - whether it is the user's own, and not what was found and measured: shown in italics.
    """

    text: str
    key: Any
    tip: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Column:
    """title - one or two short lines; tip - the definition; cell - Cell of a ReviewRow; number - right-aligned."""

    title: str
    tip: str
    cell: Any
    number: bool = False


class NoduleColumns:
    """The columns, in order; the name is the first.

    Words are translated once: a table of many rows must not wait for translations.
    """

    def __init__(self):
        self.sides = {"left": _("left"), "right": _("right"), "": ""}
        self.types = {
            "solid": _("solid"),
            "part-solid": _("part-solid"),
            "ground-glass": _("ground-glass"),
            "calcified": _("calcified"),
            "": "",
        }
        self.statuses = {"pending": _("to review"), "accepted": _("accepted"), "rejected": _("rejected")}
        self.marks = {"pending": "•", "accepted": "✓", "rejected": "✗"}
        self._statusOrder = {status: number for number, status in enumerate(self.statuses)}
        self._edited = _(
            "The outline was changed by hand since it was found. All values are measured on it as it is now."
        )
        self._typed = _("Chosen by hand. Measured: {measured}.")
        self._solidPart = _("Longest axis of the solid part: {diameter} mm.")
        self._kinds = {
            "AUTOMATIC": _("Found by {model}."),
            "SEMIAUTOMATIC": _("Segmented by {model}, guided by hand."),
            "MANUAL": _("Drawn by hand."),
        }
        self._noProbability = _("Drawn by hand: no model gave a probability.")
        self._noBand = _("The guideline has no size band for this type.")
        self._noSide = _("The CT does not tell the side.")
        self.columns = [
            Column(_("Name"), _("Name of the segment; double-click or F2 to change it."), self._name),
            Column(_("Side"), _("Lung of the patient, by the lungs that were found in the CT."), self._side),
            Column(
                _("Type"),
                _(
                    "Type of attenuation, from the CT numbers in the nodule's core; in italics where it was chosen by "
                    "hand."
                ),
                self._type,
            ),
            Column(
                _("Long × short\n(mm)"),
                _(
                    "Long axis: the largest extent on an axial slice. Short axis: the longest line perpendicular to it "
                    "on the same slice. Sorted by the long axis."
                ),
                self._axes,
                True,
            ),
            Column(_("Mean\n(mm)"), _("Mean diameter: mean of the long and the short axis."), self._diameter, True),
            Column(_("Volume\n(mm³)"), _("Number of voxels times the volume of a voxel."), self._volume, True),
            Column(_("Mean\nHU"), _("Mean CT number over all voxels of the nodule."), self._hu, True),
            Column(
                _("Proba-\nbility"),
                _("The model's score that this is a nodule, 0 to 1. It is not a probability of malignancy."),
                self._probability,
                True,
            ),
            Column(
                _("Size\nband"),
                _(
                    "Where a guideline puts a single nodule of this type and size. Research use, not a diagnosis: what "
                    "the guideline recommends depends on the patient too."
                ),
                self._band,
            ),
            Column(_("Status"), _("What you decided: accepted, rejected, or still to review."), self._status),
        ]

    def cells(self, row):
        """The cells of a ReviewRow, one for each column."""
        return [column.cell(row) for column in self.columns]

    def _name(self, row):
        tips = [row.name, self._kinds[row.kind].format(model=row.model or _("a model"))]
        if row.edited:
            tips.append(self._edited)
        key = [(0, int(part), "") if part.isdigit() else (1, 0, part.casefold()) for part in _DIGITS.split(row.name)]
        return Cell(row.name, key, "\n".join(tips), row.edited)

    def _side(self, row):
        side = row.nodule.side
        return Cell(self.sides[side], side or None, "" if side else self._noSide)

    def _type(self, row):
        tips = []
        if row.typed:
            tips.append(self._typed.format(measured=self.types[row.nodule.attenuation]))
        if row.nodule.solid_diameter_mm is not None and row.attenuation == "part-solid":
            tips.append(self._solidPart.format(diameter=f"{row.nodule.solid_diameter_mm:.1f}"))
        return Cell(self.types[row.attenuation], row.attenuation or None, "\n".join(tips), row.typed)

    def _axes(self, row):
        long, short = row.nodule.long_axis_mm, row.nodule.short_axis_mm
        return Cell(f"{long:.1f} × {short:.1f}", (long, short))

    def _diameter(self, row):
        return _number(row.nodule.mean_diameter_mm, 1)

    def _volume(self, row):
        return _number(row.nodule.volume_mm3, 0)

    def _hu(self, row):
        return _number(row.nodule.mean_hu, 0)

    def _probability(self, row):
        if row.kind == "MANUAL":
            return Cell("", None, self._noProbability)
        return _number(row.nodule.probability, 2)

    def _band(self, row):
        if row.band is None:
            return Cell("", None, self._noBand)
        category = row.band.category
        # "<6 mm", "6-8 mm", ">8 mm" in this order; categories that are numbers ("4A") by themselves.
        rank = {"<": 0, ">": 2}.get(category[:1], 1)
        shown = category.replace(">=", "≥").replace("<=", "≤")
        return Cell(shown, (row.band.guideline, rank, category), row.band.sentence)

    def _status(self, row):
        return Cell(self.statuses[row.status], self._statusOrder[row.status])


def _number(value, decimals):
    return Cell(f"{value:.{decimals}f}", value)
