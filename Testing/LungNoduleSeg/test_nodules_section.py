"""The section "Nodules" on a fake review: selection in table, views and Segment Editor, actions and keys, export."""

from __future__ import annotations

import csv
import sys
import types
from pathlib import Path

import pytest
import slicer
from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from slicer_harness import pythonqt, ui_lint
from slicer_harness.application import PANEL
from slicer_harness.ctk_widgets import ctkMessageBox
from slicer_harness.dialogs import dialogs

from LungNoduleSegLib.mrml.publishing import POINTS_ROLE
from Testing.LungNoduleSeg.fake_review import FakeReview, nodule, row

FOLDER = PANEL.parent / "LungNoduleSegPanel"
UI = PANEL.parent / "Resources" / "UI" / "Nodules.ui"
KEY, CONTROL, SHIFT = (
    QtCore.Qt.Key,
    QtCore.Qt.KeyboardModifier.ControlModifier,
    QtCore.Qt.KeyboardModifier.ShiftModifier,
)
FIVE = [
    row(1, status="accepted"),
    row(2),
    row(3, status="rejected"),
    row(4, nodule(4, attenuation="ground-glass")),
    row(5, status="accepted"),
]


@pytest.fixture(autouse=True)
def panel_on_path(application, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(PANEL.parent)])
    dialogs.clear()


@pytest.fixture
def views(monkeypatch):
    """What the views were asked to show."""
    asked = types.SimpleNamespace(jumps=[], highlights=[])

    def highlight_point(points, uid):
        asked.highlights.append(uid)
        for number in range(points.GetNumberOfControlPoints()):
            points.SetNthControlPointSelected(number, points.GetNthControlPointDescription(number) == uid)

    module = types.ModuleType("LungNoduleSegLib.mrml.views")
    module.jump_to = lambda _scene, ras: asked.jumps.append(tuple(ras))
    module.highlight_point = highlight_point
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked


def fill_points(points, rows):
    """As the library does after every change: all points are made anew."""
    points.RemoveAllControlPoints()
    for one in rows:
        number = points.AddControlPointWorld(one.nodule.centroid_ras, one.name)
        points.SetNthControlPointDescription(number, one.nodule.uid)


@pytest.fixture
def segmentation(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Thorax: nodules")
    node.CreateDefaultDisplayNodes()
    for one in FIVE:
        node.GetSegmentation().AddEmptySegment(one.segment_id, one.name)
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    points.CreateDefaultDisplayNodes()
    node.SetNodeReferenceID(POINTS_ROLE, points.GetID())
    fill_points(points, FIVE)
    return node


@pytest.fixture
def host(scene, segmentation):
    said = []
    return types.SimpleNamespace(
        logic=types.SimpleNamespace(lastOutcome=None),
        parameters=types.SimpleNamespace(segmentation=segmentation, inputVolume=None),
        running=False,
        review=FakeReview(FIVE),
        resourcePath=lambda name: str(PANEL.parent / "Resources" / name),
        said=said,
        say=said.append,
    )


@pytest.fixture
def section(host, views):
    """The section in an active window, its table with the keyboard's focus."""
    from LungNoduleSegPanel.nodules_section import NodulesSection

    made = NodulesSection(host)
    made.told = []
    made.onSelection.append(made.told.append)
    made.widget.show()
    made.widget.activateWindow()
    made.ui.nodulesTable.setFocus()
    QtWidgets.QApplication.processEvents()
    yield made
    made.cleanup()
    made.widget.setMRMLScene(None)
    made.widget.close()


@pytest.fixture
def points(segmentation):
    return segmentation.GetNodeReference(POINTS_ROLE)


def add_editor(scene, segmentation, tag="SegmentEditor"):
    editor = slicer.vtkMRMLSegmentEditorNode()
    editor.SetSingletonTag(tag)
    editor = scene.AddNode(editor)
    editor.SetAndObserveSegmentationNode(segmentation)
    return editor


def press(section, key, modifier=QtCore.Qt.KeyboardModifier.NoModifier, widget=None):
    QtTest.QTest.keyClick(widget or section.ui.nodulesTable, key, modifier)


def click_row(section, segment_id, modifier=QtCore.Qt.KeyboardModifier.NoModifier):
    table = section.ui.nodulesTable
    place = table.visualItemRect(table.item(section.table.ids.index(segment_id), 0)).center()
    QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.MouseButton.LeftButton, modifier, place)


