"""The panel, opened and used as a user does; only the network is replaced by a threshold."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
import slicer
from slicer_harness.application import REPOSITORY
from slicer_harness.ctk_widgets import ctkMessageBox
from slicer_harness.samples import sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import read_nodules, volume_from_ct


@pytest.fixture
def ct_node(scene):
    return volume_from_ct(sample_ct()[0], scene, "Thorax")


@pytest.fixture
def panel(opened):
    """The widget, whose model is a threshold: no network, no process, all the rest as it is."""
    from LungNoduleSegPanel.self_test import ThresholdSegmenter

    opened.widget.logic.loadSegmenter = lambda model, device: ThresholdSegmenter(model)
    opened.widget.updateSections()
    return opened.widget


def settle(panel):
    """Until the run has ended and timers of the panel have fired."""
    pending = panel.logic._run
    while pending is not None and not pending.finished:
        slicer.app.processEvents()
    wait(0.25)


def wait(seconds):
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slicer.app.processEvents()


@pytest.fixture
def ready(panel, ct_node):
    """The panel with a CT and the slider at its most sensitive end."""
    panel.ui.inputSelector.setCurrentNode(ct_node)
    panel.parameters.sensitivity = 100.0
    wait(0.1)
    return panel


def apply(panel):
    panel.ui.applyButton.click()
    settle(panel)


def test_nothing_heavy_is_loaded_by_opening_the_panel():
    code = """
import sys
sys.path[:0] = [".", "Testing"]
from slicer_harness.application import PANEL, open_module, start
from slicer_harness.messages import message_log
start()
module = open_module(PANEL)
unwanted = {"torch", "onnxruntime", "openvino", "safetensors", "highdicom", "timm"}
print(sorted(unwanted & set(sys.modules)), message_log().take())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stdout.strip()) == (0, "[] []"), done.stderr


def test_module_describes_itself(opened):
    parent = opened.instance.parent
    assert parent.title == "Lung Nodule Segmentation" and parent.categories == ["Segmentation"]
    assert "esearch use" in parent.helpText and "LIDC-IDRI" in parent.acknowledgementText


def test_research_use_is_said_once(panel):
    from PySide6 import QtWidgets

    labels = [label.text for label in panel.parent.findChildren(QtWidgets.QLabel)]
    assert sum("research use only" in str(text).lower() for text in labels) == 1


def test_apply_waits_for_a_ct(panel, scene):
    assert not panel.ui.applyButton.enabled and panel.ui.applyButton.toolTip == "Choose a CT."
    assert not panel.ui.placeButton.enabled and panel.ui.placeButton.toolTip == "Choose a CT."
    node = volume_from_ct(sample_ct()[0], scene)
    panel.ui.inputSelector.setCurrentNode(node)
    assert panel.parameters.inputVolume is node
    assert panel.ui.applyButton.enabled and panel.ui.placeButton.enabled
    panel.ui.inputSelector.setCurrentNode(None)
    assert not panel.ui.applyButton.enabled


def test_the_only_ct_is_chosen_by_itself(ct_node, panel):
    panel.exit()
    panel.enter()
    assert panel.ui.inputSelector.currentNode() is ct_node


def test_label_maps_are_not_offered(panel, ct_node):
    slicer.util.addVolumeFromArray(np.zeros((2, 2, 2), np.uint8), nodeClassName="vtkMRMLLabelMapVolumeNode")
    assert panel.ui.inputSelector.nodeCount() == 1


def test_the_input_is_checked_before_the_run(panel, ct_node, scene):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    wait(0.1)
    assert "2.5" in panel.ui.checkLabel.text and panel.ui.checkLabel.text.count("mm")
    bad = slicer.util.addVolumeFromArray(np.full((30, 40, 40), 100, np.int16))
    panel.ui.inputSelector.setCurrentNode(bad)
    wait(0.1)
    assert panel.ui.problemsLabel.text.startswith("Attention: ")


