"""The window "Weights" on real folders of weights and a server on this computer."""

from __future__ import annotations

import threading
import time
import types
from pathlib import Path

import pytest
import slicer
from slicer_harness import ui_lint
from slicer_harness.application import PANEL
from slicer_harness.dialogs import dialogs

from LungNoduleSegLib.errors import Cancelled, WeightsError
from LungNoduleSegLib.weights import catalog, store, transfer
from Testing.weights.samples import card_data, make_model
from Testing.weights.server import Behaviour, Server

RESOURCES = PANEL.parent / "Resources"
PYTHON = PANEL.parent / "LungNoduleSegPanel" / "weights_dialog.py"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Shipped: "alpha", and "listed" without weights. The user's folder does not exist yet."""
    shipped, own = tmp_path / "shipped", tmp_path / "own å"
    shipped.mkdir()
    for module in (catalog, store):
        monkeypatch.setattr(module, "shipped_folder", lambda: shipped)
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(own))
    make_model(shipped, name="alpha", title="Alpha")
    write_card(shipped, name="listed", how_to_get="Train it yourself.", training__data="")
    return types.SimpleNamespace(shipped=shipped, own=own, elsewhere=tmp_path)


def write_card(folder: Path, **changes) -> None:
    from LungNoduleSegLib.weights import Card

    Card.from_dict(card_data(**changes)).write(folder / f"{changes['name']}.json")


