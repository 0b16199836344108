"""The operating curve: which threshold a place of the slider means."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from LungNoduleSegLib.weights import find
from LungNoduleSegLib.weights.curve import OperatingCurve, describe_point


def card(*thresholds: float, default: float | None = None):
    points = [{"name": f"at {t}", "threshold": t, "default": t == default} for t in thresholds]
    return SimpleNamespace(operating_points=points)


def test_points_lie_at_equal_distances_the_surest_first():
    curve = OperatingCurve.of(card(0.4, 0.8, 0.6, default=0.6))
    assert curve.positions == (0.0, 25.0, 50.0, 75.0, 100.0)
    assert curve.thresholds == pytest.approx((0.9, 0.8, 0.6, 0.4, 0.0))
    assert curve.default == 50.0
    assert curve.threshold(62.5) == pytest.approx(0.5)
    assert curve.threshold(87.5) == pytest.approx(0.2)
    assert curve.position(0.7) == pytest.approx(37.5)
    assert curve.nearest(50.3)["name"] == "at 0.6" and curve.nearest(30.0) is None


def test_the_default_is_where_the_card_says():
    assert OperatingCurve.of(card(0.9, 0.5, 0.2, default=0.2)).default == 75.0
    assert OperatingCurve.of(card(0.9, 0.5)).default == 50.0


@pytest.mark.parametrize("nothing", [None, card()])
def test_without_points_it_is_a_straight_line(nothing):
    curve = OperatingCurve.of(nothing)
    assert [curve.threshold(position) for position in (0, 30, 100)] == pytest.approx([1.0, 0.7, 0.0])


@given(
    st.lists(st.floats(0.05, 0.95), min_size=1, max_size=5, unique_by=lambda v: round(v, 3)),
    st.floats(0, 100),
    st.floats(0, 100),
)
def test_more_sensitive_never_means_a_higher_threshold(thresholds, one, other):
    curve = OperatingCurve.of(card(*thresholds))
    low, high = sorted((one, other))
    assert curve.threshold(low) >= curve.threshold(high)
    assert curve.threshold(curve.position(curve.threshold(one))) == pytest.approx(curve.threshold(one), abs=1e-9)


def test_beyond_the_ends_it_is_the_end():
    curve = OperatingCurve.of(card(0.5))
    assert (curve.threshold(-5), curve.threshold(400)) == (0.75, 0.0)
    assert (curve.position(2.0), curve.position(-1.0)) == (0.0, 100.0)


def test_what_a_point_gave_is_said_where_the_card_says_it():
    point = {"scans": 6, "false_positives": 9, "found_any": 13, "nodules_any": 20}
    assert describe_point(point) == "Measured on 6 scans: 13 of 20 nodules found, 1.5 false results a scan."
    point |= {"false_positives": 6, "source": "six training scans; expect less on others"}
    assert describe_point(point) == "Measured on 6 training scans: 13 of 20 nodules found, 1 false result a scan."
    assert describe_point({"threshold": 0.5}) == ""


@pytest.mark.parametrize("model", ["model-1-compact", "model-2-compact"])
def test_shipped_cards_have_a_curve_whose_default_is_the_cards(model):
    shipped = find(model).card
    curve = OperatingCurve.of(shipped)
    assert curve.threshold(curve.default) == pytest.approx(shipped.default_operating_point["threshold"])
    assert describe_point(curve.nearest(curve.default)).startswith("Measured on ")
