"""The thesis' figures worked out again, against what is known of them."""

from __future__ import annotations

import pytest

from training.report.arithmetic import checks, interpolated
from training.report.cost import cost
from training.report.thesis_figures import fewer_misses, implied_positives_only
from training.studies.definitions import MODEL_1, MODEL_2
from training.studies.thesis import TABLES


@pytest.fixture(scope="module")
def found():
    return {check.printed: check for check in checks()}


def one(found, words):
    (check,) = [c for printed, c in found.items() if words in printed]
    return check


@pytest.mark.parametrize(
    ("words", "holds", "says"),
    [
        ("39.61 %", False, "28.4 % against TransUNet"),
        ("400.97", False, "440.97 MiB"),
        ("115,596,353", True, "115,647,041"),
        ("71,538,433", False, "71,626,114"),
        ("272.9 MB", False, "273.2 MiB"),
        ("= 4094 test", True, "a split of slices"),
        ("interpolate", False, "align_corners=True"),
        ("printed accuracies", True, "the same"),
        ("FP 14", False, "4095"),
    ],
)
def test_checks(found, words, holds, says):
    check = one(found, words)
    assert check.holds is holds and says in check.found


def test_interpolation_by_hand():
    # Half-pixel centres: the second sample lies a quarter of the way from 1 to 2.
    assert interpolated(False) == [1.0, 1.25, 1.75, 2.0]


@pytest.mark.parametrize(
    ("table", "row", "iou"),
    [
        ("D", "model-1", 0.734), ("D", "model-2", 0.729), ("D", "unet", 0.684), ("D", "attention-unet", 0.723),
        ("D", "transunet", 0.715), ("C", "512px", 0.444), ("C", "256px", 0.717), ("C", "64px", 0.721),
        ("A", "none", 0.610),
    ],
)  # fmt: skip
def test_implied_figures_of_the_positives(table, row, iou):
    printed = TABLES[table][row]
    assert implied_positives_only(printed.iou, printed.tn) == pytest.approx(iou, abs=5e-4)


def test_fewer_misses():
    assert fewer_misses(50, 100) == 0.5
    assert fewer_misses(207, 289) == pytest.approx(0.2837, abs=1e-4)


def test_costs_counted_without_memory():
    one, two = cost(MODEL_1), cost(MODEL_2)
    assert (one.parameters, one.called_parameters, two.parameters) == (115_647_041, 115_596_353, 71_626_114)
    assert one.flops / 1e9 == pytest.approx(46.2, abs=0.05) and two.flops / 1e9 == pytest.approx(40.4, abs=0.05)
    assert two.fusion_parameters == 41_789_760
    assert two.fusion_flops / two.flops == pytest.approx(0.40, abs=0.01)
    # What stands in for fusion keeps a 1x1 convolution and a norm: C * C/2 + C/2 + C for C = 1024, 512, 256, 128.
    stands_in = sum(c * c // 2 + c // 2 + c for c in (1024, 512, 256, 128))
    assert two.unfused_parameters == two.parameters - two.fusion_parameters + stands_in
