"""The section "Model": choosing, the card, the check, the interpreter; the check itself is played by a fake."""

from __future__ import annotations

import json
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import slicer
from PySide6 import QtCore
from slicer_harness import ui_lint
from slicer_harness.application import PANEL

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.weights import catalog
from Testing.weights.samples import card_data, make_model

RESOURCES = PANEL.parent / "Resources"
PYTHON = PANEL.parent / "LungNoduleSegPanel" / "model_section.py"
ROLE = QtCore.Qt.ItemDataRole


class FakeCheck:
    """Stands for the check's process: gives what the test tells it."""

    def __init__(self):
        self.asked, self.waiting, self.calls, self.error = [], [], [], None

    def start_check(self, interpreter, model, device, *, threads=None, environment=None):
        self.asked.append((interpreter, model, device))
        self.options = (threads, environment)
        if self.error is not None:
            raise self.error
        return self

    def events(self):
        found, self.waiting = self.waiting, []
        return found

    def cancel(self):
        self.calls.append("cancel")

    def close(self):
        self.calls.append("close")


class Report:
    """What a check found."""

    def __init__(self, *sentences, missing=(), devices=(), broken=None, onnxruntime=None, openvino=None):
        self.onnxruntime, self.openvino, self.blocking = onnxruntime, openvino, dict(broken or {})
        self._sentences, self.missing, self.devices = list(sentences), tuple(missing), tuple(devices)
        self.broken = broken

    def sentences(self):
        return self._sentences


def device(name, usable, reason=""):
    return types.SimpleNamespace(name=name, usable=usable, reason=reason)


@pytest.fixture
def check(monkeypatch):
    fake = FakeCheck()
    module = types.ModuleType("LungNoduleSegLib.client.check")
    module.start_check = fake.start_check
    monkeypatch.setitem(sys.modules, "LungNoduleSegLib.client.check", module)
    return fake


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Folders of shipped weights and of the user's, both empty."""
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    shipped.mkdir()
    own.mkdir()
    monkeypatch.setattr(catalog, "shipped_folder", lambda: shipped)
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(own))
    return types.SimpleNamespace(shipped=shipped, own=own)


@pytest.fixture
def models(folders):
    """Two models with weights, of which the second is the better, one without, one whose weights are gone."""
    for name, dice in (("alpha", 0.71), ("beta", 0.76)):
        test = {"dice_pos": {"value": dice, "low": dice - 0.02, "high": dice + 0.02, "n_images": 10, "n_patients": 4}}
        make_model(folders.shipped, name=name, title=name.title(), metrics={"test": test})
    card = card_data(name="listed", title="Listed", how_to_get="Train it yourself.", training__data="")
    write(folders.shipped, card)
    make_model(folders.shipped, name="lost", title="Lost")
    (folders.shipped / "lost.safetensors").unlink()
    return folders


def write(folder: Path, data: dict) -> None:
    (folder / f"{data['name']}.json").write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def panel(scene, monkeypatch, check):
    """The panel's package, with no settings, and every package there."""
    monkeypatch.syspath_prepend(str(PANEL.parent))
    from LungNoduleSegPanel import installation, model_section

    slicer.app.userSettings().remove("LungNoduleSeg")
    missing: list[str] = []
    monkeypatch.setattr(installation, "missingPackages", lambda interpreter=None, device="auto": list(missing))
    yield types.SimpleNamespace(section=model_section, installation=installation, missing=missing)
    slicer.app.userSettings().remove("LungNoduleSeg")


@pytest.fixture
def host():
    host = types.SimpleNamespace(logic=None, running=False, review=None, said=[], updates=0)
    host.parameters = types.SimpleNamespace(model="beta", device="auto", inputVolume=None, threads=3)
    host.resourcePath = lambda name: str(RESOURCES / name)
    host.say = host.said.append
    return host


