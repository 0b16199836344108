"""The harness itself: what it must notice, it notices, and what it offers behaves as the application's."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import slicer
import vtk
from PySide6 import QtCore, QtTest, QtWidgets
from slicer_harness import ctk_widgets, installation, pythonqt
from slicer_harness.application import REPOSITORY, load_module, open_module
from slicer_harness.dialogs import dialogs
from slicer_harness.messages import message_log
from slicer_harness.nodes import user_segment
from slicer_harness.segment_editor import SegmentEditor
from slicer_harness.window import MainWindow, click_in_slice, cut_off, picture_of_panel, picture_of_window, why_no_views

needs_views = pytest.mark.skipif(bool(why_no_views()), reason=why_no_views() or "views can be rendered")


@pytest.fixture
def button(application):
    return QtWidgets.QPushButton("Press")


@pytest.fixture
def volume(scene):
    """10 x 40 x 50 voxels of 1 mm."""
    return slicer.util.addVolumeFromArray(np.zeros((10, 40, 50), np.int16), name="CT")


# PythonQt


def test_vtk_and_mrml_messages_are_collected(scene):
    reader = vtk.vtkXMLPolyDataReader()
    reader.SetFileName("/nowhere/at/all.vtp")
    reader.Update()
    slicer.vtkMRMLScene().AddNode(None)
    scene.GetNodeByID("vtkMRMLTableNode99")
    messages = message_log().take()
    assert messages and all(message.startswith(("ErrorEvent", "WarningEvent")) for message in messages)
    assert any("all.vtp" in message for message in messages)
    assert message_log().take() == []


def test_properties_are_attributes(button):
    assert button.enabled is True and button.text == "Press"
    button.enabled = False
    button.objectName = "press"
    assert not button.isEnabled() and button.name == "press" and button.className() == "QPushButton"
    with pytest.raises(AttributeError, match="not writable"):
        button.x = 3


def test_unknown_attributes_are_refused(button):
    with pytest.raises(AttributeError, match="takes no new attributes"):
        button.helpText = "?"
    with pytest.raises(AttributeError, match="no attribute named 'helpText'"):
        _ = button.helpText


def test_signals_drop_surplus_arguments_and_refuse_unknown_names(button):
    seen = []

    def without() -> None:
        seen.append("without")

    button.connect("clicked(bool)", without)
    button.connect("clicked(bool)", lambda checked: seen.append(checked))
    button.click()
    assert seen == ["without", False]
    button.disconnect("clicked(bool)", without)
    button.click()
    assert seen == ["without", False, False]
    with pytest.raises(RuntimeError, match=r"has no signal 'pressedLong\(\)'"):
        button.connect("pressedLong()", without)


def test_errors_in_slots_are_kept(button, capsys):
    button.connect("clicked(bool)", lambda: 1 / 0)
    button.click()
    assert [type(error) for _, error in pythonqt.slot_errors] == [ZeroDivisionError]
    assert "ZeroDivisionError" in capsys.readouterr().err
    pythonqt.slot_errors.clear()


# Dialogs


def test_file_dialogs_return_the_path_alone(application, tmp_path):
    import qt

    assert qt.QFileDialog.getSaveFileName(None, "Save", "", "CSV (*.csv)") == ""
    dialogs.answer("save file", tmp_path / "a.csv")
    dialogs.answer("folder", "/data")
    assert qt.QFileDialog.getSaveFileName(None, "Save", "", "CSV (*.csv)") == str(tmp_path / "a.csv")
    assert qt.QFileDialog.getExistingDirectory(None, "Choose") == "/data"
    assert qt.QInputDialog.getText(None, "Rename", "Name:") == ""
    assert [(asked.kind, asked.title) for asked in dialogs.asked] == [
        ("save file", "Save"),
        ("save file", "Save"),
        ("folder", "Choose"),
        ("text", "Rename"),
    ]
    with pytest.raises(ValueError, match="no kind of dialog"):
        dialogs.answer("open a file", "x")


def test_messages_get_the_answer_of_the_test(application, monkeypatch):
    import qt

    monkeypatch.setattr(slicer.app, "_testing", False)
    dialogs.answer("message", "Cancel", "OK")
    assert not slicer.util.confirmOkCancelDisplay("Delete?")
    assert slicer.util.confirmOkCancelDisplay("Delete?")
    assert slicer.util.confirmYesNoDisplay("Really?") is False  # Ok is no Yes
    box = qt.QMessageBox()
    keep = box.addButton("Keep", qt.QMessageBox.AcceptRole)
    dialogs.answer("message", "Keep")
    box.exec_()
    assert box.clickedButton() is keep
    dialogs.answer("message", "No such button")
    with pytest.raises(LookupError, match="no button 'No such button'"):
        box.exec_()
    assert [asked.text for asked in dialogs.asked][:3] == ["Delete?", "Delete?", "Really?"]


def test_without_a_main_window_errors_are_only_logged(application, monkeypatch, caplog):
    monkeypatch.setattr(slicer.app, "_testing", False)
    slicer.util.errorDisplay("It broke.")
    assert dialogs.asked == [] and "It broke." in caplog.text
    with pytest.raises(RuntimeError, match="main window"):
        slicer.util.selectModule("Markups")


def test_menus_and_dialogs_do_not_wait(application):
    import qt

    seen = []
    menu = qt.QMenu()
    menu.addAction("&Delete").connect("triggered(bool)", lambda: seen.append("deleted"))
    assert menu.exec_(qt.QCursor.pos()) is None
    dialogs.answer("menu", "Delete")
    menu.exec_(qt.QCursor.pos())
    assert seen == ["deleted"] and dialogs.asked[-1].text == "Delete"
    dialog = qt.QDialog()
    assert dialog.exec_() == qt.QDialog.Rejected
    dialogs.answer("dialog", lambda shown: shown.accept())
    assert dialog.exec_() == qt.QDialog.Accepted
    qt.QDesktopServices.openUrl(qt.QUrl("https://www.slicer.org"))
    assert dialogs.urls == ["https://www.slicer.org"]


# Widgets


def test_a_widget_without_stand_in_does_not_load(scene, tmp_path: Path):
    ui = tmp_path / "Strange.ui"
    ui.write_text(
        '<ui version="4.0"><class>S</class><widget class="qMRMLWidget" name="S"><layout class="QVBoxLayout" name="l">'
        '<item><widget class="qMRMLUnheardOfWidget" name="u"/></item></layout></widget></ui>'
    )
    with pytest.raises(LookupError, match="no stand-in for qMRMLUnheardOfWidget"):
        slicer.util.loadUI(str(ui))


def test_enums_of_ctk_in_a_ui(scene, tmp_path):
    ui = tmp_path / "Path.ui"
    ui.write_text(
        '<ui version="4.0"><class>S</class><widget class="qMRMLWidget" name="S"><layout class="QVBoxLayout" name="l">'
        '<item><widget class="ctkPathLineEdit" name="path"><property name="filters"><set>ctkPathLineEdit::Executable|'
        "ctkPathLineEdit::Files|ctkPathLineEdit::NoDot</set></property></widget></item></layout></widget></ui>"
    )
    root = slicer.util.loadUI(str(ui))
    path = slicer.util.childWidgetVariables(root).path
    edit = ctk_widgets.ctkPathLineEdit
    assert path.filters == edit.Executable | edit.Files | edit.NoDot


def test_a_collapsed_button_hides_its_children_and_keeps_what_they_want(application):
    outside = QtWidgets.QWidget()
    column = QtWidgets.QVBoxLayout(outside)
    header = ctk_widgets.ctkCollapsibleButton("Section")
    column.addWidget(header)
    inside = QtWidgets.QVBoxLayout(header)
    shown, hidden = QtWidgets.QLabel("shown"), QtWidgets.QLabel("hidden")
    inside.addWidget(shown)
    inside.addWidget(hidden)
    hidden.visible = False
    outside.show()
    collapsed = []
    header.connect("contentsCollapsed(bool)", collapsed.append)
    tall = header.sizeHint().height()
    header.collapsed = True
    shown.visible = True  # wanted, but only seen once the button is open
    assert not shown.visible and header.sizeHint().height() < tall
    header.collapsed = False
    assert shown.visible and not hidden.visible and collapsed == [True, False]


def test_a_path_is_browsed_for_and_remembered(application, tmp_path):
    edit = ctk_widgets.ctkPathLineEdit()
    edit.filters = edit.Files
    edit.settingKey = "Interpreter"
    seen = []
    edit.connect("currentPathChanged(QString)", seen.append)
    dialogs.answer("open file", "/usr/bin/python3")
    edit.browse()
    edit.addCurrentPathToHistory()
    assert edit.currentPath == "/usr/bin/python3" and "/usr/bin/python3" in seen
    other = ctk_widgets.ctkPathLineEdit()
    other.settingKey = "Interpreter"
    assert other.currentPath == "/usr/bin/python3"
    with pytest.raises(AttributeError):
        edit.setFilters(edit.Dirs)  # a C++ method that Python cannot call


def test_node_selector_creates_renames_and_filters(scene):
    selector = slicer.qMRMLNodeComboBox()
    assert not selector.enabled
    selector.nodeTypes = ["vtkMRMLMarkupsROINode"]
    selector.noneEnabled = selector.renameEnabled = True
    selector.baseName = "Search box"
    selector.setMRMLScene(scene)
    by_user, names = [], []
    selector.connect("nodeAddedByUser(vtkMRMLNode*)", by_user.append)
    selector.connect("currentNodeRenamed(QString)", names.append)
    assert selector.enabled and selector.currentNode() is None
    box = selector.findChild(QtWidgets.QComboBox)
    box.setCurrentIndex(box.findText("Create new ROI"))
    node = selector.currentNode()
    assert node.GetClassName() == "vtkMRMLMarkupsROINode" and node.GetName() == "Search box" and by_user == [node]
    dialogs.answer("text", "Upper lobe")
    box.setCurrentIndex(box.findText("Rename current ROI"))
    assert node.GetName() == "Upper lobe" == box.currentText and names == ["Upper lobe"]
    scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert selector.nodeCount() == 1
    changes = []
    selector.connect("currentNodeIDChanged(QString)", changes.append)
    scene.RemoveNode(node)
    assert selector.currentNode() is None and changes == [""] and box.findText("Upper lobe") == -1


# Parameter nodes


@pytest.fixture
def parameters(scene):
    from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

    types_ = {
        "volume": slicer.vtkMRMLScalarVolumeNode,
        "diameter": Annotated[float, WithinRange(0, 30)],
        "threads": Annotated[int, WithinRange(0, 8)],
        "device": Annotated[str, Choice(["auto", "cpu"])],
        "on": bool,
    }
    defaults = {"diameter": 3.0, "threads": 2, "device": "cpu", "on": True}
    wrapped = parameterNodeWrapper(type("Wrapped", (), {"__annotations__": types_, **defaults}))
    node = ScriptedLoadableModuleLogic().getParameterNode()
    node.UnsetAllParameters()
    return wrapped(node)


def test_parameters_are_checked_and_kept_in_the_node(parameters, scene):
    assert parameters.parameterNode.GetParameter("diameter") == "3.0"  # defaults are written at once
    with pytest.raises(ValueError, match="within"):
        parameters.diameter = 99.0
    with pytest.raises(ValueError, match="must be a vtkMRMLScalarVolumeNode"):
        parameters.volume = scene.AddNewNodeByClass("vtkMRMLTableNode")
    with pytest.raises(AttributeError, match="no parameter 'diametre'"):
        parameters.diametre = 3.0
    with pytest.raises(AttributeError):
        parameters.GetParameter("diameter")  # a wrapper is not the node
    parameters.diameter = 5.5
    assert parameters.parameterNode.GetParameter("diameter") == "5.5"


def test_widgets_are_bound_by_name_and_exact_class(parameters, volume):
    import ctk
    import qt

    names = {
        "volume": slicer.qMRMLNodeComboBox(),
        "diameter": ctk.ctkSliderWidget(),
        "threads": qt.QSpinBox(),
        "device": qt.QComboBox(),
        "on": qt.QCheckBox(),
    }
    names["volume"].setMRMLScene(slicer.mrmlScene)
    tag = parameters.connectParametersToGui(names)
    assert (names["diameter"].maximum, names["threads"].value, names["device"].currentText) == (30.0, 2, "cpu")
    assert names["volume"].nodeTypes == ["vtkMRMLScalarVolumeNode"] and names["on"].checked
    names["volume"].setCurrentNode(volume)
    names["threads"].value = 5
    names["device"].setCurrentIndex(0)
    names["on"].checked = False
    assert (parameters.volume, parameters.threads, parameters.device, parameters.on) == (volume, 5, "auto", False)
    parameters.disconnectGui(tag)
    names["threads"].value = 7
    parameters.diameter = 1.0
    assert parameters.threads == 5 and names["diameter"].value == 3.0
    with pytest.raises(ValueError, match="Cannot find a param with the given name: device2"):
        parameters.connectParametersToGui({"device2": names["device"]})
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        parameters.connectParametersToGui({"device": ctk.ctkComboBox()})
    with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
        parameters.connectParametersToGui({"on": ctk.ctkCheckBox()})


def test_connect_gui_gives_no_tag(parameters):
    """As in the application: what it binds stays bound."""
    import qt

    spin = qt.QSpinBox()
    spin.setProperty("SlicerParameterName", "threads")
    tag = parameters.connectGui(types.SimpleNamespace(spin=spin))
    assert tag is None and spin.value == 2
    parameters.disconnectGui(tag)
    spin.value = 4
    assert parameters.threads == 4


# Modules


@pytest.fixture
def little(tmp_path, scene):
    """A module with a package beside it."""
    folder = tmp_path / "Little"
    (folder / "LittleParts").mkdir(parents=True)
    (folder / "LittleParts" / "__init__.py").write_text("WORD = 'first'\n")
    (folder / "Little.py").write_text(
        textwrap.dedent(
            """
            from LittleParts import WORD
            import qt
            from slicer.ScriptedLoadableModule import *


            class Little(ScriptedLoadableModule):
                def __init__(self, parent):
                    ScriptedLoadableModule.__init__(self, parent)
                    parent.title = WORD
                    parent.categories = ["Segmentation"]


            class LittleWidget(ScriptedLoadableModuleWidget):
                def setup(self):
                    ScriptedLoadableModuleWidget.setup(self)
                    self.logic = LittleLogic()
                    self.calls = ["setup"]
                    self.layout.addWidget(qt.QLabel(WORD))

                def enter(self):
                    self.calls.append("enter")

                def exit(self):
                    self.calls.append("exit")

                def cleanup(self):
                    self.calls.append("cleanup")


            class LittleLogic(ScriptedLoadableModuleLogic):
                pass
            """
        )
    )
    yield folder / "Little.py"
    for name in ("little", "LittleInstance", "LittleWidget"):
        if hasattr(slicer.modules, name):
            delattr(slicer.modules, name)


def test_a_module_is_loaded_with_its_package_which_is_forgotten(little):
    before = list(sys.path)
    module = open_module(little)
    widget = module.widget
    assert module.module.title == "first" and widget.calls == ["setup", "enter"] and module.parent.isEntered
    assert "LittleParts" in sys.modules
    module.close()
    assert widget.calls[-2:] == ["exit", "cleanup"]
    assert "LittleParts" not in sys.modules and sys.path == before


def test_logics_are_found_as_in_the_application(little):
    load_module(little)
    assert slicer.modules.little.logic().GetClassName() == "vtkSlicerScriptedLoadableModuleLogic"
    logic = slicer.util.getModuleLogic("Little")  # makes the panel, does not open it
    assert type(logic).__name__ == "LittleLogic"
    widget = slicer.util.getModuleWidget("Little")
    assert widget.logic is logic and widget.calls == ["setup"] and not widget.parent.isEntered
    assert "Little" in slicer.util.moduleNames()
    with pytest.raises(RuntimeError, match="Could not find module"):
        slicer.util.getModuleLogic("NoSuchModule")


def test_reload_makes_the_panel_anew_of_the_file_as_it_is_now(little):
    module = open_module(little)
    first = module.widget
    little.write_text(little.read_text().replace("self.calls = [", "self.calls = ['again', "))
    first.onReload()
    assert first.calls[-1] == "cleanup" and module.widget is not first and module.widget.calls[0] == "again"
    assert slicer.modules.LittleWidget is module.widget and module.widget.parent is first.parent
    module.close()


# The application


def test_settings_clipboard_and_signals_of_the_application(application, tmp_path):
    import qt

    qt.QSettings().setValue("LungNoduleSeg/interpreter", "/usr/bin/python3")
    assert slicer.app.userSettings().value("LungNoduleSeg/interpreter") == "/usr/bin/python3"
    assert not slicer.app.settings().fileName().startswith(str(Path.home()))
    slicer.app.clipboard().setText("a\tb")
    assert qt.QApplication.clipboard().text() == "a\tb"
    seen = []
    for signal in ("startupCompleted()", "aboutToQuit()"):
        slicer.app.connect(signal, lambda signal=signal: seen.append(signal))
    slicer.app.startupCompleted.emit()
    slicer.app.aboutToQuit.emit()
    assert seen == ["startupCompleted()", "aboutToQuit()"]
    slicer.app.disconnect("startupCompleted()")
    slicer.app.disconnect("aboutToQuit()")
    assert slicer.util.startupEnvironment()["PATH"] == os.environ["PATH"]


def test_nothing_is_installed(application, monkeypatch):
    with pytest.raises(ImportError):
        importlib.import_module("slicer.packaging")
    slicer.util.pip_install("safetensors>=0.4")
    assert installation.installed == [("pip_install", "safetensors>=0.4", {})]
    installation.provide_packaging(monkeypatch)
    from slicer.packaging import pip_ensure

    pip_ensure(["safetensors>=0.4"], prompt_install=False, requester="LungNoduleSeg")
    assert [str(wanted) for wanted in installation.installed[-1][1]] == ["safetensors>=0.4"]
    with pytest.raises(TypeError):
        pip_ensure(["safetensors"], ask=False)


def test_sample_data_is_checked_as_in_its_module(application):
    from SampleData import SampleDataLogic

    digest = "SHA256:" + "0" * 64
    source = {"sampleName": "CT", "uris": "https://host/ct.nrrd", "fileNames": "ct.nrrd", "nodeNames": "CT"}
    for _ in range(2):  # the same again is not a second one
        SampleDataLogic.registerCustomSampleDataSource(category="Harness", checksums=digest, **source)
    (found,) = SampleDataLogic.sampleDataSourcesByCategory("Harness")
    assert (found.uris, found.checksums, found.loadFileType) == (["https://host/ct.nrrd"], [digest], ["VolumeFile"])
    with pytest.raises(TypeError):
        SampleDataLogic.registerCustomSampleDataSource(category="Harness", checksum=digest, **source)
    with pytest.raises(ValueError, match="same length"):
        SampleDataLogic.registerCustomSampleDataSource(uris=["a", "b"], fileNames=["a"], nodeNames=["a", "b"])
    del slicer.modules.sampleDataSources["Harness"]


# Views


@pytest.fixture
def placing(volume):
    """A point list that clicks go to, and a main window with views."""
    window = MainWindow(size=(900, 700))
    window.show_volume(volume)
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "P")
    points.CreateDefaultDisplayNodes()
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
    logic.GetSelectionNode().SetActivePlaceNodeID(points.GetID())
    logic.GetInteractionNode().SwitchToPersistentPlaceMode()
    slicer.app.processEvents()
    yield window, points
    logic.GetInteractionNode().SwitchToViewTransformMode()
    window.close()


@needs_views
def test_clicks_in_a_view_place_points_through_slicers_own_manager(placing):
    window, points = placing
    red = window.slice_widget("Red")
    click_in_slice(red, (20.0, 15.0, 5.0))
    assert points.GetNumberOfDefinedControlPoints() == 1
    placed = points.GetNthControlPointPosition(0)
    np.testing.assert_allclose(placed[:2], (20.0, 15.0), atol=0.2)
    assert placed[2] == pytest.approx(red.mrmlSliceNode().GetSliceOffset())
    click_in_slice(red, (25.0, 15.0, 5.0), shift=True)  # Slicer's markups take no clicks with a key held
    assert points.GetNumberOfDefinedControlPoints() == 1
    slicer.app.applicationLogic().GetInteractionNode().SwitchToViewTransformMode()
    click_in_slice(red, (30.0, 15.0, 5.0))
    assert points.GetNumberOfDefinedControlPoints() == 1
    with pytest.raises(ValueError, match="is not in the picture"):
        click_in_slice(red, (900.0, 15.0, 5.0))


@needs_views
def test_qts_mouse_reaches_the_view(placing):
    window, points = placing
    view = window.slice_widget("Red").sliceView()
    where = QtCore.QPoint(view.width // 2, view.height // 2)
    QtTest.QTest.mouseMove(view, where)
    QtTest.QTest.mouseClick(view, QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier, where)
    assert points.GetNumberOfDefinedControlPoints() == 1
    xyz = view.convertRASToXYZ(points.GetNthControlPointPosition(0))
    assert (round(xyz[0]), round(xyz[1])) == (where.x(), view.height - 1 - where.y())


@needs_views
def test_the_layout_manager_knows_the_views_and_a_closed_window_leaves_none(placing):
    window, _points = placing
    manager = slicer.app.layoutManager()
    assert manager.sliceViewNames() == ("Red", "Yellow", "Green") and manager.threeDViewCount == 1
    assert slicer.util.mainWindow() is window and slicer.app.applicationLogic().GetSliceLogics().GetNumberOfItems() == 3
    slicer.util.setSliceViewerLayers(background=None, fit=True)
    assert manager.sliceWidget("Green").mrmlSliceCompositeNode().GetBackgroundVolumeID() is None
    slicer.util.selectModule("Markups")
    assert slicer.util.selectedModule() == "Markups"
    window.close()
    assert slicer.app.layoutManager() is None and slicer.util.mainWindow() is None
    assert slicer.util.getNodesByClass("vtkMRMLAbstractViewNode") == []
    window.close = lambda: None


@needs_views
def test_pictures_of_panel_and_window(little, volume, tmp_path):
    from PySide6.QtGui import QImage

    module = open_module(little)
    long = QtWidgets.QLabel("A line that cannot be broken and is far longer than the panel is wide, so that it is cut")
    module.parent.layout().addWidget(long)
    long.objectName = "long"
    found = picture_of_panel(module, tmp_path / "panel.png", width=200)
    assert any(line.startswith("long: ") for line in found)
    long.wordWrap = True
    assert picture_of_panel(module, tmp_path / "panel.png", width=200) == [] == cut_off(module.parent)
    picture_of_window(module, tmp_path / "window.png", size=(800, 600), dark=True)
    module.close()
    light, dark = QImage(str(tmp_path / "panel.png")), QImage(str(tmp_path / "window.png"))
    assert light.width() == 200 and (dark.width(), dark.height()) == (800, 600)
    assert light.pixelColor(3, 3).lightness() > 200 > 100 > dark.pixelColor(10, 590).lightness()


def test_vtk_draws_into_the_window_of_an_x_server(tmp_path):
    if shutil.which("xvfb-run") is None:
        pytest.skip("xvfb-run is not installed (apt package xvfb)")
    code = f"""