def test_apply_puts_the_nodules_into_the_scene(ready, ct_node, scene):
    shown = []
    ready.ui.progressBar.connect("valueChanged(int)", shown.append)
    apply(ready)
    segmentation = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    # The sample's second and third nodule touch, so that a threshold sees one.
    assert ready.ui.statusLabel.text == "2 nodules found."
    labels = read_nodules(segmentation, ct_node).labels
    np.testing.assert_array_equal(labels > 0, sample_ct()[1] > 0)
    assert segmentation.GetName() == "Thorax nodules" and ready.parameters.segmentation is segmentation
    assert max(shown) == 100 and not ready.ui.progressBar.visible
    assert ready.ui.applyButton.text == "Apply" and ready.ui.applyButton.enabled
    assert len(ready.review.rows) == 2 and len(ready.nodules.selectedSegments()) == 1
    assert "2 nodules found." in ready.ui.logText.toPlainText()


def test_smallest_diameter_is_used_and_kept(ready):
    ready.ui.minimumDiameterSlider.value = 12.0
    assert ready.parameters.minimumDiameterMm == 12.0
    apply(ready)
    assert ready.ui.statusLabel.text == "1 nodule found."
    ready.ui.minimumDiameterSlider.value = 3.0
    wait(0.3)
    assert ready.ui.statusLabel.text == "2 nodules found." and len(ready.review.rows) == 2


def test_probability_that_was_not_kept_is_asked_for_by_another_run(ready):
    ready.ui.probabilityCheckBox.click()
    assert ready.ui.statusLabel.text == ""  # nothing has run yet: the next run keeps it
    ready.ui.probabilityCheckBox.click()
    apply(ready)
    ready.ui.probabilityCheckBox.click()
    assert "Press Apply once more" in ready.ui.statusLabel.text
    apply(ready)
    ready.ui.probabilityCheckBox.click()
    ready.ui.probabilityCheckBox.click()
    assert ready.ui.statusLabel.text == "2 nodules found."


def test_nothing_found_is_said_with_the_best_place(ready, scene):
    ready.ui.minimumDiameterSlider.value = 30.0
    before = [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]
    apply(ready)
    assert ready.ui.statusLabel.text.startswith("No nodule found. The highest probability is 0.")
    assert " R " in ready.ui.statusLabel.text and " mm." in ready.ui.statusLabel.text
    assert [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())] == before
    ready.ui.minimumDiameterSlider.value = 3.0  # the slider shows them after all
    wait(0.3)
    assert len(ready.review.rows) == 2


def test_the_slider_changes_what_is_shown_at_once(ready, monkeypatch):
    apply(ready)
    monkeypatch.setattr(ready.logic, "process", None)  # no second run
    least = min(row.nodule.probability for row in ready.review.rows)
    ready.find.setThreshold(least + 0.01)
    wait(0.3)
    assert len(ready.review.rows) == 1
    assert ready.find.threshold == pytest.approx(least + 0.01, abs=0.005)  # a step of the slider
    assert f"Threshold {ready.find.threshold:.3f}" in ready.ui.sensitivityNoteLabel.text
    assert ready.ui.thresholdSpinBox.value == pytest.approx(ready.find.threshold, abs=1e-3)
    ready.ui.sensitivitySlider.value = 100.0
    wait(0.3)
    assert len(ready.review.rows) == 2 and not ready.review.can_redo


def test_a_threshold_as_a_number_moves_the_slider(ready):
    ready.ui.thresholdSpinBox.value = 0.5
    ready.advanced.onThreshold()
    assert ready.find.threshold == pytest.approx(0.5, abs=0.003)


def test_another_model_has_its_own_default_and_does_not_filter_the_old_result(ready):
    apply(ready)
    ready.parameters.model = "model-1-compact"
    curve = ready.logic.operatingCurve("model-1-compact")
    wait(0.3)
    assert ready.parameters.sensitivity == curve.default and len(ready.review.rows) == 2