def test_the_files_use_what_slicer_has():
    for name in ("section", "actions", "export", "table"):
        assert ui_lint.lint(FOLDER / f"nodules_{name}.py", UI) == []


# What is said


def test_the_line_above_the_table(section, host):
    label = section.ui.summaryLabel
    assert label.text == "5 nodules: 2 accepted, 1 rejected, 2 to review"
    host.review.become([row(1)])
    assert label.text == "1 nodule: 0 accepted, 0 rejected, 1 to review"
    host.review.become([])
    assert label.text == "There is no nodule in this segmentation."
    host.review = None
    section.update()
    assert label.text.startswith("These nodules belong to another CT.")


def test_nothing_found_is_said_of_the_ct_that_was_searched(section, host):
    host.review = host.parameters.segmentation = None
    section.update()
    assert section.ui.summaryLabel.text.startswith("No nodules yet")
    first, second = object(), object()
    host.parameters.inputVolume = first
    host.logic.lastOutcome = types.SimpleNamespace(nodes=None, message="No nodule found. The best was .2.")
    section.update()
    assert section.ui.summaryLabel.text == "No nodule found. The best was .2."
    host.parameters.inputVolume = second
    section.update()
    assert section.ui.summaryLabel.text.startswith("No nodules yet")
    host.parameters.inputVolume = first
    section.update()
    assert section.ui.summaryLabel.text == "No nodule found. The best was .2."


def test_without_parameters_nothing_can_be_done(section, host):
    host.review, host.parameters = None, None
    section.setParameterNode(None)
    assert section.selectedSegments() == [] and section.ui.nodulesTable.rowCount == 0
    buttons = section.widget.findChildren(QtWidgets.QToolButton)
    assert len(buttons) == 10 and not any(button.enabled for button in buttons)


# Selection


def test_a_row_takes_views_points_and_segment_editor_along(section, scene, segmentation, views, points):
    editor = add_editor(scene, segmentation)
    click_row(section, "s4")
    assert views.jumps == [(4.0, 2.0, 3.0)] and views.highlights[-1] == "2.25.4"
    assert [points.GetNthControlPointSelected(n) for n in range(5)] == [False, False, False, True, False]
    assert editor.GetSelectedSegmentID() == "s4"
    assert section.told == [["s4"]] and section.selectedSegments() == ["s4"]


def test_arrows_move_and_jump(section, views):
    click_row(section, "s1")
    press(section, KEY.Key_Down)
    press(section, KEY.Key_Down)
    press(section, KEY.Key_Up)
    assert views.jumps == [(1.0, 2.0, 3.0), (2.0, 2.0, 3.0), (3.0, 2.0, 3.0), (2.0, 2.0, 3.0)]
    assert section.told == [["s1"], ["s2"], ["s3"], ["s2"]]


def test_several_rows_jump_to_the_last_clicked(section, views):
    click_row(section, "s2")
    click_row(section, "s4", CONTROL)
    assert section.selectedSegments() == ["s2", "s4"] and views.jumps[-1] == (4.0, 2.0, 3.0)


def test_the_segment_editor_selects_the_row_without_a_jump(section, scene, segmentation, views):
    editor = add_editor(scene, segmentation)
    editor.SetSelectedSegmentID("s5")
    assert section.selectedSegments() == ["s5"] and section.told == [["s5"]]
    editor.SetActiveEffectName("Paint")  # some other change of the node
    section.selectSegments(["s1", "s2"])
    editor.SetActiveEffectName("Erase")
    assert section.selectedSegments() == ["s1", "s2"] and editor.GetSelectedSegmentID() == "s1"
    editor.SetSelectedSegmentID("s2")
    assert section.selectedSegments() == ["s2"]
    assert views.jumps == [] and views.highlights[-1] == "2.25.2"
    assert section.told == [["s5"], ["s1", "s2"], ["s2"]]


