"""Section Click a nodule: what a click in the views means."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_harness.samples import result_of, sample_ct

from LungNoduleSegLib.mrml import volume_from_ct


class Known:
    """A click gives the sample's nodule that is nearest; a negative one takes its lowest slices off."""

    def __init__(self):
        self.clicks = []

    def click(self, ct, positive_ras, negative_ras=(), base=None):
        self.clicks.append((list(positive_ras), list(negative_ras), base))
        labels = sample_ct()[1]
        near = positive_ras[0] if positive_ras else ct.kji_to_ras(np.argwhere(base[1]).mean(axis=0) + base[0])
        centres = {n: ct.kji_to_ras(np.argwhere(labels == n).mean(axis=0)) for n in (1, 2, 3)}
        nearest = min(centres, key=lambda n: np.linalg.norm(centres[n] - np.asarray(near)))
        mask = labels == nearest
        if negative_ras:
            mask[: np.argwhere(mask)[0][0] + 1] = False
        return result_of(
            ct, mask.astype(np.uint16), kind="SEMIAUTOMATIC", uids=[f"2.25.88{len(self.clicks)}"],
            probability=lambda label: 0.5,
        )  # fmt: skip


@pytest.fixture
def segmenter():
    return Known()


@pytest.fixture
def panel(opened, scene, segmenter):
    widget = opened.widget
    widget.logic.loadSegmenter = lambda model, device: segmenter
    widget.ui.inputSelector.setCurrentNode(volume_from_ct(sample_ct()[0], scene, "Thorax"))
    return widget


def centre(label):
    ct, labels = sample_ct()
    return tuple(float(v) for v in ct.kji_to_ras(np.argwhere(labels == label).mean(axis=0)))


def click(panel, ras):
    selection = slicer.app.applicationLogic().GetSelectionNode()
    slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPointWorld(ras)
    for _ in range(200):
        slicer.app.processEvents()
        panel.logic._clicks._queue.poll()


def interaction():
    return slicer.app.applicationLogic().GetInteractionNode()


def test_pressing_the_button_is_place_mode(panel):
    panel.ui.placeButton.checked = True
    assert interaction().GetCurrentInteractionMode() == interaction().Place
    assert panel.ui.clickStatusLabel.text == "Click on a nodule in a slice view."
    panel.ui.placeButton.checked = False
    assert interaction().GetCurrentInteractionMode() == interaction().ViewTransform


def test_a_click_gives_a_segment_and_the_next_ones_refine_it(panel, segmenter):
    panel.ui.placeButton.checked = True
    click(panel, centre(1))
    assert [row.name for row in panel.review.rows] == ["Nodule 1"]
    assert panel.nodules.selectedSegments() == [panel.review.rows[0].segment_id] == [panel.click.current]
    assert panel.ui.clickStatusLabel.text.startswith("Nodule 1 segmented.")
    assert panel.ui.targetLabel.text == "Next click: Nodule 1"
    click(panel, tuple(v + 1 for v in centre(1)))
    assert segmenter.clicks[-1][0] == [pytest.approx(centre(1)), pytest.approx([v + 1 for v in centre(1)])]
    volume = panel.review.rows[0].nodule.volume_mm3
    panel.ui.cutRadioButton.checked = True
    click(panel, centre(1))
    assert segmenter.clicks[-1][1] == [pytest.approx(centre(1))]
    assert len(panel.review.rows) == 1 and panel.review.rows[0].nodule.volume_mm3 < volume
    for _ in range(3):
        panel.review.undo()
    assert panel.review.rows == () and not panel.review.can_undo


def test_a_click_far_away_or_with_the_button_begins_another_nodule(panel):
    panel.ui.placeButton.checked = True
    click(panel, centre(1))
    click(panel, centre(2))  # 20 mm away
    assert [row.name for row in panel.review.rows] == ["Nodule 1", "Nodule 2"]
    panel.ui.newNoduleButton.click()
    assert panel.click.current is None and not panel.ui.cutRadioButton.enabled
    assert panel.ui.targetLabel.text == "Next click: a new nodule"
    click(panel, centre(3))
    assert len(panel.review.rows) == 3


def test_the_key_begins_another_nodule_while_clicks_are_placed(panel):
    key = panel.click._keys[1]
    assert key.key.toString() == "Shift+N" and not key.enabled
    panel.ui.placeButton.checked = True
    assert key.enabled
    click(panel, centre(2))
    key.activated.emit()
    click(panel, centre(3))  # they touch
    assert len(panel.review.rows) == 2
    panel.ui.placeButton.checked = False
    assert not key.enabled


def test_a_row_of_the_table_is_what_the_next_click_refines(panel, segmenter):
    panel.ui.placeButton.checked = True
    click(panel, centre(1))
    click(panel, centre(2))
    first = panel.review.rows[0].segment_id
    panel.nodules.selectSegments([first])
    assert panel.click.current == first
    panel.ui.cutRadioButton.checked = True
    click(panel, centre(1))
    assert panel.review.rows[0].nodule.volume_mm3 < panel.review.rows[1].nodule.volume_mm3
    assert len(panel.review.rows) == 2


def test_clicks_that_come_too_fast_are_answered_in_their_order(panel, segmenter, scene):
    panel.ui.placeButton.checked = True
    selection = slicer.app.applicationLogic().GetSelectionNode()
    node = scene.GetNodeByID(selection.GetActivePlaceNodeID())
    node.AddControlPointWorld(centre(1))
    node.AddControlPointWorld(tuple(v + 1 for v in centre(1)))
    for _ in range(300):
        slicer.app.processEvents()
        panel.logic._clicks._queue.poll()
    assert len(panel.review.rows) == 1 and len(segmenter.clicks) == 2 and len(segmenter.clicks[1][0]) == 2
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_an_error_is_said_and_the_point_goes(panel, segmenter, scene):
    segmenter.click = lambda *arguments, **more: (_ for _ in ()).throw(RuntimeError("no memory is left"))
    panel.ui.placeButton.checked = True
    click(panel, centre(1))
    assert "no memory is left" in panel.ui.clickStatusLabel.text
    assert scene.GetFirstNodeByName("Lung nodule clicks").GetNumberOfControlPoints() == 0
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


def test_leaving_the_module_or_closing_the_scene_ends_place_mode(panel, scene):
    panel.ui.placeButton.checked = True
    panel.exit()
    assert not panel.ui.placeButton.checked and scene.GetFirstNodeByName("Lung nodule clicks") is None
    panel.enter()
    panel.ui.placeButton.checked = True
    scene.Clear(False)
    assert not panel.ui.placeButton.checked
    assert interaction().GetCurrentInteractionMode() == interaction().ViewTransform