@pytest.fixture
def make(panel, host):
    """Makes the section; `host.updateSections` updates it, as the panel does."""
    made = []

    def build():
        section = panel.section.ModelSection(host)
        made.append(section)

        def update():
            host.updates += 1
            section.update()

        host.updateSections = update
        section.setParameterNode(host.parameters)
        return section

    yield build
    for section in made:
        section.cleanup()


@pytest.fixture
def section(models, make):
    return make()


def finish(section, check, *events):
    """The check says this, and the section's timer looks."""
    check.waiting += events
    section._poll()


def wait(section, seconds):
    """Let the application live until the check has ended."""
    end = time.monotonic() + seconds
    while section._check is not None and time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.01)
    assert section._check is None


def labels(section):
    return {
        name: str(getattr(section.ui, name).text)
        for name in ("adviceLabel", "interpreterFinding", "checkFinding")
        if shown(getattr(section.ui, name))
    }


def shown(widget):
    """Whether a widget is shown once the panel is."""
    return not widget.isHidden()


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def type_path(section, path):
    """As ctkPathLineEdit does it: the line's text has changed, to nothing too."""
    edit = section.ui.interpreterEdit
    edit.currentPath = str(path)
    if not str(path):
        edit.validInputChanged.emit(False)


# The .ui file


def test_names_and_properties_are_slicers():
    assert ui_lint.lint(PYTHON, RESOURCES / "UI" / "Model.ui") == []


def test_every_widget_has_a_tooltip_and_its_place_in_the_keyboard_order(section):
    inputs = ["modelComboBox", "cardButton", "weightsButton", "deviceComboBox", "checkButton", "interpreterEdit"]
    for name in (*inputs, "installButton", "modelLabel", "deviceLabel", "interpreterLabel", "adviceLabel"):
        assert str(getattr(section.ui, name).toolTip), name
    text = (RESOURCES / "UI" / "Model.ui").read_text(encoding="utf-8")
    places = [text.index(f"<tabstop>{name}</tabstop>") for name in (*inputs, "installButton")]
    assert places == sorted(places)


def test_it_fits_into_a_narrow_dock(section, check, host):
    """Nothing reaches beyond 400 px, and no text is cut at its end, however often the texts change."""
    from PySide6 import QtWidgets

    dock = QtWidgets.QScrollArea()
    dock.setWidgetResizable(True)
    content = QtWidgets.QWidget()
    column = QtWidgets.QVBoxLayout(content)
    column.addWidget(section.widget)
    column.addStretch(1)
    dock.setWidget(content)
    dock.resize(400, 500)
    dock.show()
    for number in (12, 2, 9):
        section.onCheck()
        sentences = ["This is a long finding about a device that cannot be used here."] * number
        finish(section, check, {"event": "result", "report": Report(*sentences, missing=["torch"])})
        host.parameters.model = "listed" if number == 2 else "beta"
        section.update()
        slicer.app.processEvents()
        assert dock.horizontalScrollBar().maximum == 0
        for label in (section.ui.adviceLabel, section.ui.checkFinding):
            assert label.height >= label.heightForWidth(label.width), (number, label.text)
    dock.takeWidget()
    section.widget.setParent(None)


# Models


def test_models_without_weights_are_listed_with_the_reason_and_cannot_be_chosen(section):
    box = section.ui.modelComboBox
    rows = {box.itemData(row): row for row in range(box.count)}
    assert list(rows) == ["alpha", "beta", "listed", "lost"]
    texts = {name: box.itemText(row) for name, row in rows.items()}
    assert texts == {
        "alpha": "Alpha",
        "beta": "Beta",
        "listed": "Listed (no weights)",
        "lost": "Lost (weights missing)",
    }
    enabled = {
        name: bool(box.model().item(row).flags() & QtCore.Qt.ItemFlag.ItemIsEnabled) for name, row in rows.items()
    }
    assert enabled == {"alpha": True, "beta": True, "listed": False, "lost": False}
    tip = box.itemData(rows["listed"], ROLE.ToolTipRole)
    assert tip == "It comes without weights. Train it yourself."
    assert box.itemData(rows["alpha"], ROLE.ToolTipRole) == "A model for tests."