import sys
sys.path[:0] = [".", "Testing"]
import numpy as np
from slicer_harness.application import start
start()
import slicer
from slicer_harness.window import MainWindow
volume = slicer.util.addVolumeFromArray(np.full((10, 40, 50), 100, np.int16), name="CT")
volume.CreateDefaultDisplayNodes()
volume.GetDisplayNode().SetAutoWindowLevel(False)
volume.GetDisplayNode().SetWindowLevel(10, 0)
window = MainWindow(size=(600, 500), native=True)
window.show_volume(volume)
window.save({str(tmp_path / "x.png")!r})
print(window.slice_widget("Red").harness_view.window.GetClassName())
window.close()
"""
    environment = {**os.environ, "QT_QPA_PLATFORM": "xcb"}
    environment.pop("VTK_DEFAULT_OPENGL_WINDOW", None)
    command = ["xvfb-run", "-a", "-s", "-screen 0 800x600x24", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
    if "could not connect to display" in done.stderr or "Could not load the Qt platform plugin" in done.stderr:
        pytest.skip("Qt's xcb plugin does not start here (apt packages libxcb-cursor0, libxkbcommon-x11-0)")
    assert done.stdout.strip() == "vtkXOpenGLRenderWindow", done.stderr
    from PySide6.QtGui import QImage

    assert QImage(str(tmp_path / "x.png")).pixelColor(150, 160).lightness() > 200  # the volume, in the red view


# Segment Editor


@pytest.fixture
def effect(tmp_path):
    """A scripted effect that adds one voxel at each click."""
    folder = tmp_path / "OneVoxelEffect"
    folder.mkdir()
    (folder / "SegmentEditorEffect.py").write_text(
        textwrap.dedent(
            """
            import slicer
            import vtk
            from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect


            class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
                def __init__(self, scriptedEffect):
                    scriptedEffect.name = "One voxel"
                    AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)

                def setMRMLDefaults(self):
                    self.scriptedEffect.setParameterDefault("Clicks", 0)

                def processInteractionEvents(self, interactor, event, viewWidget):
                    if viewWidget.className() != "qMRMLSliceWidget" or event != vtk.vtkCommand.LeftButtonPressEvent:
                        return False
                    effect = self.scriptedEffect
                    effect.setParameter("Clicks", effect.integerParameter("Clicks") + 1)
                    image = effect.defaultModifierLabelmap()
                    ijk = self.xyToIjk(interactor.GetEventPosition(), viewWidget, image)
                    image.SetScalarComponentFromDouble(*ijk, 0, 1)
                    effect.saveStateForUndo()
                    mode = slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd
                    effect.modifySelectedSegmentByLabelmap(image, mode)
                    return True
            """
        )
    )
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    made = effects.qSlicerSegmentEditorScriptedEffect(None)
    assert made.setPythonSource(str(folder / "SegmentEditorEffect.py"))
    yield made
    del sys.modules["OneVoxelEffect"]


@needs_views
def test_an_effect_edits_through_slicers_own_editor_logic(effect, volume):
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = user_segment(segmentation, volume)
    before = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
    window = MainWindow(size=(900, 700))
    window.show_volume(volume)
    editor = SegmentEditor(segmentation, volume, segment_id)
    editor.activate(effect)
    editor.click(window.slice_widget("Red"), (20.0, 15.0, 5.0))
    after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    k = round(window.slice_widget("Red").mrmlSliceNode().GetSliceOffset())
    assert np.argwhere(after != before).tolist() == [[k, 15, 20]] and effect.parameter("Clicks") == "1"
    editor.undo()
    assert (slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume) == before).all()
    editor.deactivate()
    editor.click(window.slice_widget("Red"), (25.0, 15.0, 5.0))
    assert (slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume) == before).all()
    editor.close()
    window.close()