def test_an_editor_of_another_segmentation_is_left_alone(section, scene):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    other.GetSegmentation().AddEmptySegment("s2", "Same ID")
    editor = add_editor(scene, other)
    editor.SetSelectedSegmentID("s2")
    assert section.selectedSegments() == []
    click_row(section, "s4")
    assert editor.GetSelectedSegmentID() == "s2"


def test_a_segment_that_is_not_listed_is_no_choice(section, scene, segmentation):
    segmentation.GetSegmentation().AddEmptySegment("lung", "Lung")
    editor = add_editor(scene, segmentation)
    click_row(section, "s2")
    editor.SetSelectedSegmentID("lung")
    assert section.selectedSegments() == ["s2"] and editor.GetSelectedSegmentID() == "lung"
    section.update()
    assert editor.GetSelectedSegmentID() == "lung"


def test_a_selected_point_selects_the_row(section, points, views):
    click_row(section, "s1")
    points.SetNthControlPointSelected(3, True)
    assert section.selectedSegments() == ["s4"] and views.jumps == [(1.0, 2.0, 3.0)]
    assert [points.GetNthControlPointSelected(n) for n in range(5)] == [False, False, False, True, False]


def test_a_clicked_point_selects_the_row(section, points):
    display = points.GetDisplayNode()
    display.SetActiveControlPoint(1)
    display.InvokeEvent(display.JumpToPointEvent)
    assert section.selectedSegments() == ["s2"]


def test_points_made_anew_are_no_choice(section, host, points, views):
    click_row(section, "s3")
    section.told.clear()
    changed = [*FIVE[:4], row(6)]
    fill_points(points, changed)
    host.review.become(changed)
    assert section.selectedSegments() == ["s3"] and section.told == []
    assert [points.GetNthControlPointSelected(n) for n in range(5)] == [False, False, True, False, False]
    assert len(views.jumps) == 1


def test_no_selection_is_told_when_the_segment_is_gone(section, host):
    click_row(section, "s2")
    host.review.become(one for one in FIVE if one.segment_id != "s2")
    assert section.told == [["s2"], []] and section.selectedSegments() == []


def test_programs_select_without_a_jump(section, views):
    section.selectSegments(["s5", "s2", "gone"])
    assert section.selectedSegments() == ["s2", "s5"] and views.jumps == []
    assert section.told == [["s2", "s5"]] and views.highlights[-1] == "2.25.5"
    section.selectSegments([])
    assert section.selectedSegments() == [] and views.highlights[-1] == ""


def test_another_segmentation(section, host, scene, views):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    old = host.review
    click_row(section, "s2")
    host.parameters.segmentation, host.review = other, FakeReview([row(8), row(9)])
    section.update()
    assert section.table.ids == ["s8", "s9"] and section.told[-1] == []
    assert old.on_change == [] and host.review.on_change == [section.update]
    host.review.become([row(8)])
    assert section.table.ids == ["s8"]


def test_after_cleanup_nothing_is_heard(section, host, scene, segmentation, points):
    editor = add_editor(scene, segmentation)
    section.cleanup()
    assert host.review.on_change == []
    editor.SetSelectedSegmentID("s5")
    points.SetNthControlPointSelected(1, False)
    points.SetNthControlPointSelected(1, True)
    assert section.told == []


# Actions


@pytest.mark.parametrize(
    ("selected", "key", "modifier", "calls"),
    [
        (["s2"], KEY.Key_A, None, [("accept", "s2")]),
        (["s2", "s4"], KEY.Key_A, None, [("accept", "s2", "s4")]),
        (["s2", "s4"], KEY.Key_R, None, [("reject", "s2", "s4")]),
        (["s2", "s4"], KEY.Key_M, None, [("merge", "s2", "s4")]),
        (["s2"], KEY.Key_M, None, []),
        (["s2"], KEY.Key_Delete, None, [("delete", "s2")]),
        (["s2"], KEY.Key_Backspace, None, [("delete", "s2")]),
        (["s1", "s5"], KEY.Key_A, None, []),  # accepted already
        (["s3"], KEY.Key_R, None, []),
        ([], KEY.Key_A, None, []),
        ([], KEY.Key_Z, CONTROL, [("undo",)]),
        ([], KEY.Key_Y, CONTROL, [("redo",)]),
        ([], KEY.Key_Z, CONTROL | SHIFT, [("redo",)]),
    ],
)
def test_keys_are_one_call_each(section, host, selected, key, modifier, calls):
    host.review.can_undo = host.review.can_redo = True
    section.selectSegments(selected)
    press(section, key, modifier or QtCore.Qt.KeyboardModifier.NoModifier)
    assert host.review.calls == calls