def test_damaged_weights_are_named(models, make):
    (models.shipped / "alpha.safetensors").write_bytes(b"short")
    section = make()
    assert section.ui.modelComboBox.itemText(0) == "Alpha (weights damaged)"


def test_two_models_of_one_title_can_be_told_apart(models, make):
    make_model(models.own, name="mine", title="Beta")
    box = make().ui.modelComboBox
    assert [box.itemText(row) for row in range(box.count)][:2] == ["Alpha", "Beta, beta"]
    assert "Beta, mine" in [box.itemText(row) for row in range(box.count)]


def test_choosing_a_model_changes_the_parameter(section, host):
    assert section.ui.modelComboBox.itemData(section.ui.modelComboBox.currentIndex) == "beta"
    section.ui.modelComboBox.setCurrentIndex(section.ui.modelComboBox.findData("alpha"))
    assert host.parameters.model == "alpha" and host.updates == 1
    host.parameters.model = "beta"
    section.update()
    assert section.ui.modelComboBox.currentText == "Beta" and host.updates == 1


def test_a_model_that_came_meanwhile_is_found(section, host, models):
    make_model(models.own, name="new", title="New")
    section.setParameterNode(host.parameters)
    assert section.ui.modelComboBox.findData("new") >= 0


def test_a_scene_with_an_unknown_model(section, host):
    host.parameters.model = "elsewhere"
    section.update()
    assert section.ui.modelComboBox.currentIndex == -1
    reason = section.reasonModelCannotRun()
    assert reason.startswith("There is no model elsewhere on this computer.")
    assert labels(section)["adviceLabel"] == reason
    assert not section.ui.cardButton.enabled


def test_reasons_of_models_that_cannot_run(section, host):
    assert section.reasonModelCannotRun() == ""
    for name, reason in (
        ("listed", "It comes without weights. Train it yourself."),
        ("lost", "Its weights are not here. Import the weights file with its card."),
    ):
        host.parameters.model = name
        section.update()
        assert section.reasonModelCannotRun() == labels(section)["adviceLabel"] == reason


def test_without_a_parameter_node_nothing_can_be_chosen(section, host):
    host.parameters = None
    section.setParameterNode(None)
    assert not section.ui.modelComboBox.enabled and not section.ui.deviceComboBox.enabled
    assert section.reasonModelCannotRun() == "" and labels(section) == {}
    assert section.ui.checkButton.enabled


def test_while_a_run_is_in_progress_nothing_is_changed(section, host):
    host.running = True
    section.update()
    widgets = (section.ui.modelComboBox, section.ui.deviceComboBox, section.ui.interpreterEdit, section.ui.checkButton)
    assert [widget.enabled for widget in widgets] == [False] * 4
    assert section.ui.cardButton.enabled
    host.running = False
    section.update()
    assert [widget.enabled for widget in widgets] == [True] * 4


# When to take which, and how long it takes


def test_advice_compares_the_models_that_are_here(section, host):
    assert labels(section)["adviceLabel"] == (
        "Take it first: of the models here the closest outlines on test patients (Dice 0.76). "
        "Not run on this computer yet."
    )
    host.parameters.model = "alpha"
    section.update()
    assert labels(section)["adviceLabel"].startswith(
        "For a second opinion beside Beta: Dice 0.71 on test patients, there 0.76. "
    )


def test_advice_about_a_model_on_its_own(folders, make, host):
    test = {"dice_pos": {"value": 0.5, "n_images": 3, "n_patients": 2}}
    make_model(folders.shipped, name="beta", metrics={"test": test})
    make_model(folders.shipped, name="other", metrics={"test": {"dice_pos": {"value": 0.9, "n_images": 999}}})
    make_model(folders.shipped, name="silent", metrics={})
    section = make()
    assert labels(section)["adviceLabel"].startswith("Dice on its test patients: 0.50.")  # other images: no comparison
    host.parameters.model = "silent"
    section.update()
    assert labels(section)["adviceLabel"].startswith("Its card gives no accuracy on test patients.")