def test_a_second_run_keeps_what_was_judged(ready):
    apply(ready)
    keep, other = (row.segment_id for row in ready.review.rows)
    ready.review.accept([keep])
    apply(ready)
    assert [row.segment_id for row in ready.review.rows if row.status == "accepted"] == [keep]
    assert len(ready.review.rows) == 2 and ready.review.row(other) is None
    ready.review.undo()
    assert {row.segment_id for row in ready.review.rows} == {keep, other}


class Stepwise:
    """Stops after each step until the test lets it go on, or it is cancelled."""

    def __init__(self, error=None):
        self.steps, self.seen, self.error = threading.Semaphore(0), [], error

    def segment(self, ct, progress=None, cancel=None, **options):
        from LungNoduleSegLib.errors import Cancelled

        for step in range(10):
            progress(step / 10, f"Step {step}")
            while not self.steps.acquire(timeout=0.002):
                if cancel():
                    raise Cancelled("cancelled")
            if self.error is not None and step == 3:
                raise self.error
        raise AssertionError("The test never lets it end.")


@pytest.fixture
def stepwise(ready):
    segmenter = Stepwise()
    ready.logic.loadSegmenter = lambda model, device: segmenter
    return segmenter


@pytest.mark.parametrize("step", [0, 1, 5, 9])
def test_apply_becomes_cancel_and_cancel_changes_nothing(ready, stepwise, scene, step):
    before = scene_snapshot(scene)
    ready.ui.applyButton.click()
    for _ in range(step):
        stepwise.steps.release()
    wait(0.2)
    assert ready.running and ready.ui.applyButton.text == "Cancel" and ready.ui.applyButton.enabled
    assert f"Step {step}" in ready.ui.statusLabel.text and ready.ui.progressBar.value == 10 * step
    assert not ready.ui.roiCheckBox.enabled
    ready.ui.applyButton.click()
    assert ready.ui.statusLabel.text == "Cancelling..." and not ready.ui.applyButton.enabled
    settle(ready)
    assert ready.ui.statusLabel.text == "Cancelled; nothing was added to the scene."
    assert ready.ui.applyButton.text == "Apply" and ready.ui.applyButton.enabled
    assert scene_snapshot(scene) == before


@pytest.fixture
def with_messages(ready, monkeypatch):
    """Message boxes as in the application; in tests Slicer raises instead of showing them."""
    monkeypatch.setattr(slicer.app, "_testing", False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda **_options: ready.parent)
    return ctkMessageBox.shown


def test_an_error_of_the_run_is_shown_and_changes_nothing(ready, scene, with_messages):
    segmenter = Stepwise(InputError("no lung was found in this CT", remedy="Is it a chest CT?"))
    ready.logic.loadSegmenter = lambda model, device: segmenter
    before = scene_snapshot(scene)
    ready.ui.applyButton.click()
    for _ in range(10):
        segmenter.steps.release()
    settle(ready)
    assert len(with_messages) == 1
    assert "could not be segmented. no lung was found in this CT. Is it a chest CT?" in with_messages[0][1]
    assert ready.ui.applyButton.enabled and ready.ui.applyButton.text == "Apply"
    assert scene_snapshot(scene) == before


def test_an_error_of_publishing_is_shown_and_changes_nothing(ready, scene, with_messages, monkeypatch):
    def refuses(*_arguments):
        raise RuntimeError("the scene refuses")

    monkeypatch.setattr(ready.logic, "_show", refuses)
    before = scene_snapshot(scene)
    apply(ready)
    assert [text for _, text in with_messages if "the scene refuses" in text] and scene_snapshot(scene) == before


