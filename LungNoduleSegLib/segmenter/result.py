"""What a run found, on the CT's own grid; filtered again at once by another threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.spread import SpreadBox, spread_volume
from LungNoduleSegLib.nodules import Nodule, measure_nodule, new_uid
from LungNoduleSegLib.segmenter.side import side_of

MAX_LABELS = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, eq=False)
class Result:
    """Nodules of one run.

    Attributes
    ----------
    ct
        The CT that was given.
    candidates
        Everything that may be a nodule, at the most sensitive point, by falling probability.
    threshold
        Candidates of at least this probability are nodules; None for clicks, where all are.
    min_diameter_mm
        Smaller ones (diameter of the ball of equal volume) are left out.
    model, model_sha256
        Name of the model and hash of its weights ("" for an engine without a file).
    kind
        "AUTOMATIC" or "SEMIAUTOMATIC", as DICOM calls it.
    best
        Highest probability of a voxel and its place, ``(probability, (x, y, z))`` in RAS mm; None if nothing was
        searched.
    seen_in_training
        "train" or "validation" if the model was trained or chosen on this very series, else None.
    parameters, seconds, warnings
        What the run was given, how long its stages took, and sentences for the user.
    spread
        How far the views disagree around each candidate, as small boxes; None unless it was asked for.
    """

    ct: CT
    candidates: tuple[Candidate, ...]
    threshold: float | None
    min_diameter_mm: float
    model: str
    model_sha256: str = ""
    kind: str = "AUTOMATIC"
    best: tuple[float, tuple[float, float, float]] | None = None
    seen_in_training: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    spread: tuple[SpreadBox, ...] | None = None
    _probability: Callable[[], NDArray[np.float16]] | None = None
    # Shared by all results of a run: a nodule keeps its uid and is measured once, whatever the threshold.
    _measured: dict[int, Nodule] = field(default_factory=dict)

    @cached_property
    def _chosen(self) -> list[Candidate]:
        chosen = [
            c
            for c in self.candidates
            if (self.threshold is None or c.probability >= self.threshold) and c.diameter_mm >= self.min_diameter_mm
        ]
        return sorted(chosen, key=lambda c: (-c.probability, c.offset_kji))[:MAX_LABELS]

    @cached_property
    def nodules(self) -> list[Nodule]:
        """By falling probability, with labels 1, 2, ..."""
        return [replace(self._measure(c), label=n) for n, c in enumerate(self._chosen, start=1)]

    @cached_property
    def labels(self) -> NDArray[np.uint16]:
        """uint16 [k, j, i] on the CT's grid, read-only: 0 is background, 1.. the label of a nodule."""
        labels = np.zeros(self.ct.shape, np.uint16)
        for n, candidate in reversed(list(enumerate(self._chosen, start=1))):
            labels[candidate.box][candidate.mask] = n
        labels.flags.writeable = False
        return labels

    def _measure(self, candidate: Candidate) -> Nodule:
        key = id(candidate)
        if key not in self._measured:
            self._measured[key] = measure_nodule(
                candidate.mask,
                candidate.offset_kji,
                self.ct,
                label=1,
                probability=candidate.probability,
                uid=new_uid(),
                side=side_of(self.ct, candidate.mask, candidate.offset_kji),
            )
        return self._measured[key]

    def at(self, threshold: float, *, min_diameter_mm: float | None = None) -> Result:
        """The same run at another threshold, without running again.

        Parameters
        ----------
        threshold
            0..1; lower means more nodules and more false positives.
        min_diameter_mm
            Unchanged if not given.
        """
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"Expected argument `threshold` to lie in 0..1, got {threshold}")
        smallest = self.min_diameter_mm if min_diameter_mm is None else float(min_diameter_mm)
        if smallest < 0:
            raise ValueError(f"Expected argument `min_diameter_mm` to be at least 0, got {min_diameter_mm}")
        parameters = {**self.parameters, "threshold": threshold, "min_diameter_mm": smallest}
        return replace(self, threshold=threshold, min_diameter_mm=smallest, parameters=parameters)

    def probability(self) -> NDArray[np.float16]:
        """Probability of each voxel, float16 [k, j, i], made on request; 0 where nothing was searched.

        For a whole CT those of the search's passes; the masks of the nodules are cut from crops centred on them, so
        that they follow these only roughly. For a click those that the mask was cut from.
        """
        if self._probability is None:
            return np.zeros(self.ct.shape, np.float16)
        return self._probability()

    def uncertainty(self) -> NDArray[np.float16]:
        """How far the views of a place disagree, float16 [k, j, i] on the CT's grid, made on request.

        0..0.5: standard deviation (of all, not of a sample) of the probabilities that the turned, mirrored and shifted
        views gave around each candidate, where the final mask is cut from their mean. 0: they agree. NaN: fewer than
        two views looked, which is nearly everywhere, and says nothing. The largest where the boxes of two candidates
        meet, or where the searches at two sizes of pixels both looked. It is of the same network throughout: where all
        views are wrong together, it is small.

        Raises
        ------
        InputError
            The run did not keep it.
        """
        if self.spread is None:
            raise InputError("this run did not keep the uncertainty", remedy="Segment with `uncertainty=True`.")
        return spread_volume(self.spread, self.ct.shape)
