"""A small CT with nodules of known voxels, and the result that a run on it would give."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import find_objects

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.nodules import measure_nodule
from LungNoduleSegLib.segmenter import Result

AIR_HU, SOLID_HU = -850, 40
UIDS = ("2.25.1001", "2.25.1002", "2.25.1003")


def oblique_matrix() -> np.ndarray:
    """An IJK to RAS matrix that is oblique, anisotropic and left-handed in i and j, as in a real CT."""
    a, b = np.radians(20.0), np.radians(10.0)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag([-0.7, -0.7, 2.5])
    matrix[:3, 3] = (30.0, -20.0, 100.0)
    return matrix


def sample_ct(ijk_to_ras: np.ndarray | None = None, series_uid: str = "1.2.3.4") -> tuple[CT, np.ndarray]:
    """A CT of 24 x 64 x 80 voxels with three ellipsoids, and their labels uint16 [k, j, i].

    The second and the third touch, so that neighbouring labels are tested; the third reaches the last slice.
    """
    shape = (24, 64, 80)
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    labels = np.zeros(shape, np.uint16)
    for label, (centre, radius) in enumerate(
        [((8, 20, 18), (3, 7, 6)), ((15, 40, 50), (5, 8, 8)), ((20, 40, 61), (4, 6, 6))], start=1
    ):
        distance = sum(((axis - c) / r) ** 2 for axis, c, r in zip((k, j, i), centre, radius, strict=True))
        labels[(distance <= 1) & (labels == 0)] = label
    hu = np.where(labels > 0, SOLID_HU, AIR_HU).astype(np.int16)
    hu += np.random.default_rng(5).integers(-20, 20, shape, dtype=np.int16)
    matrix = oblique_matrix() if ijk_to_ras is None else ijk_to_ras
    return CT.from_array(hu, ijk_to_ras=matrix, series_uid=series_uid), labels


def result_of(
    ct: CT,
    labels: np.ndarray,
    *,
    kind: str = "AUTOMATIC",
    model: str = "model-2-compact",
    uids: Sequence[str] = UIDS,
    probability: Callable[[int], float] = lambda label: 0.95 - 0.1 * label,
) -> Result:
    """The result whose nodules are `labels`: known UIDs, right, left and unknown sides in turn.

    Probabilities must fall with the label, because a result numbers its nodules by them.
    """
    candidates, measured = [], {}
    for label, box in enumerate(find_objects(labels), start=1):
        mask = labels[box] == label
        offset = tuple(side.start for side in box)
        nodule = measure_nodule(
            mask,
            offset,
            ct,
            label=label,
            probability=probability(label),
            uid=uids[label - 1],
            side=("right", "left", "")[(label - 1) % 3],
        )
        candidate = Candidate(
            offset, mask, nodule.probability, nodule.probability, nodule.centroid_ras, nodule.equivalent_diameter_mm
        )
        candidates.append(candidate)
        measured[id(candidate)] = nodule
    return Result(
        ct=ct,
        candidates=tuple(candidates),
        threshold=0.0,
        min_diameter_mm=0.0,
        model=model,
        kind=kind,
        _measured=measured,
    )
