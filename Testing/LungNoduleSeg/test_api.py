"""The panel uses only what Slicer has: its files, its .ui files, and the harness's stand-ins against the real API."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PySide6 import QtCore
from slicer_harness import ui_lint
from slicer_harness.application import PANEL, REPOSITORY

UI = PANEL.parent / "Resources" / "UI"
BROUGHT_BY_SLICER = {"numpy", "scipy", "SimpleITK", "qt", "ctk", "vtk", "slicer", "SegmentEditorEffects"}


def test_panel_is_clean():
    assert ui_lint.lint_panel(PANEL.parent) == []


@pytest.fixture
def copy(tmp_path):
    """A copy of the module's folder, to break something in it."""
    shutil.copytree(PANEL.parent, tmp_path / "module", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "module"


@pytest.mark.parametrize(
    ("file", "old", "new", "finding"),
    [
        (
            "find_section",
            "self.ui.progressBar.visible",
            "self.ui.progressBar.shown",
            "progressBar (QProgressBar) has no",
        ),
        (
            "find_section",
            "self.ui.statusLabel.text",
            "self.ui.statusLable.text",
            "ui.statusLable is not in the .ui file",
        ),
        ("find_section", 'connect("clicked(bool)"', 'connect("clicked(int)"', "has no signal 'clicked(int)'"),
        ("find_section", "qt.QTimer()", "qt.QTimmer()", "qt.QTimmer does not exist"),
        ("find_section", 'connect("timeout()"', 'connect("timedOut()"', "_timer (QTimer) has no signal 'timedOut()'"),
        ("widget", "qt.QTimer()", "qt.QTimer(parent=None)", "qt.QTimer is called with keyword arguments"),
        ("find_section", "qt.QTimer()", "qt.QDesktopWidget()", "exists in Qt 5 only"),
        ("find_section", "qt.QTimer()", "qt.Qt.ItemFlag.ItemIsEnabled", "PythonQt has no enum with its scope"),
        ("find_section", "UI/Find.ui", "UI/Fund.ui", "there is no UI/Fund.ui"),
    ],
)
def test_lint_finds_mistakes_in_python(copy, file, old, new, finding):
    path = copy / "LungNoduleSegPanel" / f"{file}.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert any(finding in found for found in ui_lint.lint_panel(copy))


def test_lint_follows_names_of_widgets(tmp_path):
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    shutil.copy(UI / "Find.ui", tmp_path / "Resources" / "UI")
    (tmp_path / "some_section.py").write_text(
        "class Section:\n"
        "    def update(self):\n"
        "        button = self.ui.applyButton\n"
        "        button.labelText = 'Apply'\n"
        "        for widget in (self.ui.applyButton, self.ui.progressBar):\n"
        "            widget.maximum = 3\n"
        "        'UI/Find.ui'\n"
    )
    assert [found.partition(": ")[2] for found in ui_lint.lint_panel(tmp_path)] == [
        "button (QPushButton) has no 'labelText'",
        "widget (QPushButton) has no 'maximum'",
    ]


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ('class="ctkSliderWidget"', 'class="ctkSliderWidgets"', "unknown class ctkSliderWidgets"),
        ('name="value"', 'name="valu"', "has no property 'valu'"),
        ('name="applyButton"', 'name="progressBar"', "the name progressBar is given twice"),
    ],
)
def test_lint_finds_mistakes_in_ui(copy, old, new, finding):
    path = copy / "Resources" / "UI" / "Find.ui"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert any(finding in found for found in ui_lint.lint_panel(copy))


def test_lint_finds_wrong_connections_in_ui(tmp_path):
    ui = tmp_path / "Wired.ui"
    ui.write_text(
        '<ui version="4.0"><class>W</class><widget class="qMRMLWidget" name="W"/><connections><connection>'
        "<sender>W</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>w</receiver>"
        "<slot>setMRMLScene(vtkMRMLScene*)</slot></connection><connection><sender>W</sender>"
        "<signal>sceneChanged()</signal><receiver>W</receiver><slot>setMrmlScene()</slot></connection></connections></ui>"
    )
    assert ui_lint.lint_ui(ui, ui_lint.load_manifest()) == [
        "Wired.ui: the receiver 'w' is no widget",
        "Wired.ui: qMRMLWidget has no signal sceneChanged",
        "Wired.ui: qMRMLWidget has no slot setMrmlScene",
    ]


def _stand_ins() -> dict:
    from slicer_harness.stand_ins import stand_ins

    return stand_ins()


def test_stand_ins_offer_nothing_that_slicer_has_not(application):
    from slicer_harness.stand_ins import BESIDE_THE_API

    manifest = ui_lint.load_manifest()
    found = {}
    for name, widget in _stand_ins().items():
        known = ui_lint.members(manifest, name) | BESIDE_THE_API.get(name, set())
        base = next(cls for cls in widget.__mro__ if cls.__module__.startswith("PySide6"))
        meta, base_meta = widget.staticMetaObject, base.staticMetaObject
        offered = {meta.property(i).name() for i in range(base_meta.propertyCount(), meta.propertyCount())}
        for index in range(base_meta.methodCount(), meta.methodCount()):
            if meta.method(index).methodType() == QtCore.QMetaMethod.MethodType.Signal:
                offered.add(bytes(meta.method(index).name().data()).decode())
        offered |= {
            key
            for cls in widget.__mro__[: widget.__mro__.index(base)]
            for key, value in vars(cls).items()
            if (callable(value) or isinstance(value, property)) and not key.startswith("_") and not hasattr(base, key)
        }
        missing = offered - known - {"shown", "answer"}  # these two are the test's: what a message box would have shown
        if missing:
            found[name] = sorted(missing)
    assert found == {}


def test_the_extract_is_the_manifest(application):
    """Where the whole manifest is at hand, the part of it that is kept here must be what it says."""
    whole = Path(
        os.environ.get("SLICER_API_MANIFEST", REPOSITORY.parent / "shared" / "slicer_api" / "slicer_5.12.3.json")
    )
    if not whole.is_file():
        pytest.skip("the whole API manifest is not at hand")
    expected = ui_lint.extract(ui_lint.load_manifest(whole), set(_stand_ins()))
    assert json.loads(ui_lint.MANIFEST.read_text(encoding="utf-8")) == expected


def test_file_scope_imports_only_what_slicer_brings():
    allowed = set(sys.stdlib_module_names) | BROUGHT_BY_SLICER | {"LungNoduleSegPanel"}
    found = {}
    for path in PANEL.parent.rglob("*.py"):
        imported = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
        if imported - allowed:
            found[path.name] = sorted(imported - allowed)
    assert found == {}


def test_every_parameter_in_the_ui_exists(module):
    named = {
        entry.find("string").text
        for path in UI.glob("*.ui")
        for entry in ElementTree.parse(path).getroot().iter("property")
        if entry.get("name") == "SlicerParameterName"
    }
    assert named and named <= set(module.LungNoduleSegParameterNode.allParameters)


def test_icon_is_there():
    from PySide6.QtGui import QImage

    icon = QImage(str(PANEL.parent / "Resources" / "Icons" / "LungNoduleSeg.png"))
    assert (icon.width(), icon.height()) == (128, 128)