def test_what_the_card_says_itself_stands_first(folders, make):
    make_model(folders.shipped, name="beta", when_to_use="Take it for ground-glass nodules.")
    assert labels(make())["adviceLabel"].startswith("Take it for ground-glass nodules. Not run")


def test_times_of_this_computer(section, host, scene):
    from LungNoduleSegPanel import settings

    sha256 = section._entry().card.sha256
    settings.recordTiming("beta", sha256, "cpu", 133, 26.6, 378.4)
    section.update()
    assert labels(section)["adviceLabel"].endswith(
        "About 20 s for 100 slices and 378 MB on this computer (CPU, 1 run)."
    )
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    host.parameters.inputVolume = volume
    section.update()
    assert "for 100 slices" in labels(section)["adviceLabel"]  # a node without an image
    slicer.util.updateVolumeFromArray(volume, np.zeros((800, 8, 8), np.int16))
    settings.recordTiming("beta", sha256, "cpu", 133, 26.6, 380)
    section.update()
    assert "About 2 min 40 s for this CT and 380 MB on this computer (CPU, 2 runs)." in labels(section)["adviceLabel"]


def test_times_of_another_device_are_not_taken_for_it(section, host):
    from LungNoduleSegPanel import settings

    settings.recordTiming("beta", section._entry().card.sha256, "cpu", 100, 20)
    host.parameters.device = "cuda"
    section.update()
    assert labels(section)["adviceLabel"].endswith("Not run on CUDA here yet.")
    host.parameters.device = "cpu"
    section.update()
    assert labels(section)["adviceLabel"].endswith("About 20 s for 100 slices on this computer (CPU, 1 run).")


def test_times_measured_elsewhere_are_named_as_such(folders, make):
    timings = [{"machine": "bad entry"}, {"machine": "two cores", "seconds": 25.5, "slices": 133, "peak_mb": 378}]
    make_model(folders.shipped, name="beta", timings=timings)
    assert labels(make())["adviceLabel"].endswith(
        "Not run on this computer yet. Measured elsewhere (two cores): 26 s for 133 slices, 378 MB."
    )


def test_durations(panel):
    from LungNoduleSegPanel.model_advice import duration

    seconds = (0.26, 9.49, 9.6, 89.4, 90, 120, 3599, 7200)
    assert [duration(s) for s in seconds] == [
        "0.3 s", "9.5 s", "10 s", "89 s", "1 min 30 s", "2 min", "59 min", "120 min",
    ]  # fmt: skip


# The card


def test_the_card_is_shown(section):
    section.ui.cardButton.click()
    dialog = section._card
    assert shown(dialog.dialog) and dialog.dialog.windowTitle == "Card of Beta"
    text = dialog.browser.toPlainText()
    assert "Research use only." in text and section._entry().card.sha256 in text
    assert "0.760 [0.740, 0.780]" in text and "test patients (4; 10 slices)" in text
    dialog.closeButton.click()
    assert not shown(dialog.dialog)


def test_the_card_of_another_model_replaces_it(section, host):
    section.onCard()
    host.parameters.model = "listed"
    section.update()
    section.onCard()
    assert section._card.dialog.windowTitle == "Card of Listed"
    assert "It comes without weights." in section._card.browser.toPlainText()


def test_what_a_card_does_not_say_is_left_out(panel, folders):
    from LungNoduleSegPanel.model_card import cardHtml

    silent = {"metrics": {}, "operating_points": [], "training__data": "", "training__split": {}}
    write(folders.shipped, card_data(name="bare", training__series={"train": [], "validation": []}, **silent))
    (entry,) = catalog.scan().entries
    html = cardHtml(entry)
    for absent in ("Accuracy", "Operating points", "What it misses", "Data and split", "SHA-256", "None", "<td></td>"):
        assert absent not in html, absent
    assert "It comes without weights." in html


