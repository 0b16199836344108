"""Nodes that go, scenes that are read and closed, scripts beside the panel: nothing is kept, lost, or left wrong."""

from __future__ import annotations

import gc
import time
import weakref

import numpy as np
import pytest
import slicer
from slicer_harness import pythonqt
from slicer_harness.ctk_widgets import ctkMessageBox
from slicer_harness.samples import result_of, sample_ct

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import volume_from_ct
from LungNoduleSegLib.mrml.read import nodule_segment_ids


class Stepwise:
    """Gives the sample's nodules when the test lets it; a click gives the first of them."""

    def __init__(self):
        self.go = True

    def segment(self, ct, progress=None, cancel=None, threshold=None, **_options):
        from dataclasses import replace

        from LungNoduleSegLib.errors import Cancelled

        progress(0.5, "half")
        while not self.go:
            if cancel():
                raise Cancelled("cancelled")
            time.sleep(0.001)
        return replace(result_of(ct, sample_ct()[1]), threshold=threshold or 0.0)

    def click(self, ct, positive_ras, negative_ras=(), base=None):
        return result_of(
            ct, (sample_ct()[1] == 1).astype(np.uint16), kind="SEMIAUTOMATIC", uids=["2.25.77"],
            probability=lambda label: 0.5,
        )  # fmt: skip


@pytest.fixture
def segmenter():
    return Stepwise()


@pytest.fixture
def ct_node(scene):
    return volume_from_ct(sample_ct()[0], scene, "Thorax")


@pytest.fixture
def logic(module, segmenter):
    made = module.LungNoduleSegLogic(loadSegmenter=lambda model, device: segmenter)
    yield made
    made.close()


@pytest.fixture
def panel(opened, segmenter, ct_node):
    widget = opened.widget
    widget.logic.loadSegmenter = lambda model, device: segmenter
    widget.ui.inputSelector.setCurrentNode(ct_node)
    widget.parameters.sensitivity = 100.0
    wait(0.1)
    return widget


@pytest.fixture
def shown(panel, monkeypatch):
    """Texts of the message boxes, which appear as in the application."""
    monkeypatch.setattr(slicer.app, "_testing", False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda **_options: panel.parent)
    return ctkMessageBox.shown