def test_keys_work_only_in_the_table(section, host):
    section.selectSegments(["s2"])
    box = section.ui.guidelineComboBox
    box.setFocus()
    for key in (KEY.Key_A, KEY.Key_R, KEY.Key_Delete):
        press(section, key, widget=box)
    assert host.review.calls == []


@pytest.mark.parametrize(
    ("button", "call"),
    [
        ("acceptButton", ("accept", "s2", "s4")),
        ("rejectButton", ("reject", "s2", "s4")),
        ("mergeButton", ("merge", "s2", "s4")),
        ("deleteButton", ("delete", "s2", "s4")),
    ],
)
def test_buttons_are_one_call_each(section, host, button, call):
    section.selectSegments(["s2", "s4"])
    getattr(section.ui, button).click()
    assert host.review.calls == [call]


def test_the_context_menu_has_every_action(section):
    texts = [action.text for action in section.ui.nodulesTable.actions() if not action.isSeparator()]
    assert texts == [
        "Accept", "Reject", "To review", "Next to review", "Rename", "Type", "Merge", "Delete", "Undo", "Redo",
    ]  # fmt: skip
    policy = section.ui.nodulesTable.contextMenuPolicy
    assert policy == QtCore.Qt.ContextMenuPolicy.ActionsContextMenu


def test_back_to_review(section, host):
    section.selectSegments(["s1", "s3"])
    section.actions.reset.action.trigger()
    assert host.review.calls == [("reset", "s1", "s3")]
    assert section.ui.summaryLabel.text == "5 nodules: 1 accepted, 0 rejected, 4 to review"
    assert not section.actions.reset.action.isEnabled()


def test_greyed_buttons_say_why(section, host):
    def tips():
        names = ("accept", "reject", "rename", "type", "merge", "delete", "undo", "redo", "next")
        buttons = {name: getattr(section.ui, name + "Button") for name in names}
        return {name: button.toolTip for name, button in buttons.items() if not button.enabled}

    first = "Select a nodule in the table first."
    assert tips() == {
        "accept": first,
        "reject": first,
        "rename": "Select one nodule in the table first.",
        "type": first,
        "merge": "Select two or more nodules in the table first.",
        "delete": first,
        "undo": "Nothing to undo.",
        "redo": "Nothing to redo.",
    }
    section.selectSegments(["s1"])
    assert set(tips()) == {"accept", "merge", "undo", "redo"} and tips()["accept"] == "Accepted already."
    section.selectSegments(["s1", "s2"])
    assert set(tips()) == {"rename", "undo", "redo"}
    host.review.become([row(1, status="accepted")])
    assert tips()["next"] == "No nodule is left to review."


def test_undo_and_redo_name_the_step(section, host):
    host.review.can_undo, host.review.undo_text = True, "Reject"
    section.update()
    assert section.ui.undoButton.enabled and section.ui.undoButton.toolTip == "Undo: Reject (Ctrl+Z)"
    assert section.ui.redoButton.toolTip == "Nothing to redo."
    host.review.can_redo, host.review.redo_text = True, "Delete"
    section.update()
    assert section.ui.redoButton.toolTip == "Redo: Delete (Ctrl+Shift+Z)"
    section.ui.redoButton.click()
    assert host.review.calls == [("redo",)]


def test_next_to_review_jumps(section, host, views):
    press(section, KEY.Key_N)
    press(section, KEY.Key_A)
    section.ui.nextButton.click()
    assert views.jumps == [(2.0, 2.0, 3.0), (4.0, 2.0, 3.0)] and section.selectedSegments() == ["s4"]
    press(section, KEY.Key_R)
    assert not section.ui.nextButton.enabled