def test_a_whole_card_in_words(panel, folders):
    from LungNoduleSegPanel.model_card import cardHtml

    metric = {"low": 0.5, "high": 0.9, "n_images": 2001, "n_patients": 134}
    values = {"iou_pos_readers_1": 0.51, "iou_pos_readers_4": 0.76, "iou_pos_readers_3_4": 0.75,
              "iou_pos_px_9_30": 0.54, "iou_pos_px_301_16384": 0.7, "own_metric": 0.61, "dice_pos": 0.76}  # fmt: skip
    metrics = {
        "test": {name: {"value": value, **metric} for name, value in values.items()},
        "reader_agreement": {"dice_pos": 0.719, "what": "one reader against the others"},
    }
    point = {"name": "balanced", "threshold": 0.706, "found": 9, "nodules": 9, "found_any": 13, "nodules_any": 20,
             "false_positives": 12, "scans": 6, "default": True, "source": "six scans"}  # fmt: skip
    make_model(folders.shipped, name="beta", metrics=metrics, operating_points=[point], licence="A & B",
               training__remarks=["Stopped early."], misses=["Cavities."])  # fmt: skip
    (entry,) = catalog.scan().entries
    html = cardHtml(entry)
    for said in (
        "A &amp; B", "Stopped early.", "2 trained on, 1 to choose the state of training", "0.760 [0.500, 0.900]",
        "0.719", "One reader: one reader against the others.", "nodules that 1 reader outlined",
        "nodules that 3 to 4 readers outlined", "outlines of 301 pixels and more", "Own metric", "9 of 9", "13 of 20",
        "Measured on six scans.",
        "it missed 7 of 20 outlined nodules of 6 scans, and showed 12 places that are none.",
        "Worst on nodules that 1 reader outlined: IoU 0.510 on test patients.",
        "Worst on outlines of 9 to 30 pixels: IoU 0.540 on test patients.", "Cavities.", str(entry.path),
        entry.card.sha256,
    ):  # fmt: skip
        assert said in html, said
    assert html.index("Dice, slices with a nodule") < html.index("nodules that 1 reader outlined")


def test_the_shipped_cards_can_be_shown(panel):
    from LungNoduleSegPanel.model_card import cardHtml

    from LungNoduleSegLib.weights import scan

    entries = scan().entries
    assert entries
    for entry in entries:
        html = cardHtml(entry)
        assert entry.card.intended_use in html
        assert ("What it misses" in html) == (entry.card.file is not None)


# Device


def test_devices(section, host):
    box = section.ui.deviceComboBox
    assert [box.itemData(row) for row in range(box.count)] == ["auto", "cpu", "cuda", "mps"]
    box.setCurrentIndex(2)
    assert host.parameters.device == "cuda" and host.updates == 1
    host.parameters.device = "cuda:1"  # by a script
    section.update()
    assert box.currentText == "cuda:1" and host.parameters.device == "cuda:1"


def test_a_device_that_was_found_not_to_work_cannot_be_used(section, host, check):
    section.ui.checkButton.click()
    cuda = device("cuda", False, "this build of torch has no CUDA although an NVIDIA driver is here")
    finish(section, check, {"event": "result", "report": Report("Found.", devices=[device("cpu", True), cuda])})
    assert section.reasonModelCannotRun() == ""  # auto takes what works
    host.parameters.device = "cuda"
    section.update()
    assert section.reasonModelCannotRun() == f"The device cannot be used: {cuda.reason}."
    assert cuda.reason in labels(section)["adviceLabel"]
    host.parameters.device = "mps"
    assert section.reasonModelCannotRun() == "The device cannot be used: PyTorch finds none of this kind."
    host.parameters.device = "cpu"
    section.update()
    assert section.reasonModelCannotRun() == ""


def test_one_gpu_of_two(section, host, check):
    section.onCheck()
    devices = [device("cpu", True), device("cuda:0", False, "too old"), device("cuda:1", True)]
    finish(section, check, {"event": "result", "report": Report("Found.", devices=devices)})
    for name, reason in (("cuda", ""), ("cuda:1", ""), ("cuda:0", "The device cannot be used: too old.")):
        host.parameters.device = name
        assert section.reasonModelCannotRun() == reason