def wait(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slicer.app.processEvents()


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        slicer.app.processEvents()
        assert time.monotonic() < end
    wait(0.2)


def run(panel):
    panel.ui.applyButton.click()
    until(lambda: not panel.running)


def centre():
    ct, labels = sample_ct()
    return tuple(float(v) for v in ct.kji_to_ras(np.argwhere(labels == 1).mean(axis=0)))


def place(ras):
    selection = slicer.app.applicationLogic().GetSelectionNode()
    slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPointWorld(ras)


# Nodes that go


def test_what_belongs_to_a_removed_ct_is_not_kept(logic, ct_node, scene):
    outcome = logic.process(ct_node)
    kept = [weakref.ref(thing) for thing in (logic.ct(ct_node), outcome.result, outcome.review)]
    segmentation = outcome.nodes.segmentation
    del outcome
    scene.RemoveNode(ct_node)
    scene.RemoveNode(segmentation)
    gc.collect()
    assert [thing() for thing in kept] == [None, None, None]
    assert logic.lastOutcome is None


def test_the_panel_keeps_nothing_of_a_removed_ct(panel, ct_node, scene):
    run(panel)
    panel.ui.placeButton.checked = True
    place(centre())
    wait(0.2)
    kept = [weakref.ref(thing) for thing in (panel.logic.ct(ct_node), panel.logic.lastOutcome.result, panel.review)]
    scene.RemoveNode(ct_node)
    wait(0.2)
    gc.collect()
    assert panel.review is None and not panel.ui.placeButton.checked
    assert [thing() for thing in kept] == [None, None, None]


def test_a_logic_ends_with_its_last_reference(module, ct_node, scene):
    logic = module.LungNoduleSegLogic(loadSegmenter=lambda model, device: Stepwise())
    logic.process(ct_node, wait=False).wait()
    logic.click(ct_node, [centre()])
    logic.close()
    gone = weakref.ref(logic)
    del logic
    gc.collect()
    assert gone() is None
    scene.RemoveNode(ct_node)


def test_a_segmentation_that_was_removed_during_the_run_gives_way_to_a_new_one(logic, segmenter, ct_node, scene):
    old = logic.process(ct_node).nodes.segmentation
    segmenter.go = False
    pending = logic.process(ct_node, segmentationNode=old, wait=False)
    scene.RemoveNode(old)
    segmenter.go = True
    new = pending.wait().nodes.segmentation
    assert new is not old and scene.IsNodePresent(new) and len(nodule_segment_ids(new)) == 3


def test_a_click_on_nodules_that_were_removed_says_so(logic, ct_node, scene):
    segment_id = logic.click(ct_node, [centre()])
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    pending = logic.click(ct_node, [], [centre()], segmentId=segment_id, segmentationNode=node, wait=False)
    scene.RemoveNode(node)
    with pytest.raises(RuntimeError, match="Click again to begin"):
        pending.wait()


def test_probability_that_cannot_be_shown_leaves_no_nodules(logic, ct_node, scene, monkeypatch):
    from LungNoduleSegLib.mrml import probability

    monkeypatch.setattr(probability, "show_probability", lambda *_arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logic.process(ct_node, probability=True)
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


# Scenes


def test_a_scene_that_is_closed_while_a_script_waits(logic, segmenter, ct_node, scene):
    segmenter.go = False
    outcome = logic.process(ct_node, onEvent=lambda event: event["message"] == "half" and scene.Clear(False))
    assert outcome.nodes is None and outcome.message.startswith("Cancelled") and not logic.running


def test_a_loaded_scene_has_its_sensitivity_and_nothing_to_undo(panel, scene, tmp_path):
    run(panel)
    panel.parameters.model = "model-1-compact"
    wait(0.1)
    panel.parameters.sensitivity = 12.0
    wait(0.2)
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    scene.Clear(False)
    panel.parameters.model = "model-2-compact"
    wait(0.1)
    assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    wait(0.3)
    assert panel.parameters.model == "model-1-compact" and panel.parameters.sensitivity == 12.0
    assert len(panel.review.rows) > 0 and not panel.review.can_undo
    assert panel.ui.inputSelector.currentNode() is panel.parameters.inputVolume is not None
    assert "holds no voxels" not in panel.ui.logText.toPlainText()


def test_opening_the_module_again_leaves_no_more_observers(panel):
    from slicer.parameterNodeWrapper import wrapper

    before = len(wrapper._bound)
    for _ in range(3):
        panel.exit()
        panel.enter()
    assert len(wrapper._bound) == before
    assert panel.parameters is panel.logic.getParameterNode()
    panel.ui.minimumDiameterSlider.value = 7.0
    assert panel.parameters.minimumDiameterMm == 7.0


# Scripts beside the panel


def test_a_run_of_a_script_can_be_seen_and_cancelled_in_the_panel(panel, segmenter, ct_node):
    segmenter.go = False
    pending = panel.logic.process(ct_node, wait=False)
    assert panel.ui.applyButton.text == "Cancel" and not panel.ui.roiCheckBox.enabled
    panel.ui.applyButton.click()
    until(lambda: pending.finished)
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled
    assert panel.ui.roiCheckBox.enabled


def test_an_error_of_a_scripts_callback_ends_the_run(logic, segmenter, ct_node):
    segmenter.go = False
    with pytest.raises(ZeroDivisionError):
        logic.process(ct_node, onEvent=lambda event: event["message"] == "half" and 1 / 0)
    assert not logic.running
    segmenter.go = True
    assert len(logic.process(ct_node).nodes.segment_ids) == 3


# A start that fails


def test_a_run_that_cannot_start_is_said_once_and_leaves_the_buttons_right(panel, shown, monkeypatch):
    def refuses(*_arguments):
        raise InputError("there is no Python at /nowhere", remedy="Choose another one.")

    monkeypatch.setattr(panel.logic, "_makeRun", refuses)
    panel.ui.applyButton.click()
    assert len(shown) == 1 and "no Python at /nowhere" in shown[0][1]
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled
    assert "no Python at /nowhere" in panel.ui.statusLabel.text
    pythonqt.slot_errors.clear()


def test_clicking_that_cannot_start_leaves_the_button_up(panel, shown, monkeypatch):
    def refuses(*_arguments):
        raise InputError("there is no Python at /nowhere", remedy="Choose another one.")

    monkeypatch.setattr(panel.logic, "warmUp", refuses)
    panel.ui.placeButton.click()
    assert len(shown) == 1 and not panel.ui.placeButton.checked
    assert not any(key.enabled for key in panel.click._keys)
    pythonqt.slot_errors.clear()


def test_what_a_run_has_written_is_in_the_log_when_it_failed(panel, segmenter, shown, monkeypatch):
    from LungNoduleSegPanel.runs import InProcessRun

    monkeypatch.setattr(InProcessRun, "log", "said on standard error")
    segmenter.segment = lambda *_arguments, **_options: 1 / 0
    run(panel)
    assert "said on standard error" in panel.ui.logText.toPlainText()


# The slider


def test_the_slider_during_a_run_counts_when_it_has_ended(panel, segmenter):
    segmenter.go = False
    panel.ui.applyButton.click()
    panel.find.setThreshold(0.8)  # of .85, .75 and .65
    wait(0.1)
    segmenter.go = True
    until(lambda: not panel.running)
    wait(0.3)
    assert len(panel.review.rows) == 1


@pytest.mark.parametrize("other", ["another segmentation", "undone"])
def test_the_slider_leaves_alone_what_is_not_of_the_run(panel, scene, ct_node, shown, other):
    run(panel)
    if other == "undone":
        panel.review.undo()
    else:
        own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
        own.SetReferenceImageGeometryParameterFromVolumeNode(ct_node)
        panel.parameters.segmentation = own
    wait(0.2)
    panel.find.setThreshold(0.8)
    wait(0.3)
    assert shown == [] and panel.review.rows == ()


# Edits and clicks


def test_edits_during_a_run_that_is_cancelled_are_measured(panel, segmenter, ct_node):
    run(panel)
    row = panel.review.rows[0]
    segmenter.go = False
    panel.ui.applyButton.click()
    node = panel.parameters.segmentation
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, row.segment_id, ct_node)
    mask[mask.any(axis=(1, 2)).argmax()] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, row.segment_id, ct_node)
    wait(0.4)
    panel.ui.applyButton.click()
    until(lambda: not panel.running)
    assert panel.review.row(row.segment_id).nodule.volume_mm3 < row.nodule.volume_mm3


