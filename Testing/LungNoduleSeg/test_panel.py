"""The panel, opened and used as a user does; only the network is replaced by a threshold."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import slicer
from PySide6 import QtCore, QtWidgets
from slicer_harness import pythonqt
from slicer_harness.application import REPOSITORY
from slicer_harness.ctk_widgets import ctkMessageBox
from slicer_harness.samples import sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import read_nodules, volume_from_ct


@pytest.fixture
def panel(opened):
    """The widget, with the test's own segmenter in its logic."""
    opened.widget.logic = opened.python.LungNoduleSegLogic(
        loadSegmenter=lambda model, device: opened.python._ThresholdSegmenter(model)
    )
    opened.widget.fillModels()
    return opened.widget


@pytest.fixture
def ct_node(scene):
    return volume_from_ct(sample_ct()[0], scene, "Thorax")


def test_nothing_heavy_is_loaded_by_opening_the_panel():
    code = """
import sys
sys.path[:0] = [".", "Testing"]
from slicer_harness.application import PANEL, open_module, start
from slicer_harness.messages import message_log
start()
module = open_module(PANEL)
print(sorted({"torch", "onnxruntime", "safetensors", "highdicom", "timm"} & set(sys.modules)), message_log().take())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stdout.strip()) == (0, "[] []"), done.stderr


def test_module_describes_itself(opened):
    parent = opened.instance.parent
    assert parent.title == "Lung Nodule Segmentation" and parent.categories == ["Segmentation"]
    assert "Research use only" in parent.helpText and "LIDC-IDRI" in parent.acknowledgementText


def test_apply_waits_for_a_ct(panel, scene):
    assert not panel.ui.applyButton.enabled and panel.ui.applyButton.toolTip == "Choose a CT."
    node = volume_from_ct(sample_ct()[0], scene)
    panel.ui.inputSelector.setCurrentNode(node)
    assert panel._parameterNode.inputVolume is node
    assert panel.ui.applyButton.enabled
    panel.ui.inputSelector.setCurrentNode(None)
    assert not panel.ui.applyButton.enabled


def test_the_only_ct_is_chosen_by_itself(ct_node, panel):
    panel.exit()
    panel.enter()
    assert panel.ui.inputSelector.currentNode() is ct_node


def test_label_maps_are_not_offered(panel, ct_node):
    slicer.util.addVolumeFromArray(np.zeros((2, 2, 2), np.uint8), nodeClassName="vtkMRMLLabelMapVolumeNode")
    assert panel.ui.inputSelector.nodeCount() == 1


def test_apply_puts_the_nodules_into_the_scene(panel, ct_node, scene):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    shown = []
    panel.ui.progressBar.connect("valueChanged(int)", shown.append)
    panel.ui.applyButton.click()
    segmentation = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    # The sample's second and third nodule touch, so that a threshold sees one.
    assert panel.ui.statusLabel.text == "2 nodules found."
    labels = read_nodules(segmentation, ct_node).labels
    np.testing.assert_array_equal(labels > 0, sample_ct()[1] > 0)
    assert segmentation.GetName() == "Thorax nodules"
    assert scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode").GetNumberOfControlPoints() == 2
    assert max(shown) == 100 and not panel.ui.progressBar.visible
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled


def test_minimum_diameter_is_used_and_kept(panel, ct_node):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    panel.ui.minimumDiameterSlider.value = 12.0
    assert panel._parameterNode.minimumDiameterMm == 12.0
    panel.ui.applyButton.click()
    assert panel.ui.statusLabel.text == "1 nodule found."


def test_nothing_found_is_said_with_the_best_place(panel, ct_node, scene):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    panel.ui.minimumDiameterSlider.value = 30.0
    before = [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]
    panel.ui.applyButton.click()
    assert panel.ui.statusLabel.text.startswith("No nodule found. The highest probability is 0.")
    assert " R " in panel.ui.statusLabel.text and " mm." in panel.ui.statusLabel.text
    assert [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())] == before


def test_apply_is_cancel_while_it_runs(panel, ct_node, scene):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    before = scene_snapshot(scene)
    seen = []

    class Slow:
        def segment(self, ct, progress=None, cancel=None, **_options):
            from LungNoduleSegLib.errors import Cancelled

            for step in range(100):
                progress(step / 100, f"Step {step}")
                if step == 7:
                    seen.append((panel.ui.applyButton.text, panel.ui.progressBar.visible, panel.ui.statusLabel.text))
                    QtCore.QTimer.singleShot(0, lambda: panel.ui.applyButton.click())
                if cancel():
                    seen.append(step)
                    raise Cancelled("cancelled")
            raise AssertionError("was not cancelled")

    panel.logic._loadSegmenter = lambda model, device: Slow()
    panel.parent.show()
    panel.ui.applyButton.click()
    panel.parent.hide()
    assert seen[0] == ("Cancel", True, "Step 7") and seen[1] in (8, 9)
    assert panel.ui.statusLabel.text == "Cancelled; nothing was added to the scene."
    assert panel.ui.applyButton.text == "Apply"
    assert scene_snapshot(scene) == before


@pytest.mark.parametrize("phase", ["run", "publish"])
def test_an_error_is_shown_and_changes_nothing(panel, ct_node, scene, monkeypatch, phase):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    before = scene_snapshot(scene)

    def failing(*_args, **_options):
        raise InputError("no lung was found in this CT", remedy="Is it a chest CT?")

    monkeypatch.setattr(panel.logic, phase, failing)
    monkeypatch.setattr(slicer.app, "_testing", False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda **_options: panel.parent)  # without one, nothing is shown
    panel.ui.applyButton.click()
    assert len(ctkMessageBox.shown) == 1
    assert "could not be segmented" in ctkMessageBox.shown[0][1]
    assert "no lung was found in this CT. Is it a chest CT?" in ctkMessageBox.shown[0][1]
    assert [str(error) for _, error in pythonqt.slot_errors] == ["no lung was found in this CT. Is it a chest CT?"]
    pythonqt.slot_errors.clear()
    assert panel.ui.applyButton.enabled and panel.ui.applyButton.text == "Apply"
    assert scene_snapshot(scene) == before


def test_models_without_weights_cannot_be_chosen(opened, ct_node):
    widget = opened.widget
    entries = {entry.name: entry for entry in widget.logic.models()}
    assert {"model-1", "model-2"} <= set(entries)
    box = widget.ui.modelComboBox
    assert box.count == len(entries)
    for row in range(box.count):
        entry = entries[box.itemData(row)]
        enabled = bool(box.model().item(row).flags() & QtCore.Qt.ItemFlag.ItemIsEnabled)
        assert enabled == entry.available
        assert box.itemText(row).endswith("(no weights)") != entry.available
    widget.ui.inputSelector.setCurrentNode(ct_node)
    widget._parameterNode.model = "model-2"
    assert not widget.ui.applyButton.enabled and entries["model-2"].reason in widget.ui.applyButton.toolTip
    shown = widget.ui.modelSummaryLabel.text
    assert shown.startswith(entries["model-2"].card.summary) and entries["model-2"].remedy in shown


def test_a_model_that_is_gone_gives_way_to_one_that_runs(panel, monkeypatch):
    entries = panel.logic.models()
    usable = replace(entries[0], reason=None)
    monkeypatch.setattr(panel.logic, "models", lambda: [*entries[1:], usable])
    panel._parameterNode.model = "my-own-model"
    panel.enter()
    assert panel._parameterNode.model == next(e.name for e in panel.logic.models() if e.available)
    monkeypatch.setattr(panel.logic, "models", list)
    panel._parameterNode.model = "my-own-model"
    panel.enter()
    assert panel._parameterNode.model == "my-own-model"
    assert "There is no model my-own-model" in panel.logic.__class__().reasonModelCannotRun("my-own-model")


def test_choosing_a_model_is_kept(panel):
    box = panel.ui.modelComboBox
    for row in range(box.count):
        box.setCurrentIndex(row)
        assert panel._parameterNode.model == box.itemData(row)


def test_installation_only_after_asking(opened, ct_node, monkeypatch):
    widget = opened.widget
    widget.ui.inputSelector.setCurrentNode(ct_node)
    installed = []
    missing = ["torch", "safetensors"]
    monkeypatch.setattr(widget.logic, "missingPackages", lambda: list(missing))
    monkeypatch.setattr(widget.logic, "reasonModelCannotRun", lambda model: "")
    monkeypatch.setattr(widget.logic, "install", lambda packages: (installed.append(packages), missing.clear()))
    monkeypatch.setattr(widget.logic, "process", lambda *_a, **_o: opened.python.Outcome(None, None, "ran"))
    monkeypatch.setattr(slicer.app, "_testing", False)

    monkeypatch.setattr(ctkMessageBox, "answer", QtWidgets.QMessageBox.StandardButton.Cancel)
    widget.updatePanel()
    widget.ui.applyButton.click()
    assert "torch, safetensors" in ctkMessageBox.shown[0][1] and not installed
    assert widget.ui.statusLabel.text == "Not started: torch, safetensors are not installed."

    monkeypatch.setattr(ctkMessageBox, "answer", QtWidgets.QMessageBox.StandardButton.Ok)
    widget.ui.applyButton.click()
    assert installed == [["torch", "safetensors"]] and widget.ui.statusLabel.text == "ran"
    widget.ui.applyButton.click()
    assert len(ctkMessageBox.shown) == 2  # nothing is missing any more: no further question


def test_closing_the_scene(panel, ct_node, scene):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    scene.Clear(False)
    assert panel._parameterNode is not None and panel.ui.inputSelector.currentNode() is None
    assert not panel.ui.applyButton.enabled


def test_parameters_survive_saving(panel, ct_node, scene, tmp_path):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    panel.ui.minimumDiameterSlider.value = 7.5
    panel._parameterNode.model = "model-1"
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    panel.exit()
    scene.Clear(False)
    assert scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    panel.enter()
    assert panel.ui.minimumDiameterSlider.value == 7.5 and panel._parameterNode.model == "model-1"
    assert panel.ui.inputSelector.currentNode().GetName() == "Thorax"


def test_reload_forgets_the_library(opened):
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "LungNoduleSegLib"}
    assert before
    try:
        opened.widget.onReload()
        assert not any(name.partition(".")[0] == "LungNoduleSegLib" for name in sys.modules)
    finally:
        sys.modules.update(before)


def test_picture_of_the_panel(panel, ct_node, tmp_path):
    panel.ui.inputSelector.setCurrentNode(ct_node)
    panel.ui.applyButton.click()
    panel.parent.resize(460, 420)
    panel.parent.show()
    slicer.app.processEvents()
    picture = panel.parent.grab().toImage()
    panel.parent.hide()
    colors = {picture.pixel(x, y) for x in range(0, picture.width(), 3) for y in range(0, picture.height(), 3)}
    assert len(colors) > 10