# The check


def test_a_check_from_beginning_to_end(section, host, check):
    from LungNoduleSegLib.client.interpreter import Interpreter

    host.parameters.device = "cpu"
    section.ui.checkButton.click()
    assert check.asked == [(Interpreter.default(), "beta", "cpu")] and check.options == (3, None)
    assert section.ui.checkButton.text == "Cancel check" and not section.ui.interpreterEdit.enabled
    assert labels(section)["checkFinding"] == "Checking..."
    finish(section, check, {"event": "ready", "pid": 1})
    finish(section, check, {"event": "progress", "fraction": 0.5, "message": "Trying the CPU"})
    assert labels(section)["checkFinding"] == "Trying the CPU" and check.calls == []
    finish(section, check)
    finish(section, check, {"event": "result", "report": Report("Python 3.12.", "The CPU works.")})
    assert labels(section)["checkFinding"] == "Python 3.12.\nThe CPU works."
    assert section.ui.checkButton.text == "Check installation" and check.calls == ["close"]
    assert not shown(section.ui.installButton) and section.ui.interpreterEdit.enabled


def test_the_timer_brings_the_result(section, check):
    section.onCheck()
    check.waiting.append({"event": "result", "report": Report("Found.")})
    wait(section, seconds=10)
    assert labels(section)["checkFinding"] == "Found." and not section._timer.isActive()


def test_a_model_without_weights_is_not_given_to_the_check(section, host, check):
    host.parameters.model = "listed"
    section.onCheck()
    assert check.asked[0][1] is None


def test_a_check_can_be_cancelled(section, check):
    section.ui.checkButton.click()
    section.ui.checkButton.click()
    assert check.calls == ["cancel"] and len(check.asked) == 1
    finish(section, check, {"event": "cancelled"})
    assert labels(section)["checkFinding"] == "The check was cancelled."
    assert section.ui.checkButton.text == "Check installation"


def test_an_error_of_the_check_is_a_sentence(section, check):
    section.onCheck()
    finish(section, check, {"event": "error", "kind": "x", "message": "It crashed.", "remedy": "Install it anew."})
    assert labels(section)["checkFinding"] == "It crashed. Install it anew."
    section.onCheck()
    finish(section, check, {"event": "error", "kind": "x", "message": "It crashed.", "remedy": None})
    assert labels(section)["checkFinding"] == "It crashed."


def test_a_check_that_does_not_start_is_told(section, check):
    check.error = InputError("is no program that can be run", path="/x", remedy="Choose another.")
    section.ui.checkButton.click()
    assert labels(section)["checkFinding"] == "/x: is no program that can be run. Choose another."
    assert section.ui.checkButton.text == "Check installation" and not section._timer.isActive()


def test_leaving_the_panel_ends_the_check(section, check):
    section.onCheck()
    section.onCard()
    section.cleanup()
    assert check.calls == ["close"] and not section._timer.isActive() and section._card is None


# Installation


def test_install_is_offered_only_where_something_is_missing(panel, section, host):
    assert not shown(section.ui.installButton)
    panel.missing += ["torch", "safetensors"]
    section.setParameterNode(host.parameters)
    assert shown(section.ui.installButton)
    assert section.ui.installButton.text == "Install PyTorch, safetensors..."
    assert labels(section)["checkFinding"] == "Not installed yet: PyTorch, safetensors."
    assert section.reasonModelCannotRun() == ""  # offered when a run is started


def test_after_the_installation_it_is_checked(panel, section, host, check, monkeypatch):
    panel.missing += ["torch"]
    section.setParameterNode(host.parameters)
    asked = []

    def install(packages, parent=None):
        asked.append((packages, parent))
        panel.missing.clear()
        return True

    monkeypatch.setattr(panel.installation, "askAndInstall", install)
    section.ui.installButton.click()
    assert asked == [(["torch"], section.widget)] and len(check.asked) == 1
    finish(section, check, {"event": "result", "report": Report("All works.")})
    assert not shown(section.ui.installButton) and labels(section)["checkFinding"] == "All works."