def test_a_click_on_another_ct_goes_into_a_segmentation_of_its_own(panel, scene):
    run(panel)
    first = panel.parameters.segmentation
    panel.ui.inputSelector.setCurrentNode(volume_from_ct(sample_ct()[0], scene, "Another"))
    wait(0.2)
    panel.ui.placeButton.checked = True
    place(centre())
    until(lambda: panel.parameters.segmentation is not first)
    assert len(nodule_segment_ids(first)) == 3
    assert [row.kind for row in panel.review.rows] == ["SEMIAUTOMATIC"]
    panel.ui.placeButton.checked = False


def test_a_click_that_waits_when_all_is_closed_starts_nothing_anew(panel, monkeypatch):
    from LungNoduleSegPanel.clicks import InProcessWorker

    monkeypatch.setattr(InProcessWorker, "events", lambda worker: [])
    panel.ui.placeButton.checked = True
    place(centre())
    wait(0.1)
    place(tuple(v + 1 for v in centre()))
    wait(0.1)
    assert panel.logic._clicks._queue.busy and len(panel.click._waiting) == 1
    panel.logic.close()
    wait(0.1)
    assert not panel.logic._clicks._queue.busy and not panel.logic._clicks._queue.warm and panel.click._waiting == []
    panel.ui.placeButton.checked = False


def test_another_python_means_another_worker(module, ct_node, monkeypatch):
    from LungNoduleSegPanel import click_service, settings

    class Worker:
        alive, log = True, ""

        def __init__(self):
            self.closed = False

        def warm(self, *_arguments):
            pass

        def events(self):
            return []

        def close(self):
            self.closed = True

    workers = []
    logic = module.LungNoduleSegLogic(loadSegmenter=lambda model, device: None)
    monkeypatch.setattr(click_service, "InProcessWorker", lambda load: workers.append(Worker()) or workers[-1])
    logic.warmUp(ct_node)
    logic.warmUp(ct_node)
    assert len(workers) == 1
    settings.setInterpreterPath("/another/python")
    logic.warmUp(ct_node)
    assert len(workers) == 2 and workers[0].closed
    logic.close()
