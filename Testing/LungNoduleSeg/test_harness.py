"""The harness itself: what it must notice, it notices."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer
import vtk
from PySide6 import QtWidgets
from slicer_harness import pythonqt
from slicer_harness.messages import message_log


@pytest.fixture
def button(application):
    return QtWidgets.QPushButton("Press")


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


def test_a_widget_without_stand_in_does_not_load(scene, tmp_path: Path):
    ui = tmp_path / "Strange.ui"
    ui.write_text(
        '<ui version="4.0"><class>S</class><widget class="qMRMLWidget" name="S"><layout class="QVBoxLayout" name="l">'
        '<item><widget class="qMRMLUnheardOfWidget" name="u"/></item></layout></widget></ui>'
    )
    with pytest.raises(LookupError, match="no stand-in for qMRMLUnheardOfWidget"):
        slicer.util.loadUI(str(ui))


def test_parameters_are_checked_and_kept_in_the_node(opened, scene):
    parameters = opened.widget._parameterNode
    with pytest.raises(ValueError, match="within"):
        parameters.minimumDiameterMm = 99.0
    with pytest.raises(ValueError, match="must be a vtkMRMLScalarVolumeNode"):
        parameters.inputVolume = scene.AddNewNodeByClass("vtkMRMLTableNode")
    with pytest.raises(AttributeError, match="no parameter 'minimumDiameter'"):
        parameters.minimumDiameter = 3.0
    parameters.minimumDiameterMm = 5.5
    assert parameters.parameterNode.GetParameter("minimumDiameterMm") == "5.5"
    assert opened.widget.ui.minimumDiameterSlider.value == 5.5
