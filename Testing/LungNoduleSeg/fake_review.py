"""A review without voxels: rows of made-up measurements, and a record of what was called."""

from __future__ import annotations

from dataclasses import replace

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml.rows import ReviewRow
from LungNoduleSegLib.nodules.bands import GUIDELINES
from LungNoduleSegLib.nodules.nodule import Nodule

FLEISCHNER = "fleischner-2017"


def nodule(
    number: int,
    long_mm: float = 10.0,
    short_mm: float = 8.0,
    *,
    attenuation: str = "solid",
    side: str = "right",
    probability: float = 0.9,
    mean_hu: float = -20.0,
    volume_mm3: float | None = None,
    solid_mm: float | None = None,
) -> Nodule:
    """A nodule of which only what the table shows means anything; its UID ends in its number."""
    return Nodule(
        uid=f"2.25.{number}",
        label=number,
        centroid_ras=(float(number), 2.0, 3.0),
        volume_mm3=0.52 * long_mm * short_mm**2 if volume_mm3 is None else volume_mm3,
        long_axis_mm=long_mm,
        short_axis_mm=short_mm,
        mean_diameter_mm=(long_mm + short_mm) / 2,
        mean_hu=mean_hu,
        attenuation=attenuation,
        solid_diameter_mm=solid_mm,
        probability=probability,
        side=side,
        long_axis_ras=((0, 0, 0), (1, 0, 0)),
        short_axis_ras=((0, 0, 0), (0, 1, 0)),
        bounds_kji=((0, 0, 0), (1, 1, 1)),
    )


def row(number: int, measured: Nodule | None = None, *, name: str = "", chosen: str = "", **more) -> ReviewRow:
    """The row of segment ``s<number>``; `chosen` is a type set by hand."""
    measured = nodule(number) if measured is None else measured
    attenuation = chosen or measured.attenuation
    values = {"status": "pending", "edited": False, "kind": "AUTOMATIC", "model": "model-2-compact"} | more
    return ReviewRow(
        segment_id=f"s{number}",
        name=name or f"Nodule {number}",
        nodule=measured,
        attenuation=attenuation,
        band=GUIDELINES[FLEISCHNER](measured, attenuation),
        typed=bool(chosen),
        **values,
    )


class FakeReview:
    """The names of NoduleReview; every call is kept in ``calls``."""

    def __init__(self, rows=()):
        self.rows = tuple(rows)
        self.on_change = []
        self.calls = []
        self.guideline_name = FLEISCHNER
        self.can_undo = self.can_redo = False
        self.undo_text = self.redo_text = ""

    def row(self, segment_id):
        return next((one for one in self.rows if one.segment_id == segment_id), None)

    def become(self, rows):
        """Other rows, as after a change made elsewhere."""
        self.rows = tuple(rows)
        for call in list(self.on_change):
            call()

    def _each(self, ids, **changes):
        self.become(replace(one, **changes) if one.segment_id in ids else one for one in self.rows)

    @property
    def guideline(self):
        return self.guideline_name

    @guideline.setter
    def guideline(self, name):
        self.guideline_name = name
        self.become(replace(one, band=GUIDELINES[name](one.nodule, one.attenuation)) for one in self.rows)

    def accept(self, ids):
        self.calls.append(("accept", *ids))
        self._each(ids, status="accepted")

    def reject(self, ids):
        self.calls.append(("reject", *ids))
        self._each(ids, status="rejected")

    def reset(self, ids):
        self.calls.append(("reset", *ids))
        self._each(ids, status="pending")

    def rename(self, segment_id, name):
        self.calls.append(("rename", segment_id, name))
        if name == "refused":
            raise InputError("this name is refused")
        self._each([segment_id], name=name)

    def set_type(self, segment_id, attenuation):
        self.calls.append(("set_type", segment_id, attenuation))
        measured = self.row(segment_id).nodule.attenuation
        self._each([segment_id], attenuation=attenuation or measured, typed=bool(attenuation))

    def delete(self, ids):
        self.calls.append(("delete", *ids))
        self.become(one for one in self.rows if one.segment_id not in ids)

    def merge(self, ids):
        self.calls.append(("merge", *ids))
        self.become(one for one in self.rows if one.segment_id not in ids[1:])
        return ids[0]

    def undo(self):
        self.calls.append(("undo",))

    def redo(self):
        self.calls.append(("redo",))
