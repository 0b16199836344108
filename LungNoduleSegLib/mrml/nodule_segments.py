"""What is kept on a nodule's segment, and when: verdict, type, how it came about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from LungNoduleSegLib.nodules.components import crop
from LungNoduleSegLib.nodules.measure import mean_hu

from .read import nodule_labels, nodule_uids
from .rows import is_edited, kind_of, status_of, user_type
from .segment_edits import segment_ids
from .segment_voxels import SegmentVoxels
from .segments import (
    ALGORITHM_NAME_TAG,
    ALGORITHM_TYPE_TAG,
    EDITED_TAG,
    LABEL_TAG,
    MODEL_TAG,
    PROBABILITY_TAG,
    SLICER_STATUS_TAG,
    SLICER_STATUSES,
    STATUS_TAG,
    UID_TAG,
    algorithm_name,
    segment_name,
)
from .tags import segment_tag, set_segment_tag

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT
    from LungNoduleSegLib.nodules import Nodule

    from .overlap import Placed


def set_status(segment, status: str) -> None:
    """Keep the user's verdict, for this product and for Slicer's own status of segments."""
    if status_of(segment) != status:
        set_segment_tag(segment, STATUS_TAG, "" if status == "pending" else status)
        set_segment_tag(segment, SLICER_STATUS_TAG, SLICER_STATUSES[status])


def take_slicer_status(segment) -> None:
    """Where the user has changed Slicer's own status of a segment, its verdict is ours too."""
    theirs = segment_tag(segment, SLICER_STATUS_TAG)
    status = {"completed": "accepted", "flagged": "rejected"}.get(theirs, "pending")
    if status_of(segment) != status:
        set_segment_tag(segment, STATUS_TAG, "" if status == "pending" else status)


def mark_edited(segment) -> None:
    """Its voxels were changed by hand: what a model found alone is then no longer AUTOMATIC."""
    set_segment_tag(segment, EDITED_TAG, "1")
    if kind_of(segment) == "AUTOMATIC":
        set_segment_tag(segment, ALGORITHM_TYPE_TAG, "SEMIAUTOMATIC")


def set_origin(segment, probability: float, model: str | None = None) -> None:
    """It came about by a user and a model: with this probability and, where another model did it, its name."""
    set_segment_tag(segment, ALGORITHM_TYPE_TAG, "SEMIAUTOMATIC")
    set_segment_tag(segment, PROBABILITY_TAG, repr(float(probability)))
    if model is not None:
        set_segment_tag(segment, MODEL_TAG, model)
        set_segment_tag(segment, ALGORITHM_NAME_TAG, algorithm_name(model))


def is_untouched(segment) -> bool:
    """Whether it is as a model has found it, and the user has neither judged, nor named, typed or edited it."""
    label = segment_tag(segment, LABEL_TAG)
    return (
        kind_of(segment) == "AUTOMATIC"
        and status_of(segment) == "pending"
        and not is_edited(segment)
        and not user_type(segment)
        and segment.GetName() == segment_name(label)
    )


def own_tags(segmentation_node) -> None:
    """Give UID and label of their own to segments that were copied from another nodule and brought its tags along."""
    segmentation = segmentation_node.GetSegmentation()
    for segment_id, uid in nodule_uids(segmentation_node).items():
        set_segment_tag(segmentation.GetSegment(segment_id), UID_TAG, uid)
    for segment_id, label in nodule_labels(segmentation_node).items():
        set_segment_tag(segmentation.GetSegment(segment_id), LABEL_TAG, str(label))


def uids_of(segmentation_node) -> dict[str, str]:
    """Segment ID of every nodule segment, with or without voxels, by UID."""
    segmentation = segmentation_node.GetSegmentation()
    tags = ((one, segment_tag(segmentation.GetSegment(one), UID_TAG)) for one in segment_ids(segmentation))
    return {uid: segment_id for segment_id, uid in tags if uid}


def placed_voxels(placed: Placed, ijk_to_local: np.ndarray) -> SegmentVoxels:
    """A mask on the CT's grid as the voxels of a segment; see :func:`LungNoduleSegLib.mrml.publishing.ijk_to_local`."""
    mask, (k, j, i) = crop(placed.mask, placed.offset_kji)
    return SegmentVoxels(mask, (int(k), int(j), int(i)), ijk_to_local)


def is_measured_on(nodule: Nodule, voxels: SegmentVoxels, ct: CT) -> bool:
    """Whether a nodule that was measured elsewhere says of these voxels of `ct` what measuring them would say."""
    (k0, j0, i0), (k1, j1, i1) = nodule.bounds_kji
    if voxels.offset_kji != (k0, j0, i0) or voxels.mask.shape != (k1 - k0, j1 - j0, i1 - i0):
        return False
    volume_mm3 = np.count_nonzero(voxels.mask) * ct.voxel_volume_mm3
    hu = mean_hu(voxels.mask, ct.hu[k0:k1, j0:j1, i0:i1])
    return math.isclose(nodule.volume_mm3, volume_mm3) and math.isclose(nodule.mean_hu, hu, abs_tol=1e-6)
