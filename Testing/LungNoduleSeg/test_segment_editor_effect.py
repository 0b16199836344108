"""The Segment Editor effect: clicks in real views change the selected segment through Slicer's own editor logic."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from slicer_harness.samples import result_of, sample_ct
from slicer_harness.segment_editor import SegmentEditor
from slicer_harness.window import MainWindow, why_no_views

from LungNoduleSegLib.mrml import volume_from_ct

pytestmark = pytest.mark.skipif(bool(why_no_views()), reason=why_no_views() or "views can be rendered")


class Known:
    """A positive click adds the sample's first nodule to what was there; a negative one takes slices below 8 off."""

    def __init__(self):
        self.clicks = []

    def click(self, ct, positive_ras, negative_ras=(), base=None):
        self.clicks.append((list(positive_ras), list(negative_ras), base))
        mask = np.zeros(ct.shape, bool)
        if base is not None:
            offset, there = base
            mask[tuple(slice(o, o + n) for o, n in zip(offset, there.shape))] = there
        if positive_ras:
            mask |= sample_ct()[1] == 1
        else:
            mask[:8] = False
        return result_of(
            ct, mask.astype(np.uint16), kind="SEMIAUTOMATIC", uids=["2.25.5"], probability=lambda label: 0.5
        )


@pytest.fixture
def segmenter():
    return Known()


@pytest.fixture
def editor(module, scene, segmenter, monkeypatch):
    """The Segment Editor on the sample CT with an empty segment beside one of the user's, and the effect active."""
    from LungNoduleSegPanel import installation
    from LungNoduleSegPanel.SegmentEditorLungNoduleLib.registration import newEffect

    volume = volume_from_ct(sample_ct()[0], scene, "Thorax")
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("nodule", "Nodule")
    window = MainWindow(size=(900, 700))
    window.show_volume(volume)
    monkeypatch.setattr(installation, "offerInstallation", lambda *_arguments: True)
    effect = newEffect()
    effect.self()._logic = module.LungNoduleSegLogic(loadSegmenter=lambda model, device: segmenter)
    editor = SegmentEditor(segmentation, volume, "nodule")
    editor.activate(effect)
    editor.window, editor.volume, editor.segmentation = window, volume, segmentation
    yield editor
    effect.self()._logic.close()
    editor.close()
    window.close()


def centre():
    ct, labels = sample_ct()
    return tuple(float(v) for v in ct.kji_to_ras(np.argwhere(labels == 1).mean(axis=0)))


def click(editor, **keys):
    from LungNoduleSegLib.mrml.views import jump_to

    jump_to(slicer.mrmlScene, centre())
    slicer.app.processEvents()
    editor.click(editor.window.slice_widget("Red"), centre(), **keys)
    effect = editor.effect.self()
    for _ in range(200):
        slicer.app.processEvents()
        effect.logic._clicks._queue.poll()


def mask(editor, segment_id="nodule"):
    found = slicer.util.arrayFromSegmentBinaryLabelmap(editor.segmentation, segment_id, editor.volume)
    return np.zeros(sample_ct()[1].shape, bool) if found is None else np.asarray(found) != 0


def test_a_click_adds_and_ctrl_click_cuts_each_one_step_of_undo(editor, segmenter):
    click(editor)
    np.testing.assert_array_equal(mask(editor), sample_ct()[1] == 1)
    (positive, negative, base) = segmenter.clicks[0]
    np.testing.assert_allclose(positive[0], centre(), atol=1.5)
    assert negative == [] and base is None
    click(editor, ctrl=True)
    expected = sample_ct()[1] == 1
    expected[:8] = False
    np.testing.assert_array_equal(mask(editor), expected)
    assert segmenter.clicks[1][0] == [] and len(segmenter.clicks[1][1]) == 1
    editor.undo()
    np.testing.assert_array_equal(mask(editor), sample_ct()[1] == 1)
    editor.undo()
    assert not mask(editor).any()


def test_an_empty_segment_has_nothing_to_cut(editor, segmenter):
    effect = editor.effect.self()
    with pytest.raises(RuntimeError, match="nothing to cut"):
        effect.clickAt(centre(), cut=True)
    assert segmenter.clicks == [] and effect._pending is None


def test_the_box_cuts_without_a_key(editor, segmenter):
    click(editor)
    editor.effect.self().cutCheckBox.checked = True
    click(editor)
    assert segmenter.clicks[1][0] == [] and len(segmenter.clicks[1][1]) == 1


def test_an_answer_for_another_segment_changes_nothing(editor, segmenter):
    editor.segmentation.GetSegmentation().AddEmptySegment("other", "Other")
    effect = editor.effect.self()
    original = segmenter.click

    def slow(*arguments, **more):
        editor.node.SetSelectedSegmentID("other")
        return original(*arguments, **more)

    segmenter.click = slow
    click(editor)
    assert not mask(editor).any() and not mask(editor, "other").any()
    assert "Another segment was selected" in effect.statusLabel.text


def test_other_segments_stay(editor, segmenter):
    editor.segmentation.GetSegmentation().AddEmptySegment("other", "Other")
    whole = np.zeros(sample_ct()[1].shape, np.uint8)
    whole[2:4, 5:9, 5:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(whole, editor.segmentation, "other", editor.volume)
    click(editor)
    np.testing.assert_array_equal(mask(editor, "other"), whole != 0)


def test_an_error_is_said_and_the_next_click_works(editor, segmenter):
    original, segmenter.click = segmenter.click, lambda *a, **m: (_ for _ in ()).throw(RuntimeError("no memory"))
    click(editor)
    assert "no memory" in editor.effect.self().statusLabel.text and not mask(editor).any()
    segmenter.click = original
    click(editor)
    assert mask(editor).any()


def test_models_and_parameters(editor):
    effect = editor.effect.self()
    names = [effect.modelComboBox.itemData(row) for row in range(effect.modelComboBox.count)]
    assert names == [entry.name for entry in effect.logic.models() if entry.available]
    effect.modelComboBox.setCurrentIndex(names.index("model-1-compact"))
    assert editor.effect.parameter("Model") == "model-1-compact"
    assert "research use only" in effect.helpText() and editor.effect.name == "Lung nodule"


def test_registration(module, application):
    from LungNoduleSegPanel.SegmentEditorLungNoduleLib.registration import registerEffect

    assert registerEffect()
    names = [effect.name for effect in slicer.qSlicerSegmentEditorEffectFactory.instance().registeredEffects()]
    assert names.count("Lung nodule") == 1


def test_the_panels_logic_is_asked_for_each_time(editor, monkeypatch):
    effect, given = editor.effect.self(), []
    with monkeypatch.context() as patch:
        patch.setattr(effect, "_logic", None)
        patch.setattr(slicer.util, "getModuleLogic", lambda name: given.append(object()) or given[-1])
        first, second = effect.logic, effect.logic
    assert (first, second) == tuple(given)  # after a reload of the module it is another one


def test_without_any_model_the_click_says_so(editor, segmenter, monkeypatch):
    effect, shown = editor.effect.self(), []
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, *_more, **_options: shown.append(text))
    effect.modelComboBox.clear()
    with pytest.raises(RuntimeError, match="no model with weights"):
        effect.clickAt(centre())
    assert effect._pending is None and segmenter.clicks == []
