"""The section "Nodules" on a real review in Slicer's own scene: what the buttons do arrives in the segmentation."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import slicer
from PySide6 import QtCore, QtTest, QtWidgets
from slicer_harness.application import PANEL
from slicer_harness.dialogs import dialogs
from slicer_harness.nodes import parent_transform
from slicer_harness.samples import UIDS, result_of, sample_ct

from LungNoduleSegLib.mrml import ct_from_volume, publish, volume_from_ct
from LungNoduleSegLib.mrml.publishing import POINTS_ROLE
from LungNoduleSegLib.mrml.review import NoduleReview

ONE, TWO, THREE = UIDS
KEY, CONTROL = QtCore.Qt.Key, QtCore.Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def made(scene, monkeypatch):
    """The sample's three nodules under an oblique transform, their review, and the section in an active window."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(PANEL.parent)])
    dialogs.clear()
    from LungNoduleSegPanel.nodules_section import NodulesSection

    volume = volume_from_ct(sample_ct()[0], scene, "Thorax")
    volume.SetAndObserveTransformNodeID(parent_transform(scene)[0].GetID())
    nodes = publish(result_of(ct_from_volume(volume), sample_ct()[1]), volume)
    review = NoduleReview(nodes.segmentation, volume)
    host = types.SimpleNamespace(
        logic=types.SimpleNamespace(lastOutcome=None),
        parameters=types.SimpleNamespace(segmentation=nodes.segmentation, inputVolume=volume),
        running=False,
        review=review,
        resourcePath=lambda name: str(PANEL.parent / "Resources" / name),
        say=lambda text: None,
    )
    section = NodulesSection(host)
    section.widget.show()
    section.widget.activateWindow()
    section.ui.nodulesTable.setFocus()
    QtWidgets.QApplication.processEvents()
    yield types.SimpleNamespace(
        section=section,
        table=section.ui.nodulesTable,
        review=review,
        host=host,
        segmentation=nodes.segmentation,
        points=nodes.segmentation.GetNodeReference(POINTS_ROLE),
        volume=volume,
    )
    section.cleanup()
    review.close()
    section.widget.setMRMLScene(None)
    section.widget.close()


def press(made, key, modifier=QtCore.Qt.KeyboardModifier.NoModifier):
    QtTest.QTest.keyClick(made.table, key, modifier)


def column(made, number):
    return [made.table.item(row, number).text() for row in range(made.table.rowCount)]


def highlighted(made):
    numbers = range(made.points.GetNumberOfControlPoints())
    return [made.points.GetNthControlPointDescription(n) for n in numbers if made.points.GetNthControlPointSelected(n)]


def test_the_rows_and_their_colours(made):
    assert column(made, 0) == ["Nodule 1", "Nodule 2", "Nodule 3"]
    assert column(made, 1) == ["right", "left", ""] and column(made, 9) == ["to review"] * 3
    for row, uid in enumerate(UIDS):
        drawn = made.table.item(row, 0).icon().pixmap(12, 12).toImage().pixelColor(5, 5)
        wanted = made.segmentation.GetSegmentation().GetSegment(uid).GetColor()
        assert drawn.getRgbF()[:3] == pytest.approx(wanted, abs=0.01)


def test_selecting_centres_the_views_and_highlights_the_point(made, scene):
    slices = []
    for name in ("Red", "Green"):
        node = scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        node.SetOrientation("Axial" if name == "Red" else "Coronal")
        slices.append(node)
    for uid in (TWO, THREE):
        made.section.go([uid])
        centre = made.review.row(uid).nodule.centroid_ras
        assert slices[0].GetSliceOffset() == pytest.approx(centre[2], abs=1e-3)
        assert slices[1].GetSliceOffset() == pytest.approx(centre[1], abs=1e-3)
        assert highlighted(made) == [uid]
    before = slices[0].GetSliceOffset()
    made.section.selectSegments([ONE])
    assert highlighted(made) == [ONE] and slices[0].GetSliceOffset() == before


def test_a_point_selects_its_row(made):
    made.section.selectSegments([ONE])
    index = [made.points.GetNthControlPointDescription(n) for n in range(3)].index(THREE)
    made.points.SetNthControlPointSelected(index, True)
    assert made.section.selectedSegments() == [THREE] and highlighted(made) == [THREE]


def test_judging_with_keys_and_undo(made):
    told = []
    made.section.onSelection.append(told.append)
    made.section.go([TWO])
    press(made, KEY.Key_R)
    assert made.review.row(TWO).status == "rejected" and column(made, 9) == ["to review", "rejected", "to review"]
    assert not made.segmentation.GetDisplayNode().GetSegmentVisibility(TWO)
    assert made.section.ui.undoButton.toolTip == "Undo: Reject (Ctrl+Z)"
    press(made, KEY.Key_A)
    press(made, KEY.Key_Z, CONTROL)
    press(made, KEY.Key_Z, CONTROL)
    assert made.review.row(TWO).status == "pending" and not made.section.ui.undoButton.enabled
    press(made, KEY.Key_Y, CONTROL)
    assert made.review.row(TWO).status == "rejected"
    assert made.section.selectedSegments() == [TWO] and highlighted(made) == [TWO] and told == [[TWO]]


