"""What the panel says of a CT before it is searched."""

from __future__ import annotations

import time

import numpy as np
import pytest

from LungNoduleSegLib.ct import CT, read_ct
from LungNoduleSegLib.ct.describe import describe_ct


def chest(shape=(120, 64, 64), spacing_mm=(2.5, 0.7, 0.7), **fields) -> CT:
    """Air with a block of soft tissue."""
    hu = np.full(shape, -900, np.int16)
    hu[:, : shape[1] // 2] = 40
    hu[0, 0, 0] = 1200
    return CT.from_array(hu, spacing_mm=spacing_mm, **fields)


def test_a_usual_ct():
    found = describe_ct(chest(info={"slice_thickness_mm": "3.0"}))
    assert found.ok and found.problems == ()
    assert found.sentences == (
        "120 axial slices of 64 x 64 pixels.",
        "Pixels 0.70 x 0.70 mm, slices 2.50 mm apart and 3.00 mm thick.",
        "About -900 to 1200 HU.",
    )


@pytest.mark.parametrize(
    ("ct", "word"),
    [
        (chest(spacing_mm=(3.1, 0.7, 0.7)), "3.1 mm apart"),
        (chest(spacing_mm=(2.5, 0.39, 0.39)), "0.4 to 1.0 mm"),
        (chest(spacing_mm=(2.5, 1.01, 1.01)), "0.4 to 1.0 mm"),
        (chest((19, 64, 64), (6.0, 0.7, 0.7)), "whole thorax"),
        (chest((39, 64, 64)), "whole thorax"),  # 97.5 mm
        (chest(warnings=("slices 4 and 5 are missing",)), "slices 4 and 5 are missing"),
    ],
)
def test_what_a_run_can_still_use(ct, word):
    found = describe_ct(ct)
    assert found.ok and any(word in problem for problem in found.problems)


def test_the_limits_themselves_are_no_problem():
    for spacing_mm in ((3.0, 0.4, 0.4), (3.0, 1.0, 1.0)):
        assert describe_ct(chest(spacing_mm=spacing_mm)).problems == ()
    assert describe_ct(chest((40, 64, 64))).problems == ()  # 100 mm


@pytest.mark.parametrize(
    ("hu", "word"),
    [
        (np.zeros((30, 16, 16)), "empty"),
        (np.random.default_rng(0).integers(0, 256, (30, 16, 16)), "no air"),  # a picture, or MR
        (np.random.default_rng(0).integers(124, 1100, (30, 16, 16)), "no air"),  # stored with an offset of 1024
        (np.full((1, 1, 1), 7), "empty"),
    ],
)
def test_values_that_are_no_hu(hu, word):
    found = describe_ct(CT.from_array(hu))
    assert not found.ok and any(word in problem for problem in found.problems)


def test_other_planes():
    matrix = np.array([[0, 0, 2.5, 0], [0.7, 0, 0, 0], [0, -0.7, 0, 0], [0, 0, 0, 1.0]])
    found = describe_ct(CT.from_array(chest().hu, ijk_to_ras=matrix))
    assert found.ok and any("sagittal" in problem for problem in found.problems)
    assert found.sentences[0].startswith("120 sagittal slices")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 2), (2, 1, 700), (500, 1, 1)])
@pytest.mark.parametrize("spacing_mm", [(1e-6, 1e-6, 1e-6), (1e6, 1e6, 1e6)])
@pytest.mark.parametrize("thickness", ["", "thick", "-1", "nan", "inf"])
def test_nothing_is_raised(shape, spacing_mm, thickness):
    hu = np.random.default_rng(1).integers(-2000, 32767, shape)
    ct = CT.from_array(hu, spacing_mm=spacing_mm, info={"slice_thickness_mm": thickness})
    assert all(describe_ct(ct).sentences) and describe_ct(ct).problems


def test_only_a_sample_is_looked_at():
    hu = np.full((300, 512, 512), -900, np.int16)
    hu[:, :256] = 40
    ct = CT.from_array(hu, spacing_mm=(1, 0.7, 0.7), copy=False)
    begin = time.process_time()
    assert describe_ct(ct).ok
    assert time.process_time() - begin < 0.1


def test_a_real_scan(lidc_data):
    found = describe_ct(read_ct(lidc_data / "LIDC-IDRI" / "LIDC-IDRI-0063"))
    assert found.ok and found.problems == ()
