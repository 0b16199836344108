"""A click on a nodule's point in a slice view selects its row; the point stays where it is."""

from __future__ import annotations

import pytest
import slicer
from slicer_harness.samples import result_of, sample_ct
from slicer_harness.window import click_in_slice, why_no_views

from LungNoduleSegLib.mrml import publish, volume_from_ct
from LungNoduleSegLib.mrml.views import jump_to

pytestmark = pytest.mark.skipif(bool(why_no_views()), reason=why_no_views() or "views can be rendered")


def places(points) -> list[list[float]]:
    found = []
    for number in range(points.GetNumberOfControlPoints()):
        ras = [0.0, 0.0, 0.0]
        points.GetNthControlPointPositionWorld(number, ras)
        found.append(ras)
    return found


def test_a_click_on_a_point_selects_its_row(window, opened, scene):
    ct, labels = sample_ct()
    volume = volume_from_ct(ct, scene, "Thorax")
    nodes = publish(result_of(ct, labels), volume)
    panel = opened.widget
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.parameters.segmentation = nodes.segmentation
    window.show_volume(volume)
    first, second = panel.review.rows[:2]
    panel.nodules.selectSegments([first.segment_id])
    before = places(nodes.points)
    jump_to(slicer.mrmlScene, second.nodule.centroid_ras)
    slicer.app.processEvents()
    click_in_slice(window.slice_widget("Red"), second.nodule.centroid_ras)
    slicer.app.processEvents()
    assert panel.nodules.selectedSegments() == [second.segment_id]
    assert places(nodes.points) == before and len(before) == 3
