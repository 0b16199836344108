"""The logic, used from a script without panel, and Slicer's own self test."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import slicer
from slicer_harness.application import PANEL, load_module
from slicer_harness.nodes import parent_transform
from slicer_harness.samples import result_of, sample_ct
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import read_nodules, volume_from_ct


@pytest.fixture
def module(scene):
    return load_module(PANEL)[0]


@pytest.fixture
def ct_node(scene):
    return volume_from_ct(sample_ct()[0], scene, "Thorax")


class Known:
    """Gives the sample's labels, on whatever CT it is given."""

    def __init__(self, model="model-2-compact"):
        self.model, self.options, self.ct = model, None, None

    def segment(self, ct, progress=None, cancel=None, **options):
        self.ct, self.options = ct, options
        progress(0.5, "half")
        return result_of(ct, sample_ct()[1], model=self.model)


def test_slicers_self_test_passes(module):
    test = module.LungNoduleSegTest()
    test.runTest()
    assert test.messages[:3] == ["Nodules reach the scene", "Undo and redo", "Cancel changes nothing"]
    assert test.messages[3].startswith("Real model")


def test_process_from_a_script(module, ct_node, scene):
    segmenter = Known()
    asked = []

    def load(model, device):
        asked.append((model, device))
        return segmenter

    events = []
    logic = module.LungNoduleSegLogic(loadSegmenter=load)
    outcome = logic.process(
        ct_node,
        model="model-2-compact",
        device="cpu",
        roi=((0, 0, 0), (9, 9, 9)),
        threshold=0.4,
        minimumDiameterMm=4.0,
        onEvent=events.append,
    )
    assert asked == [("model-2-compact", "cpu")]
    assert segmenter.options == {"roi": ((0, 0, 0), (9, 9, 9)), "threshold": 0.4, "min_diameter_mm": 4.0}
    np.testing.assert_array_equal(segmenter.ct.hu, sample_ct()[0].hu)
    np.testing.assert_array_equal(read_nodules(outcome.nodes.segmentation, ct_node).labels, sample_ct()[1])
    assert outcome.message == "3 nodules found."
    assert [(event["event"], event["message"]) for event in events] == [
        ("progress", "Reading the CT"),
        ("progress", "half"),
        ("result", "3 nodules found."),
    ]
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_process_under_an_oblique_transform(module, ct_node, scene):
    transform, matrix = parent_transform(scene)
    ct_node.SetAndObserveTransformNodeID(transform.GetID())
    segmenter = Known()
    outcome = module.LungNoduleSegLogic(loadSegmenter=lambda *_: segmenter).process(ct_node)
    np.testing.assert_allclose(segmenter.ct.ijk_to_ras, matrix @ sample_ct()[0].ijk_to_ras, atol=1e-9)
    for label, segment_id in enumerate(outcome.nodes.segment_ids, start=1):
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(outcome.nodes.segmentation, segment_id, ct_node)
        np.testing.assert_array_equal(mask != 0, sample_ct()[1] == label)


def test_errors_are_events_and_exceptions(module, scene):
    events = []
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    logic = module.LungNoduleSegLogic(loadSegmenter=lambda *_: Known())
    before = scene_snapshot(scene)
    with pytest.raises(InputError, match="'Empty' holds no voxels"):
        logic.process(empty, onEvent=events.append)
    assert events[-1]["event"] == "error" and "'Empty' holds no voxels" in events[-1]["message"]
    assert scene_snapshot(scene) == before


def test_cancelling_after_the_run_keeps_the_scene(module, ct_node, scene):
    logic = module.LungNoduleSegLogic(loadSegmenter=lambda *_: Known())
    before = scene_snapshot(scene)
    outcome = logic.process(ct_node, onEvent=lambda event: event["message"] == "half" and logic.cancel())
    assert outcome.nodes is None and outcome.result is None and outcome.message.startswith("Cancelled")
    assert scene_snapshot(scene) == before
    assert logic.process(ct_node).nodes is not None  # the next run is not cancelled


def test_seen_in_training_and_warnings_are_said(module, ct_node):
    from dataclasses import replace

    result = replace(result_of(*sample_ct()), seen_in_training="train", warnings=("Slices are 5 mm apart.",))
    assert module.LungNoduleSegLogic().describe(result) == (
        "3 nodules found. The model has seen this CT in its training data. Slices are 5 mm apart."
    )


def test_missing_packages_are_named(module, ct_node, monkeypatch):
    logic = module.LungNoduleSegLogic()
    monkeypatch.setattr(logic, "missingPackages", lambda: ["torch"])
    with pytest.raises(RuntimeError, match="needs the Python packages torch, which are not installed"):
        logic.process(ct_node)


def test_looking_for_packages_imports_nothing(module, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert module.LungNoduleSegLogic().missingPackages() == ["torch", "safetensors"]


@pytest.mark.parametrize("with_old_extension", [False, True])
def test_torch_comes_through_the_extension(module, monkeypatch, with_old_extension):
    calls = []

    class NewLogic:
        def installTorch(self, askConfirmation=False, forceComputationBackend=None):
            calls.append((askConfirmation, forceComputationBackend))
            return object()

    class OldLogic:
        def installTorch(self, askConfirmation=False):
            calls.append((askConfirmation,))
            return object()

    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = OldLogic if with_old_extension else NewLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    pip = []
    monkeypatch.setattr(slicer.util, "pip_install", pip.append)
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)  # as in Slicer 5.10
    module.LungNoduleSegLogic().install(["torch", "safetensors"])
    assert calls == ([(False,)] if with_old_extension else [(False, None)])
    assert pip == ["safetensors>=0.4"]


def test_newer_slicer_installs_with_its_own_packaging(module, monkeypatch):
    packaging = types.ModuleType("slicer.packaging")
    asked = []
    packaging.pip_ensure = lambda requirements, **options: asked.append((requirements, options))
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    module.LungNoduleSegLogic().install(["safetensors"])
    assert asked == [(["safetensors>=0.4"], {"prompt_install": False, "requester": "LungNoduleSeg"})]


def test_without_the_extension_it_says_what_to_do(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(RuntimeError, match="Install the extension PyTorch with the Extensions Manager"):
        module.LungNoduleSegLogic().install(["torch"])
