"""The panel uses only what Slicer has: its own file, its .ui, and the harness's stand-ins against the real API."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest
from PySide6 import QtCore, QtWidgets
from slicer_harness import ctk_widgets, qmrml_widgets, ui_lint
from slicer_harness.application import PANEL, REPOSITORY

UI = PANEL.parent / "Resources" / "UI" / "LungNoduleSeg.ui"


def test_panel_is_clean():
    assert ui_lint.lint(PANEL, UI) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("self.ui.applyButton.enabled", "self.ui.applyButton.isOn", "applyButton (QPushButton) has no 'isOn'"),
        ("self.ui.statusLabel.text", "self.ui.statusLable.text", "ui.statusLable is not in the .ui file"),
        ('connect("clicked(bool)"', 'connect("pressedLong()"', "has no signal 'pressedLong'"),
        ("self.ui.modelComboBox.clear()", "self.ui.modelComboBox.clear(all=1)", "keyword arguments"),
    ],
)
def test_lint_finds_mistakes_in_python(tmp_path, old, new, finding):
    text = PANEL.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "Broken.py").write_text(text.replace(old, new), encoding="utf-8")
    assert any(finding in found for found in ui_lint.lint(tmp_path / "Broken.py", UI))


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ('class="ctkSliderWidget"', 'class="ctkSliderWidgets"', "unknown class ctkSliderWidgets"),
        ('name="suffix"', 'name="sufix"', "has no property 'sufix'"),
        ("<slot>setMRMLScene(", "<slot>setMrmlScene(", "has no slot setMrmlScene"),
        ("<receiver>inputSelector", "<receiver>inputSelecter", "'inputSelecter' is no widget"),
    ],
)
def test_lint_finds_mistakes_in_ui(tmp_path, old, new, finding):
    text = UI.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "Broken.ui").write_text(text.replace(old, new), encoding="utf-8")
    assert any(finding in found for found in ui_lint.lint(PANEL, tmp_path / "Broken.ui"))


@pytest.mark.parametrize("name", sorted(ctk_widgets.WIDGETS | qmrml_widgets.WIDGETS))
def test_stand_ins_offer_nothing_that_slicer_has_not(name):
    widget = (ctk_widgets.WIDGETS | qmrml_widgets.WIDGETS)[name]
    manifest = ui_lint.load_manifest()
    known = ui_lint.members(manifest, name)
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
        if callable(value) and not key.startswith("_") and not hasattr(QtWidgets.QWidget, key)
    }
    # Of the test itself: what a message box would have shown; and how Qt calls a dialog.
    offered -= {"shown", "answer", "exec", "exec_"}
    missing = {key for key in offered if key not in known and not _is_signal(manifest, name, key)}
    assert missing == set()


def _is_signal(manifest: dict, name: str, key: str) -> bool:
    return any(signal["name"] == key for signal in manifest.get(name, {}).get("signals", []))


def test_the_extract_is_the_manifest():
    """Where the whole manifest is at hand, the part of it that is kept here must be what it says."""
    whole = Path(
        os.environ.get("SLICER_API_MANIFEST", REPOSITORY.parent / "shared" / "slicer_api" / "slicer_5.12.3.json")
    )
    if not whole.is_file():
        pytest.skip("the whole API manifest is not at hand")
    names = set(ctk_widgets.WIDGETS) | set(qmrml_widgets.WIDGETS)
    expected = ui_lint.extract(ui_lint.load_manifest(whole), names)
    assert json.loads(ui_lint.MANIFEST.read_text(encoding="utf-8")) == expected


def test_file_scope_imports_only_what_slicer_brings():
    allowed = {"importlib", "inspect", "logging", "pathlib", "sys", "typing", "numpy", "qt", "slicer", "vtk", "ctk"}
    imported = set()
    for node in ast.parse(PANEL.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported <= allowed


def test_every_parameter_in_the_ui_exists(opened):
    import xml.etree.ElementTree as ElementTree

    named = {
        entry.find("string").text
        for entry in ElementTree.parse(UI).getroot().iter("property")
        if entry.get("name") == "SlicerParameterName"
    }
    assert named and named <= set(opened.python.LungNoduleSegParameterNode.allParameters)


def test_icon_is_there():
    from PySide6.QtGui import QImage

    icon = QImage(str(PANEL.parent / "Resources" / "Icons" / "LungNoduleSeg.png"))
    assert (icon.width(), icon.height()) == (128, 128)