def test_an_installation_that_was_refused_or_failed(panel, section, host, check, monkeypatch):
    panel.missing += ["torch"]
    section.setParameterNode(host.parameters)
    monkeypatch.setattr(panel.installation, "askAndInstall", lambda packages, parent=None: False)
    section.ui.installButton.click()
    assert check.asked == [] and shown(section.ui.installButton)


def test_what_the_check_misses_is_offered_too(section, check):
    section.onCheck()
    report = Report("torch cannot be imported.", missing=["torch"])
    finish(section, check, {"event": "result", "report": report})
    assert shown(section.ui.installButton) and section.ui.installButton.text == "Install PyTorch..."


def test_a_graphics_card_needs_torch_and_the_cpu_does_not(section, check, host):
    host.parameters.device = "cuda"
    section.onCheck()
    finish(section, check, {"event": "result", "report": Report("Found.", missing=["torch"], onnxruntime="1.20")})
    assert shown(section.ui.installButton) and section.ui.installButton.text == "Install PyTorch..."
    host.parameters.device = "auto"
    section.update()
    assert not shown(section.ui.installButton)


def test_the_device_decides_what_is_missing(panel, section, host, monkeypatch):
    devices = []
    monkeypatch.setattr(
        panel.installation, "missingPackages", lambda interpreter=None, device="auto": devices.append(device) or []
    )
    section.ui.deviceComboBox.setCurrentIndex(section.ui.deviceComboBox.findData("cuda"))
    assert devices[-1] == "cuda"


def test_a_package_that_cannot_be_loaded_is_a_reason(section, check):
    section.onCheck()
    report = Report("It cannot be loaded: numpy 1 is needed.", broken={"torch": "numpy 1 is needed"})
    finish(section, check, {"event": "result", "report": report})
    reason = "PyTorch cannot be loaded, the check of the installation says why."
    assert section.reasonModelCannotRun() == reason and not shown(section.ui.installButton)


def test_the_real_check(models, make, host, monkeypatch):
    """No fake: this Python, without a model."""
    monkeypatch.delitem(sys.modules, "LungNoduleSegLib.client.check")
    host.parameters.model = "listed"
    section = make()
    section.ui.checkButton.click()
    wait(section, seconds=120)
    found = labels(section)["checkFinding"]
    assert found.startswith(f"Python {sys.version.split()[0]} on ") and "The device cpu" in found
    assert section.reasonModelCannotRun() == "It comes without weights. Train it yourself."
    assert not shown(section.ui.installButton)


# The interpreter


def test_a_chosen_python_is_kept_and_used(section, check, tmp_path, host, monkeypatch):
    from LungNoduleSegPanel import settings

    monkeypatch.setattr(slicer.util, "startupEnvironment", lambda: {"HOME": "/home/someone"})

    other = program(tmp_path / "python3")
    type_path(section, other)
    assert settings.interpreterPath() == str(other) and host.updates == 1
    assert labels(section)["interpreterFinding"].startswith(f"Runs in {other}.")
    section.onCheck()
    assert (check.asked[0][0].path, check.asked[0][0].own) == (other, False)
    assert check.options[1] == {"HOME": "/home/someone"}
    finish(section, check, {"event": "result", "report": Report("Found.")})
    assert "interpreterFinding" not in labels(section)
    type_path(section, "")
    assert settings.interpreterPath() == ""
    assert labels(section).keys() == {"adviceLabel"}  # what was found of the other one is not shown any more
    section.onCheck()
    assert check.asked[1][0].own