def test_after_deleting_the_keyboard_goes_on(section, views):
    section.selectSegments(["s2", "s3"])
    press(section, KEY.Key_Delete)
    assert section.selectedSegments() == ["s4"] and views.jumps == [(4.0, 2.0, 3.0)]
    press(section, KEY.Key_Delete)
    press(section, KEY.Key_Delete)
    assert section.selectedSegments() == ["s1"]
    press(section, KEY.Key_Delete)
    assert section.selectedSegments() == [] and section.table.ids == []


def test_rejecting_stays_unless_rejected_ones_are_not_listed(section, views):
    section.selectSegments(["s2"])
    press(section, KEY.Key_R)
    assert section.selectedSegments() == ["s2"] and views.jumps == []
    section.ui.rejectedCheckBox.checked = False
    assert section.table.ids == ["s1", "s4", "s5"] and section.selectedSegments() == []
    section.selectSegments(["s4"])
    press(section, KEY.Key_R)
    assert section.selectedSegments() == ["s5"] and views.jumps == [(5.0, 2.0, 3.0)]
    assert section.ui.summaryLabel.text == "5 nodules: 2 accepted, 3 rejected, 0 to review"


def test_the_merged_one_is_selected(section):
    section.selectSegments(["s2", "s4"])
    section.ui.mergeButton.click()
    assert section.selectedSegments() == ["s2"] and section.table.ids == ["s1", "s2", "s3", "s5"]


def test_types(section, host):
    menu = section.ui.typeButton.menu()
    entries = {action.text: action for action in menu.actions() if not action.isSeparator()}
    assert list(entries) == ["solid", "part-solid", "ground-glass", "calcified", "As measured"]
    section.selectSegments(["s2", "s4"])
    assert [text for text, action in entries.items() if action.isChecked()] == ["As measured"]
    entries["part-solid"].trigger()
    assert host.review.calls == [("set_type", "s2", "part-solid"), ("set_type", "s4", "part-solid")]
    assert [text for text, action in entries.items() if action.isChecked()] == ["part-solid"]
    section.selectSegments(["s2", "s1"])
    assert not any(action.isChecked() for action in entries.values())
    section.selectSegments(["s2"])
    entries["As measured"].trigger()
    assert host.review.calls[-1] == ("set_type", "s2", "")


def type_name(section, text):
    editor = section.ui.nodulesTable.findChild(QtWidgets.QLineEdit)
    editor.selectAll()
    QtTest.QTest.keyClicks(editor, text)
    QtTest.QTest.keyClick(editor, KEY.Key_Return)
    QtWidgets.QApplication.processEvents()


def test_renaming_with_f2(section, host):
    section.table.sortBy(0, True)
    section.selectSegments(["s2"])
    press(section, KEY.Key_F2)
    type_name(section, "Apex A R")  # its letters are no shortcuts there
    assert host.review.calls == [("rename", "s2", "Apex A R")]
    assert section.selectedSegments() == ["s2"] and section.table.ids == ["s5", "s4", "s3", "s1", "s2"]


def test_errors_are_shown_and_the_table_shows_what_is(section, host, monkeypatch):
    monkeypatch.setattr(slicer.app, "_testing", False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda **_options: section.widget)  # without one, nothing is shown
    section.selectSegments(["s2"])
    section.ui.renameButton.click()
    type_name(section, "refused")
    assert "could not be renamed" in ctkMessageBox.shown[-1][1] and "this name is refused" in ctkMessageBox.shown[-1][1]
    assert section.ui.nodulesTable.item(1, 0).text() == "Nodule 2"
    assert [str(error) for _, error in pythonqt.slot_errors] == ["this name is refused."]
    pythonqt.slot_errors.clear()


# What is shown


def test_the_guideline_of_the_bands(section, host):
    box = section.ui.guidelineComboBox
    assert host.review.guideline == "fleischner-2017" and box.currentText == "Fleischner 2017"
    box.setCurrentIndex(1)
    assert host.review.guideline == "lung-rads-2022"
    band = section.ui.nodulesTable.item(0, 8)
    assert band.text() == "4A" and band.toolTip().startswith("Lung-RADS v2022: ")
    host.review = FakeReview([row(8)])
    section.update()
    assert host.review.guideline == "lung-rads-2022"


