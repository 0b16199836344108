"""Whether weights are those of a network."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import NDArray

from LungNoduleSegLib.errors import WeightsError


def check_fit(shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, NDArray]) -> None:
    """Compare arrays with the shapes that a network has; WeightsError names what does not fit."""
    # Batch counters are of no use after training and may be left out of a file.
    missing = [n for n in shapes if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in shapes]
    wrong = [
        f"{n} {tuple(state[n].shape)} instead of {shapes[n]}"
        for n in state
        if n in shapes and tuple(state[n].shape) != shapes[n]
    ]
    findings = [
        f"{what} {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
        for what, names in (("lacks", missing), ("holds unknown", unknown), ("holds", wrong))
        if names
    ]
    if findings:
        raise WeightsError(
            f"the weights do not fit the architecture in their card: the file {'; it '.join(findings)}",
            remedy="Use a weight file together with the card that was written with it.",
        )