def test_deleting_and_undo(made):
    made.section.selectSegments([ONE])
    made.section.table.sortBy(0, True)
    press(made, KEY.Key_Delete)
    assert column(made, 0) == ["Nodule 3", "Nodule 2"] and made.section.selectedSegments() == [TWO]
    press(made, KEY.Key_Z, CONTROL)
    assert column(made, 0) == ["Nodule 3", "Nodule 2", "Nodule 1"] and made.section.selectedSegments() == [TWO]
    assert highlighted(made) == [TWO]


def test_merging_and_undo(made):
    volumes = [float(text) for text in column(made, 5)]
    made.section.selectSegments([TWO, THREE])
    made.section.ui.mergeButton.click()
    assert made.section.selectedSegments() == [TWO] and column(made, 0) == ["Nodule 1", "Nodule 2"]
    assert float(column(made, 5)[1]) == pytest.approx(volumes[1] + volumes[2], abs=1)
    assert "guided by hand" in made.table.item(1, 0).toolTip()
    made.section.ui.undoButton.click()
    assert [float(text) for text in column(made, 5)] == volumes


def test_type_and_band(made):
    band = column(made, 8)
    made.section.selectSegments([TWO])
    made.section.actions.types["calcified"].trigger()
    assert column(made, 2)[1] == "calcified" and made.table.item(1, 2).font().italic()
    assert column(made, 8) == [band[0], "", band[2]]
    made.section.actions.types[""].trigger()
    assert column(made, 8) == band and not made.table.item(1, 2).font().italic()


def test_a_name_typed_into_its_cell_is_the_segments(made):
    made.section.selectSegments([TWO])
    press(made, KEY.Key_F2)
    editor = made.table.findChild(QtWidgets.QLineEdit)
    editor.selectAll()
    QtTest.QTest.keyClicks(editor, "Lingula")
    QtTest.QTest.keyClick(editor, KEY.Key_Return)
    QtWidgets.QApplication.processEvents()
    assert made.segmentation.GetSegmentation().GetSegment(TWO).GetName() == "Lingula"
    assert column(made, 0) == ["Nodule 1", "Lingula", "Nodule 3"]
    assert "Lingula" in [made.points.GetNthControlPointLabel(n) for n in range(3)]
    press(made, KEY.Key_Z, CONTROL)
    assert column(made, 0) == ["Nodule 1", "Nodule 2", "Nodule 3"]


def test_an_edited_outline_is_marked(made):
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(made.segmentation, ONE, made.volume).copy()
    volume = float(column(made, 5)[0])
    filled = np.argwhere(mask)
    mask[filled[0][0] : filled[0][0] + 2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, made.segmentation, ONE, made.volume)
    made.review.refresh()
    assert made.table.item(0, 0).font().italic() and float(column(made, 5)[0]) < volume
    assert not made.table.item(1, 0).font().italic()


def test_the_segment_editor_follows_and_leads(made, scene):
    editor = slicer.vtkMRMLSegmentEditorNode()
    editor.SetSingletonTag("SegmentEditor")
    editor = scene.AddNode(editor)
    editor.SetAndObserveSegmentationNode(made.segmentation)
    made.section.go([THREE])
    assert editor.GetSelectedSegmentID() == THREE
    editor.SetSelectedSegmentID(ONE)
    assert made.section.selectedSegments() == [ONE] and highlighted(made) == [ONE]
    made.review.accept([TWO])
    assert made.section.selectedSegments() == [ONE] and editor.GetSelectedSegmentID() == ONE


def test_surfaces(made):
    box = made.section.ui.threeDCheckBox
    assert box.checked  # a published segmentation has surfaces
    box.click()
    assert not box.checked
    box.click()
    assert box.checked and made.segmentation.GetDisplayNode().GetVisibility3D()


def test_a_training_pair_of_accepted_nodules(made, tmp_path):
    made.section.selectSegments([TWO])
    press(made, KEY.Key_A)
    dialogs.answer("folder", tmp_path)
    made.section.export.trainingPair.trigger()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2 and names[1] == names[0].removesuffix(".nrrd") + ".seg.nrrd"
    import SimpleITK

    labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / names[1])))
    np.testing.assert_array_equal(labels > 0, sample_ct()[1] == 2)


def test_a_closed_scene(made, scene):
    made.section.go([TWO])
    made.host.review, made.host.parameters = None, None
    made.section.setParameterNode(None)
    scene.Clear(False)
    assert made.table.rowCount == 0 and made.section.selectedSegments() == []
