"""Stacks to learn from: nodules of crops, vessels and walls beside them, and what networks found in complete scans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.normalise import normalise
from LungNoduleSegLib.inference.stack import NORMALISATION, around, candidate_stack, levels
from training.data.cavities import hollowed
from training.data.crops import IGNORE, Crops
from training.data.sampling import EIGHT_BIT_MIN_RANGE

MARGIN_PX = 72
"""Pixels a side of what is kept of a stack: room to turn, shift and scale it before 64 are cut out."""

NODULE, BESIDE, FOUND, FALSE = "nodule", "beside a nodule", "found nodule", "found false"
"""Kinds: of crops the nodule, and something bright beside it; of scans a candidate that is a nodule, and one that is
none."""

BESIDE_MM = 8.0
"""Nothing this near a reader's outline, of whichever nodule, is taken for what is beside it."""

BORDER_PX = 26
"""Nothing this near the border of a crop is: half of its stack would be made up."""

_BLOB_MM = (1.5, 4.0)
"""Radii of what is looked for beside nodules."""

_BRIGHTEST = 0.04
"""Share of the pixels of a crop, those most like a blob, that may be one."""

_LUNG, _LUNG_SHARE, _LUNG_MM = 0.35, 0.3, 15.0
"""Of what surrounds a blob, so much lies below this part of the crop's range: it is in lung or at its border."""

_EACH = 2
"""Blobs taken from one nodule's crops."""


@dataclass(frozen=True, eq=False)
class Examples:
    """n stacks.

    ``stacks`` float16 (n, 5, 72, 72), normalised; ``kinds`` (n,) str; ``readers`` (n,) of the nodule, 0 for what is
    none; ``patients`` (n,) str.
    """

    stacks: np.ndarray
    kinds: np.ndarray
    readers: np.ndarray
    patients: np.ndarray

    def __len__(self) -> int:
        return len(self.kinds)

    def chosen(self, index: np.ndarray) -> Examples:
        """Those of an index or mask."""
        return Examples(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def without(self, patients: Iterable[str]) -> Examples:
        """All but those of some patients."""
        return self.chosen(~np.isin(self.patients, sorted(patients)))


def joined(parts: Iterable[Examples]) -> Examples:
    """All in one, in their order."""
    parts = list(parts)
    return Examples(*(np.concatenate([getattr(p, name) for p in parts]) for name in Examples.__dataclass_fields__))


def crop_examples(crops: Crops, index: np.ndarray, hollow_share: float = 0.0, seed: int = 0) -> Examples:
    """Each nodule of the crops of an index, and up to two bright structures beside it.

    ``hollow_share`` of the nodules, if they are large enough, are there once more with a cavity.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[np.ndarray, str, int, str]] = []
    for nodule in np.unique(crops.nodules[index]):
        own = np.flatnonzero(crops.nodules == nodule)
        marked = np.flatnonzero(crops.votes[own].any(axis=(1, 2)))
        if not len(marked):
            continue
        patient, spacing = str(crops.patients[own[0]]), float(crops.spacing_mm[own[0]])
        chosen = own[levels(int(marked[0]), int(marked[-1]))]
        planes = normalise(crops.images[chosen], NORMALISATION, min_range=EIGHT_BIT_MIN_RANGE)
        centre = ndimage.center_of_mass(crops.votes[own].sum(axis=0, dtype=np.int64))
        seen = [planes]
        if hollow_share and rng.random() < hollow_share:
            hollow = hollowed(planes, crops.labels[chosen] == 1, rng)
            seen += [] if hollow is planes else [hollow]
        square, readers = (spacing, spacing), int(crops.readers[own[0]])
        rows += [(around(one, centre, square, MARGIN_PX), NODULE, readers, patient) for one in seen]
        taken = (crops.votes[own] > 0).any(axis=0) | (crops.labels[own] == IGNORE).any(axis=0)
        for place in blobs(planes[len(planes) // 2], taken, spacing, rng)[:_EACH]:
            rows.append((around(planes, place, square, MARGIN_PX), BESIDE, 0, patient))
    return _examples(rows)


def blobs(
    plane: np.ndarray, taken: np.ndarray, spacing_mm: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """(row, column) of bright, roundish structures in lung, in random order, apart from what is ``taken``.

    Parameters
    ----------
    plane
        float32 (h, w), normalised.
    taken
        bool (h, w): any reader's outlines.
    """
    scale = rng.uniform(*_BLOB_MM) / spacing_mm / np.sqrt(2)
    response = ndimage.gaussian_laplace(plane, scale)
    best = response == ndimage.minimum_filter(response, size=int(BESIDE_MM / spacing_mm) | 1)
    best &= response < np.quantile(response, _BRIGHTEST)
    best &= ndimage.distance_transform_edt(~taken) * spacing_mm > BESIDE_MM if taken.any() else True
    dark = plane < plane.min() + _LUNG * (plane.max() - plane.min())
    best &= ndimage.uniform_filter(dark.astype(np.float32), int(_LUNG_MM / spacing_mm)) > _LUNG_SHARE
    best[:BORDER_PX] = best[-BORDER_PX:] = False
    best[:, :BORDER_PX] = best[:, -BORDER_PX:] = False
    return [(float(row), float(column)) for row, column in rng.permutation(np.argwhere(best))]


def candidate_examples(ct: CT, patient: str, candidates: Iterable[tuple[Candidate, int]]) -> Examples:
    """Candidates of one scan, each with the readers of the nodule that it is, or 0 for what is none."""
    rows = []
    for candidate, readers in candidates:
        stack = candidate_stack(ct, candidate.offset_kji, candidate.mask, MARGIN_PX)
        rows.append((stack, FOUND if readers else FALSE, readers, patient))
    return _examples(rows)


def _examples(rows: list[tuple[np.ndarray, str, int, str]]) -> Examples:
    stacks = np.zeros((len(rows), *rows[0][0].shape) if rows else (0, 5, MARGIN_PX, MARGIN_PX), np.float16)
    for target, row in zip(stacks, rows):
        target[...] = row[0]
    kinds, readers, patients = ([row[n] for row in rows] for n in (1, 2, 3))
    return Examples(stacks, np.array(kinds, str), np.array(readers, np.int64), np.array(patients, str))
