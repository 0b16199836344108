"""What a run gave, and how it is said."""

from dataclasses import dataclass

from slicer.i18n import tr as _


@dataclass
class Outcome:
    """What a run gave.

    nodes - PublishedNodules (segmentation, points, table, segment_ids), or None where nothing was added to the scene.
    result - the result with every candidate, or None after a cancellation.
    message - sentences for the user.
    review - NoduleReview of the segmentation, or None.
    """

    nodes: object = None
    result: object = None
    message: str = ""
    review: object = None


def describe(result):
    """What was found, as sentences."""
    count = len(result.nodules)
    if count:
        text = _("1 nodule found.") if count == 1 else _("{count} nodules found.").format(count=count)
    else:
        text = _("No nodule found.")
        if result.best is not None:
            probability, (x, y, z) = result.best
            words = _("The highest probability is {probability:.2f}, at R {x:.1f}, A {y:.1f}, S {z:.1f} mm.")
            text += " " + words.format(probability=probability, x=x, y=y, z=z)
    seen = {
        "train": _("The model has seen this CT in its training data."),
        "validation": _("The model has seen this CT in its validation data."),
    }.get(result.seen_in_training)
    return " ".join(filter(None, [text, seen, *result.warnings]))


def publishedNodes(review, segmentIds):
    """The nodes that show a review, with these segments."""
    from LungNoduleSegLib.mrml.publishing import POINTS_ROLE, TABLE_ROLE, PublishedNodules

    node = review.segmentation_node
    return PublishedNodules(
        node, node.GetNodeReference(POINTS_ROLE), node.GetNodeReference(TABLE_ROLE), tuple(segmentIds)
    )