def test_3d(section, host, segmentation, monkeypatch):
    shown = []
    module = types.ModuleType("LungNoduleSegLib.mrml.surfaces")
    module.show_3d = lambda node, on: shown.append((node, on))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    box = section.ui.threeDCheckBox
    assert box.enabled and not box.checked
    box.click()
    assert shown == [(segmentation, True)]
    assert not box.checked  # no surface was made: the box says so


# Export


@pytest.fixture
def settings():
    from LungNoduleSegPanel import settings

    settings.setLastFolder("export", "")
    yield settings
    settings.setLastFolder("export", "")


def test_csv(section, host, settings, tmp_path):
    dialogs.answer("save file", tmp_path / "list")
    section.export.csv.trigger()
    with (tmp_path / "list.csv").open(encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    assert [(record["name"], record["status"]) for record in records] == [(one.name, one.status) for one in FIVE]
    assert settings.lastFolder("export") == str(tmp_path)
    assert host.said == [f"The table was saved as {tmp_path / 'list.csv'}."]


def test_cancelling_the_dialogs_writes_nothing(section, host, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section.export.csv.trigger()
    section.export.trainingPair.trigger()
    assert [asked.kind for asked in dialogs.asked] == ["save file", "folder"]
    assert list(tmp_path.iterdir()) == [] and host.said == [] and settings.lastFolder("export") == ""


def test_a_file_that_the_dialog_did_not_ask_about_is_kept(section, settings, tmp_path, monkeypatch):
    (tmp_path / "list.csv").write_text("mine", encoding="utf-8")
    monkeypatch.setattr(slicer.app, "_testing", False)
    dialogs.answer("save file", tmp_path / "list")
    dialogs.answer("message", "Cancel")
    section.export.csv.trigger()
    assert (tmp_path / "list.csv").read_text(encoding="utf-8") == "mine"
    dialogs.answer("save file", tmp_path / "list")
    dialogs.answer("message", "OK")
    section.export.csv.trigger()
    assert (tmp_path / "list.csv").read_text(encoding="utf-8").startswith("name,")


def test_copying(section, host):
    section.export.copy.trigger()
    lines = slicer.app.clipboard().text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["name", *(one.name for one in FIVE)]
    assert host.said == ["The table was copied."]


def test_a_training_pair_needs_an_accepted_nodule(section, host, settings, tmp_path, monkeypatch):
    from LungNoduleSegLib.mrml import export

    def pair(folder, review, **_options):
        return Path(folder) / "ct.nrrd", Path(folder) / f"{len(review.rows)}.seg.nrrd"

    monkeypatch.setattr(export, "export_training_pair", pair, raising=False)
    dialogs.answer("folder", tmp_path)
    section.export.trainingPair.trigger()
    assert host.said == [f"Saved as a training pair: {tmp_path / 'ct.nrrd'} and {tmp_path / '5.seg.nrrd'}."]
    assert settings.lastFolder("export") == str(tmp_path)
    host.review.become([row(1), row(3, status="rejected")])
    assert not section.export.trainingPair.isEnabled() and "Accept a nodule" in section.export.trainingPair.toolTip
    assert section.ui.exportButton.enabled
    host.review.become([])
    assert not section.ui.exportButton.enabled and section.ui.exportButton.toolTip == "There is no nodule to export."


# What it looks like


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_420_pixels_and_can_be_read(section, application, dark):
    before = application.palette()
    if dark:
        palette = QtGui.QPalette(QtGui.QColor(50, 50, 50))
        application.setPalette(palette)
    try:
        section.widget.resize(420, section.widget.minimumSizeHint().height())
        QtWidgets.QApplication.processEvents()
        assert section.widget.minimumSizeHint().width() <= 420
        for button in section.widget.findChildren(QtWidgets.QToolButton):
            assert button.property("width") >= button.fontMetrics().horizontalAdvance(button.text)
        picture = section.widget.grab().toImage()
    finally:
        application.setPalette(before)
    colors = {picture.pixel(x, y) for x in range(0, 420, 2) for y in range(0, picture.height(), 2)}
    assert len(colors) > 20
