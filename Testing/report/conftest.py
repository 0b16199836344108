"""A small CT with two round nodules, and its result, made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.segmenter.result import Result


def ball(shape, centre_kji, radius_mm, spacing_mm):
    grid = np.indices(shape).astype(float)
    distance2 = sum(((grid[axis] - centre_kji[axis]) * spacing_mm[axis]) ** 2 for axis in range(3))
    return distance2 <= radius_mm**2


def make_result(count=2, *, ijk_to_ras=None, best=None):
    """A body with two lungs (40 x 100 x 120 voxels of 3 x 1.5 x 1.5 mm) and up to 16 nodules of 4 mm radius."""
    shape, spacing = (40, 100, 120), (3.0, 1.5, 1.5)
    hu = np.full(shape, -1000, np.int16)
    lungs = np.zeros(shape, np.uint8)
    y, x = np.indices(shape[1:]).astype(float)
    hu[:, ((y - 50) / 46) ** 2 + ((x - 60) / 56) ** 2 < 1] = 40
    for label, middle in ((1, 34), (2, 86)):
        lung = ((y - 50) / 34) ** 2 + ((x - middle) / 20) ** 2 < 1
        lungs[4:36, lung] = label
    hu[lungs > 0] = -850
    if ijk_to_ras is None:
        ijk_to_ras = np.array([[-1.5, 0, 0, 90], [0, -1.5, 0, 75], [0, 0, 3, -60], [0, 0, 0, 1.0]])
    centres = [(k, 50, i) for k in (20, 10, 30, 14, 26, 6, 23, 33) for i in (34, 86)][:count]
    labels = np.zeros(shape, np.uint16)
    for label, centre in enumerate(centres, 1):
        mask = ball(shape, centre, 4.0, spacing)
        labels[mask] = label
        hu[mask] = 30
    ct = CT.from_array(hu, ijk_to_ras=ijk_to_ras, series_uid="1.2.3.4")
    candidates = []
    for label, (k, j, i) in enumerate(centres, 1):
        offset = (k - 3, j - 5, i - 5)
        box = tuple(slice(o, o + n) for o, n in zip(offset, (7, 11, 11)))
        x, y, z = ct.kji_to_ras(np.array([k, j, i], float)).tolist()
        candidates.append(
            Candidate(offset, labels[box] == label, 0.98 - 0.03 * label, 0.99, (x, y, z), 8.0, {"a": 0.5})
        )
    return Result(
        ct=ct,
        candidates=tuple(candidates),
        threshold=0.45,
        min_diameter_mm=3.0,
        model="model-2-compact",
        model_sha256="0" * 64,
        parameters={"roi": None, "min_diameter_mm": 3.0},
        seconds={"network": np.float32(1.25)},
        best=best,
    ), lungs


@pytest.fixture
def make():
    """The factory: ``make(count)`` gives a result with ``count`` nodules."""
    return lambda *args, **named: make_result(*args, **named)[0]


@pytest.fixture
def result(make):
    return make()


@pytest.fixture(scope="session")
def lungs():
    """Right (1) and left (2) lung of the CT, [k, j, i]."""
    return make_result()[1]