@pytest.mark.parametrize("kind", ["missing", "folder", "no program"])
def test_a_path_that_is_no_python(section, tmp_path, kind, check):
    from LungNoduleSegPanel import settings

    settings.setInterpreterPath("")
    path = tmp_path / "python"
    if kind == "folder":
        path.mkdir()
    elif kind == "no program":
        path.write_text("text")
    type_path(section, path)
    finding = labels(section)["interpreterFinding"]
    assert finding.startswith(str(path)) and finding == section.reasonModelCannotRun()
    assert settings.interpreterPath() == "" and not section.ui.checkButton.enabled
    type_path(section, "")
    assert section.reasonModelCannotRun() == "" and section.ui.checkButton.enabled


def test_an_empty_line_says_what_it_means(section):
    (line,) = slicer.util.findChildren(section.ui.interpreterEdit, className="QLineEdit")
    assert line.placeholderText == "Slicer's own"


def test_the_kept_python_is_shown_again(models, make, tmp_path, panel):
    from LungNoduleSegPanel import settings

    other = program(tmp_path / "python3")
    settings.setInterpreterPath(str(other))
    section = make()
    assert section.ui.interpreterEdit.currentPath == str(other) and section.reasonModelCannotRun() == ""
    other.unlink()
    section = make()
    assert "there is no such file" in section.reasonModelCannotRun()
    assert settings.interpreterPath() == str(other)  # it may come back: a network drive


def test_another_python_ends_a_check(section, check, tmp_path):
    section.onCheck()
    type_path(section, program(tmp_path / "python3"))
    assert check.calls == ["close"] and section.ui.checkButton.text == "Check installation"


def test_nothing_is_installed_into_another_python(panel, section, check, tmp_path, host):
    other = program(tmp_path / "python3")
    type_path(section, other)
    section.onCheck()
    finish(section, check, {"event": "result", "report": Report("Found.", missing=["torch", "safetensors"])})
    command = f'"{other}" -m pip install "torch>=2.2" "safetensors>=0.4"'
    assert labels(section)["checkFinding"] == (
        f"Found.\nSlicer installs nothing into another Python. Run there: {command}"
    )
    assert section.reasonModelCannotRun() == (f"In this Python PyTorch, safetensors are missing. Run there: {command}")
    assert not shown(section.ui.installButton)


# Weights


def test_the_weights_window_tells_of_new_models(section, host, models):
    section.ui.weightsButton.click()
    window = section._weights
    assert shown(window.dialog)
    make_model(models.own, name="new", title="New")
    window._onChanged()
    assert section.ui.modelComboBox.findData("new") >= 0 and host.updates == 1
    host.running = True
    section.update()
    assert not window.ui.importButton.enabled
    section.ui.weightsButton.click()
    assert section._weights is window
    section.cleanup()
    assert not shown(window.dialog)


# Pictures


@pytest.mark.parametrize("text", ["#000000", "#ffffff"])
def test_texts_follow_the_palette(section, text):
    """No colour of its own: what is written is seen on a dark background too."""
    from PySide6 import QtGui

    palette = QtGui.QPalette(QtGui.QColor("#353535" if text == "#ffffff" else "#f0f0f0"))
    palette.setColor(QtGui.QPalette.ColorRole.WindowText, QtGui.QColor(text))
    section.widget.setPalette(palette)
    section.widget.resize(420, 200)
    section.widget.show()
    slicer.app.processEvents()
    picture = section.ui.adviceLabel.grab().toImage()
    section.widget.hide()
    wanted = QtGui.QColor(text).lightness()
    nearest = min(
        abs(QtGui.QColor(picture.pixel(x, y)).lightness() - wanted)
        for x in range(picture.width())
        for y in range(picture.height())
    )
    assert nearest < 30


def test_the_entries_are_read_once(section, monkeypatch):
    """`update` comes with every step of a run's progress: it must not look into the folders."""
    import LungNoduleSegLib.weights

    monkeypatch.setattr(LungNoduleSegLib.weights, "scan", lambda: pytest.fail("looked into the folders"))
    section.update()
    assert labels(section)["adviceLabel"].startswith("Take it first")
