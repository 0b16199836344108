"""One row of the review: a nodule, and what the user and the product say about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from LungNoduleSegLib.nodules.bands import SizeBand, fleischner_2017
from LungNoduleSegLib.nodules.nodule import ATTENUATIONS

from .segments import ALGORITHM_TYPE_TAG, EDITED_TAG, MODEL_TAG, STATUS_TAG, TYPE_TAG
from .tags import segment_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from LungNoduleSegLib.nodules import Nodule

STATUSES = ("pending", "accepted", "rejected")
"""What a user may think of a nodule."""

KINDS = ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL")
"""How a segment came about, as DICOM calls it."""


@dataclass(frozen=True)
class ReviewRow:
    """A nodule of the list.

    Attributes
    ----------
    segment_id, name
        Of its segment.
    nodule
        Measured from the segment's voxels on the CT's grid.
    attenuation
        Type: the user's choice before the measured one; empty where there is none.
    status
        One of :data:`STATUSES`.
    edited
        Whether its voxels were changed by hand since it was found.
    kind
        One of :data:`KINDS`; what was found automatically and edited since is SEMIAUTOMATIC.
    model
        Name of the model that found it, empty where none did.
    band
        Size band of the guideline that the review follows, None where that has none for the type.
    typed
        Whether the type is the user's choice.
    """

    segment_id: str
    name: str
    nodule: Nodule
    attenuation: str
    status: str
    edited: bool
    kind: str
    model: str
    band: SizeBand | None
    typed: bool = False


def row_of(
    segment_id: str, segment, nodule: Nodule, guideline: Callable[[Nodule, str], SizeBand | None] = fleischner_2017
) -> ReviewRow:
    """The row of a segment, from its tags and its measured nodule."""
    chosen = user_type(segment)
    attenuation = chosen or nodule.attenuation
    return ReviewRow(
        segment_id=segment_id,
        name=segment.GetName(),
        nodule=nodule,
        attenuation=attenuation,
        status=status_of(segment),
        edited=is_edited(segment),
        kind=kind_of(segment),
        model=segment_tag(segment, MODEL_TAG),
        band=guideline(nodule, attenuation),
        typed=bool(chosen),
    )


def status_of(segment) -> str:
    """The user's verdict, ``"pending"`` where there is none."""
    status = segment_tag(segment, STATUS_TAG)
    return status if status in STATUSES else "pending"


def user_type(segment) -> str:
    """The type of attenuation that the user has chosen, empty where that is left to the measurement."""
    chosen = segment_tag(segment, TYPE_TAG)
    return chosen if chosen in ATTENUATIONS else ""


def is_edited(segment) -> bool:
    return segment_tag(segment, EDITED_TAG) == "1"


def kind_of(segment) -> str:
    """How the segment came about; one without a tag was drawn by hand, as DICOM export takes it."""
    kind = segment_tag(segment, ALGORITHM_TYPE_TAG)
    return kind if kind in KINDS else "MANUAL"


def rejected_ids(rows: Iterable[ReviewRow]) -> set[str]:
    """Segment IDs of the rejected rows."""
    return {row.segment_id for row in rows if row.status == "rejected"}