@pytest.fixture
def server(folders, monkeypatch):
    """Serves the weights of "remote", which is listed with its address; `behaviour` can be changed before."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(transfer, "PAUSES_S", (0.0,) * len(transfer.PAUSES_S))
    card = make_model(folders.elsewhere, name="remote", seed=3)
    server = Server(Behaviour((folders.elsewhere / card.file).read_bytes()))
    data = {**card.to_dict(), "url": server.url}
    type(card).from_dict(data).write(folders.shipped / "remote.json")
    yield server
    if server.behaviour.stall is not None:
        server.behaviour.stall.set()
    server.close()


@pytest.fixture
def host():
    host = types.SimpleNamespace(running=False, said=[])
    host.parameters = types.SimpleNamespace(model="alpha")
    host.resourcePath = lambda name: str(RESOURCES / name)
    host.say = host.said.append
    return host


@pytest.fixture
def window(scene, folders, host, monkeypatch):
    """The window, shown; `changed` counts what it tells the section."""
    monkeypatch.syspath_prepend(str(PANEL.parent))
    from LungNoduleSegPanel.weights_dialog import WeightsDialog

    slicer.app.userSettings().remove("LungNoduleSeg")
    monkeypatch.setattr(slicer.app, "_testing", False)
    dialogs.clear()
    changed = []
    window = WeightsDialog(host, None, lambda: changed.append(True))
    window.changed = changed
    window.show()
    yield window
    window.close()
    dialogs.clear()
    slicer.app.userSettings().remove("LungNoduleSeg")


def choose(window, name):
    names = [entry.name for entry in window._entries]
    window.ui.weightsTable.selectRow(names.index(name))


def wait(window, until=None):
    """Let the application live until the work is done, or until something is so."""
    end = time.monotonic() + 20
    while (window._job is not None if until is None else not until()) and time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.005)
    assert time.monotonic() < end, window.ui.findingLabel.text


def cells(window):
    """Rows of the table by model: version, size, state, SHA-256."""
    table = window.ui.weightsTable
    rows = [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]
    return {name: rest for name, *rest in rows}


def finding(window):
    return str(window.ui.findingLabel.text)


def enabled(window):
    names = ("verify", "download", "remove", "import", "folder", "cancel")
    return {name for name in names if getattr(window.ui, f"{name}Button").enabled}


def questions():
    return [asked.text for asked in dialogs.asked if asked.kind == "message"]


# Table


def test_names_and_properties_are_slicers():
    assert ui_lint.lint(PYTHON, RESOURCES / "UI" / "Weights.ui") == []


def test_every_widget_has_a_tooltip_and_its_place_in_the_keyboard_order(window):
    names = ["weightsTable", "verifyButton", "downloadButton", "removeButton", "importButton", "folderButton",
             "cancelButton", "closeButton"]  # fmt: skip
    assert all(str(getattr(window.ui, name).toolTip) for name in names)
    text = (RESOURCES / "UI" / "Weights.ui").read_text(encoding="utf-8")
    places = [text.index(f"<tabstop>{name}</tabstop>") for name in names]
    assert places == sorted(places)


def test_every_model_is_listed_with_its_state(window, folders):
    make_model(folders.own, name="mine", version="1.2", seed=1)
    make_model(folders.own, name="broken", seed=2)
    (folders.own / "broken.safetensors").write_bytes(b"cut")
    window.fill()
    alpha, mine = window._entries[0].card, next(e for e in window._entries if e.name == "mine").card
    assert cells(window) == {
        "alpha": ["0.1.0", f"{alpha.size_bytes / 1e6:.1f} MB", "shipped", alpha.sha256],
        "broken": ["0.1.0", f"{mine.size_bytes / 1e6:.1f} MB", "damaged", cells(window)["broken"][3]],
        "listed": ["0.1.0", "", "missing", ""],
        "mine": ["1.2", f"{mine.size_bytes / 1e6:.1f} MB", "here", mine.sha256],
    }
    choose(window, "broken")
    assert finding(window).startswith("Its weights are damaged: 3 bytes instead of ")
    assert str(folders.own) in window.ui.weightsTable.item(3, 0).toolTip()


def test_the_model_of_the_panel_is_selected_first_and_a_selection_stays(window, folders):
    assert window.selected().name == "alpha"
    choose(window, "listed")
    make_model(folders.own, name="added")
    window.fill()
    assert window.selected().name == "listed"
    assert finding(window) == "It comes without weights. Train it yourself."


def test_what_can_be_done_with_each(window, folders, server):
    make_model(folders.own, name="mine")
    window.fill()
    always = {"import", "folder"}
    for name, possible in (
        ("alpha", {"verify"}),
        ("listed", set()),
        ("mine", {"verify", "remove"}),
        ("remote", {"download"}),
    ):
        choose(window, name)
        assert enabled(window) == always | possible, name


def test_a_card_that_cannot_be_used_is_told(window, folders):
    (folders.shipped / "odd.json").write_text("{", encoding="utf-8")
    window.fill()
    assert "odd.json: the card is not valid JSON" in finding(window)


def test_without_any_model(window, folders):
    for path in folders.shipped.iterdir():
        path.unlink()
    window.fill()
    assert window.selected() is None and cells(window) == {} and enabled(window) == {"import", "folder"}
    for act in (window.onVerify, window.onDownload, window.onRemove, window.onCancel):
        act()
    assert window._job is None and dialogs.asked == []


def test_while_nodules_are_searched_nothing_is_changed(window, host):
    host.running = True
    window.update()
    assert enabled(window) == {"folder"}
    assert "While nodules are searched, weights cannot be changed." in finding(window)


# Verify


def test_verify_a_sound_file(window, host):
    sha256 = window.selected().card.sha256
    window.ui.verifyButton.click()
    assert window._job is not None and not window.ui.verifyButton.enabled
    wait(window)
    assert finding(window).startswith(f"alpha is sound: SHA-256 {sha256}.")
    assert host.said == [f"alpha is sound: SHA-256 {sha256}."]
    assert cells(window)["alpha"][2] == "shipped, verified" and window.changed == []
    assert window.ui.verifyButton.enabled and window.ui.progressBar.isHidden()


def test_verify_finds_a_changed_byte(window, folders):
    path = folders.shipped / "alpha.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert cells(window)["alpha"][2] == "shipped"  # the size is right
    window.ui.verifyButton.click()
    wait(window)
    assert finding(window).startswith("alpha is damaged: its SHA-256 is ")
    assert cells(window)["alpha"][2] == "damaged"


def test_verify_a_file_that_has_just_gone(window, folders):
    (folders.shipped / "alpha.safetensors").unlink()
    window.ui.verifyButton.click()
    wait(window)
    assert finding(window).startswith("That did not succeed: ") and "alpha.safetensors" in finding(window)
    assert cells(window)["alpha"][2] == "missing"


def test_the_application_lives_meanwhile_and_work_can_be_cancelled(window, monkeypatch):
    from LungNoduleSegLib.weights import files

    started, ticks = threading.Event(), []

    def slow(path, cancel):
        started.set()
        while not cancel():
            time.sleep(0.005)
        raise Cancelled("cancelled")

    monkeypatch.setattr(files, "sha256_of", slow)
    window.ui.verifyButton.click()
    assert enabled(window) == {"folder", "cancel"} and not window.ui.progressBar.isHidden()
    wait(window, until=lambda: started.is_set() and ticks.append(1) is None and len(ticks) > 5)
    window.ui.cancelButton.click()
    assert finding(window).startswith("Cancelling...")
    wait(window)
    assert finding(window).startswith("Cancelled.") and "cancel" not in enabled(window)


# Import


def test_import_a_file(window, folders, host):
    source = folders.elsewhere / "from a colleague"
    make_model(source, name="mine", version="2.0")
    dialogs.answer("open file", source / "mine.safetensors")
    window.ui.importButton.click()
    wait(window)
    assert finding(window).startswith("mine 2.0 is there.") and window.changed == [True]
    assert cells(window)["mine"][2] == "here" and (folders.own / "mine-2.0.safetensors").is_file()
    from LungNoduleSegPanel import settings

    assert settings.lastFolder("weights") == str(source)


def test_import_of_nothing(window):
    window.ui.importButton.click()
    assert window._job is None and [asked.kind for asked in dialogs.asked] == ["open file"]
    assert "*.safetensors" in dialogs.asked[0].text


def test_import_of_a_file_without_a_card(window, folders):
    path = folders.elsewhere / "alone.safetensors"
    path.write_bytes(b"x")
    dialogs.answer("open file", path)
    window.ui.importButton.click()
    wait(window)
    assert "its card is not beside it. Put alone.json beside it." in finding(window) and window.changed == []


def test_a_mended_file_is_not_called_damaged_any_more(window, folders):
    make_model(folders.own, name="mine")
    source = folders.elsewhere / "again"
    make_model(source, name="mine")
    path = folders.own / "mine.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    window.fill()
    choose(window, "mine")
    window.ui.verifyButton.click()
    wait(window)
    assert cells(window)["mine"][2] == "damaged"
    dialogs.answer("open file", source / "mine.safetensors")
    window.ui.importButton.click()
    wait(window)
    assert cells(window)["mine"][2] == "here"


# Download


def test_download_after_asking(window, folders, server):
    window.fill()
    choose(window, "remote")
    window.ui.downloadButton.click()
    wait(window)
    assert len(questions()) == 1
    for said in ("Download remote 0.1.0", "127.0.0.1", str(folders.own), "Apache-2.0"):
        assert said in questions()[0]
    assert finding(window).startswith("remote 0.1.0 is there.") and window.changed == [True]
    assert cells(window)["remote"][2] == "here" and len(server.behaviour.seen) == 1


def test_nothing_is_fetched_without_a_yes(window, folders, server):
    window.fill()
    choose(window, "remote")
    dialogs.answer("message", "Cancel")
    window.ui.downloadButton.click()
    assert window._job is None and server.behaviour.seen == [] and not folders.own.exists()
    assert finding(window).startswith("Nothing was downloaded.")


def test_progress_is_shown(window, server):
    window.fill()
    choose(window, "remote")
    values = []
    window.ui.progressBar.connect("valueChanged(int)", values.append)
    window.ui.downloadButton.click()
    assert (window.ui.progressBar.minimum, window.ui.progressBar.maximum) == (0, 0)  # busy
    wait(window)
    assert max(values) == 100 and values == sorted(values)


def test_a_download_can_be_cancelled_and_goes_on_later(window, folders, server):
    stall = server.behaviour.stall = threading.Event()
    server.behaviour.cut_after = [1200, None]
    window.fill()
    choose(window, "remote")
    window.ui.downloadButton.click()
    wait(window, until=lambda: any(part.stat().st_size == 1200 for part in folders.own.glob(".*.part")))
    window.ui.cancelButton.click()
    wait(window)
    assert finding(window).startswith("Cancelled.") and cells(window)["remote"][2] == "missing"
    stall.set()
    server.behaviour.stall = None
    window.ui.downloadButton.click()
    wait(window)
    assert cells(window)["remote"][2] == "here" and server.behaviour.asked_ranges == [None, "bytes=1200-"]


def test_a_server_without_the_file(window, server):
    server.behaviour.statuses = [404]
    window.fill()
    choose(window, "remote")
    window.ui.downloadButton.click()
    wait(window)
    assert "the server answered with status 404" in finding(window) and "update LungNoduleSeg" in finding(window)
    assert window.changed == []


def test_a_download_without_a_home_folder(window, server, monkeypatch):
    import LungNoduleSegLib.weights

    def nowhere(create=False):
        raise WeightsError("the home folder of the user is not known", remedy="Name one.")

    window.fill()
    choose(window, "remote")
    monkeypatch.setattr(LungNoduleSegLib.weights, "user_folder", nowhere)
    for button in (window.ui.downloadButton, window.ui.folderButton):
        button.click()
        assert finding(window).startswith("the home folder of the user is not known. Name one.")
    assert questions() == [] and window._job is None


# Remove


def test_remove_after_asking(window, folders):
    make_model(folders.own, name="mine")
    window.fill()
    choose(window, "mine")
    window.ui.removeButton.click()
    assert questions() == [f"Remove every version of mine from {folders.own}? Shipped weights stay."]
    assert list(folders.own.glob("mine*")) == [] and "mine" not in cells(window) and window.changed == [True]
    assert finding(window).startswith("Removed: mine.json, mine.safetensors.")


def test_nothing_is_removed_without_a_yes(window, folders):
    make_model(folders.own, name="mine")
    window.fill()
    choose(window, "mine")
    dialogs.answer("message", "Cancel")
    window.ui.removeButton.click()
    assert (folders.own / "mine.safetensors").is_file() and window.changed == []


def test_shipped_weights_are_never_removed(window, folders):
    assert not window.ui.removeButton.enabled
    window.onRemove()
    assert questions() == [] and (folders.shipped / "alpha.safetensors").is_file()


def test_what_stands_behind_a_shipped_model_can_be_removed(window, folders):
    make_model(folders.own, name="alpha", version="0.0.9", seed=5)
    window.fill()
    assert cells(window)["alpha"][2] == "shipped" and window.ui.removeButton.enabled
    window.ui.removeButton.click()
    assert list(folders.own.glob("alpha*")) == [] and (folders.shipped / "alpha.safetensors").is_file()
    assert not window.ui.removeButton.enabled


def test_a_file_that_cannot_be_removed(window, folders, monkeypatch):
    import LungNoduleSegLib.weights

    def refuse(name):
        raise WeightsError("the file cannot be written (in use)", path="mine.json", remedy="Close it.")

    make_model(folders.own, name="mine")
    window.fill()
    choose(window, "mine")
    monkeypatch.setattr(LungNoduleSegLib.weights, "remove", refuse)
    window.ui.removeButton.click()
    assert finding(window).startswith("mine.json: the file cannot be written (in use). Close it.")


# Folder and closing


def test_open_folder(window, folders):
    window.ui.folderButton.click()
    assert folders.own.is_dir() and len(dialogs.urls) == 1 and dialogs.urls[0].startswith("file:")


def test_without_a_file_manager_the_folder_is_named(window, folders, monkeypatch):
    import qt

    monkeypatch.setattr(qt.QDesktopServices, "openUrl", staticmethod(lambda url: False))
    window.ui.folderButton.click()
    assert finding(window).startswith(f"No file manager could be opened. The folder is {folders.own}.")


@pytest.mark.parametrize("how", ["button", "escape"])
def test_closing_ends_the_work(window, server, how):
    server.behaviour.stall, server.behaviour.cut_after = threading.Event(), [1200]
    window.fill()
    choose(window, "remote")
    window.ui.downloadButton.click()
    wait(window, until=lambda: server.behaviour.seen)
    job = window._job
    if how == "button":
        window.ui.closeButton.click()
    else:
        window.dialog.reject()
    assert window._job is None and window.dialog.isHidden() and not job._timer.isActive()
    job._thread.join(5)
    assert not job._thread.is_alive() and window.changed == []
    window.show()
    assert not window.dialog.isHidden() and "import" in enabled(window)