def test_only_inside_asks_for_a_box(ready, with_messages, scene):
    from slicer_harness import pythonqt

    ready.ui.roiCheckBox.checked = True
    apply(ready)
    assert "Choose or make the box" in with_messages[0][1]
    pythonqt.slot_errors.clear()
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    ready.find.onRoiAdded(roi)
    ready.parameters.roi = roi
    size = [0.0] * 3
    roi.GetSizeWorld(size)
    assert size == [80.0] * 3
    bounds = [0.0] * 6
    ready.parameters.inputVolume.GetRASBounds(bounds)
    middle = [0.0] * 3
    roi.GetCenterWorld(middle)
    assert all(low <= place <= high for low, place, high in zip(bounds[::2], middle, bounds[1::2]))
    apply(ready)
    assert ready.ui.statusLabel.text == "2 nodules found."


def test_models_without_weights_cannot_be_run(opened, ct_node):
    widget = opened.widget
    widget.ui.inputSelector.setCurrentNode(ct_node)
    entry = widget.logic.modelEntry("model-2")
    widget.parameters.model = "model-2"
    assert not widget.ui.applyButton.enabled and entry.reason in widget.ui.applyButton.toolTip


def test_a_model_that_is_gone_gives_way_to_one_that_runs(panel):
    panel.parameters.model = "my-own-model"
    panel.enter()
    assert panel.parameters.model == next(e.name for e in panel.logic.models() if e.available)


def test_edits_made_elsewhere_are_measured(ready, ct_node):
    apply(ready)
    row = ready.review.rows[0]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(ready.parameters.segmentation, row.segment_id, ct_node)
    mask[mask.any(axis=(1, 2)).argmax()] = 0  # its lowest slice is erased
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, ready.parameters.segmentation, row.segment_id, ct_node)
    wait(0.5)
    changed = ready.review.row(row.segment_id)
    assert changed.nodule.volume_mm3 < row.nodule.volume_mm3 and changed.edited
    ready.review.undo()
    assert ready.review.row(row.segment_id).nodule.volume_mm3 == pytest.approx(row.nodule.volume_mm3)


def test_closing_the_scene(ready, scene):
    apply(ready)
    scene.Clear(False)
    assert ready.parameters is not None and ready.ui.inputSelector.currentNode() is None
    assert ready.review is None and not ready.ui.applyButton.enabled


def test_closing_the_scene_during_a_run(ready, stepwise, scene):
    ready.ui.applyButton.click()
    wait(0.1)
    scene.Clear(False)
    wait(0.1)
    assert not ready.running and scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None
    assert ready.ui.applyButton.text == "Apply"


def test_state_survives_saving(ready, scene, tmp_path):
    apply(ready)
    ready.review.accept([ready.review.rows[0].segment_id])
    ready.review.rename(ready.review.rows[1].segment_id, "Spiculated")
    before = [(row.segment_id, row.name, row.status, row.nodule.volume_mm3) for row in ready.review.rows]
    ready.ui.minimumDiameterSlider.value = 7.5
    ready.parameters.model = "model-1-compact"
    wait(0.2)
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    scene.Clear(False)
    assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    ready.enter()
    wait(0.2)
    assert ready.ui.minimumDiameterSlider.value == 7.5 and ready.parameters.model == "model-1-compact"
    assert ready.ui.inputSelector.currentNode().GetName() == "Thorax"
    assert [(r.segment_id, r.name, r.status, pytest.approx(r.nodule.volume_mm3)) for r in ready.review.rows] == before


def test_another_segmentation_of_the_user_is_left_alone(ready, ct_node, scene):
    own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    own.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)
    own.GetSegmentation().AddEmptySegment("lobe", "Lobe")
    ready.parameters.segmentation = own
    apply(ready)
    segments = own.GetSegmentation()
    names = [segments.GetNthSegment(number).GetName() for number in range(segments.GetNumberOfSegments())]
    assert names == ["Lobe", "Nodule 1", "Nodule 2"] and len(ready.review.rows) == 2


def test_reload_brings_library_and_panel_anew(opened):
    names = ("LungNoduleSegLib", "LungNoduleSegPanel")
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}
    assert before
    try:
        opened.widget.onReload()
        after = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}
        assert not [name for name, module in after.items() if before.get(name) is module]
    finally:
        sys.modules.update(before)
