"""Dialogs that never wait for a user: a test says beforehand what the user answers, and reads what was asked.

    from slicer_harness.dialogs import dialogs

    dialogs.answer("save file", "/tmp/nodules.csv")     # then: qt.QFileDialog.getSaveFileName(...)
    dialogs.answer("text", "Nodule A")                  # qt.QInputDialog.getText(...)
    dialogs.answer("message", "Cancel")                 # any message box, also slicer.util.confirmOkCancelDisplay
    dialogs.answer("menu", "Delete")                    # QMenu.exec_: triggers the entry of this text
    dialogs.answer("dialog", function)                  # QDialog.exec_: function(dialog) does what the user does in it
    dialogs.asked                                       # [Asked(kind, title, text), ...] in order
    dialogs.urls                                        # what qt.QDesktopServices.openUrl was given

Kinds: "open file", "open files", "save file", "folder", "text", "item", "number", "message", "menu", "dialog". An
answer is used once. Without one, file and input dialogs are cancelled, menus are left, dialogs are rejected, and
message boxes get ``ctkMessageBox.answer`` (Ok where a test has not set it). The values returned are PythonQt's: the
path alone, not a pair with the filter.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from PySide6 import QtGui, QtWidgets

from .ctk_widgets import ctkMessageBox

KINDS = frozenset(
    ("open file", "open files", "save file", "folder", "text", "item", "number", "message", "menu", "dialog")
)


@dataclass(frozen=True)
class Asked:
    """One question to the user: its kind, the title of the window and the text or the label."""

    kind: str
    title: str
    text: str = ""


@dataclass
class Dialogs:
    """Answers to come and questions that were asked, of this process."""

    asked: list[Asked] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    _answers: dict = field(default_factory=lambda: defaultdict(deque))

    def answer(self, kind: str, *answers) -> None:
        """What the user will answer to the next questions of this kind, in order."""
        if kind not in KINDS:
            raise ValueError(f"There is no kind of dialog {kind!r}; there are {sorted(KINDS)}.")
        self._answers[kind].extend(answers)

    def take(self, kind: str, title: str, text: str, otherwise):
        """Note a question; the answer that waits for it, or `otherwise`."""
        self.asked.append(Asked(kind, str(title), str(text)))
        waiting = self._answers[kind]
        return waiting.popleft() if waiting else otherwise

    def clear(self) -> None:
        """Forget questions and answers."""
        self.asked.clear()
        self.urls.clear()
        self._answers.clear()


dialogs = Dialogs()


def _one_path(kind: str):
    def ask(parent=None, caption="", directory="", filter="", selectedFilter="", options=None):
        return str(dialogs.take(kind, caption, filter, ""))

    return staticmethod(ask)


def _paths(parent=None, caption="", directory="", filter="", selectedFilter="", options=None):
    return tuple(str(path) for path in dialogs.take("open files", caption, filter, ()))


def _folder(parent=None, caption="", directory="", options=None):
    return str(dialogs.take("folder", caption, directory, ""))


def _text(parent, title, label, mode=None, text=""):
    return str(dialogs.take("text", title, label, ""))


def _multi_line(parent, title, label, text=""):
    return str(dialogs.take("text", title, label, ""))


def _item(parent, title, label, items, current=0, editable=True):
    return dialogs.take("item", title, label, items[current] if items else "")  # cancelled: the present one, as in Qt


def _number(parent, title, label, value=0, minimum=None, maximum=None, *_more):
    return dialogs.take("number", title, label, value)


def _message(box):
    """The button that a message box returns."""
    title, text = str(box.property("windowTitle")), str(box.property("text"))
    ctkMessageBox.shown.append((title, text))
    return _pressed(box, dialogs.take("message", title, text, ctkMessageBox.answer))


def _pressed(box, answer):
    if isinstance(answer, str):
        wanted = {button.text.replace("&", ""): button for button in box.buttons()}
        if answer not in wanted:
            raise LookupError(f"The message box has no button {answer!r}; it has {sorted(wanted)}.")
        box.__dict__["_clicked"] = wanted[answer]
        standard = box.standardButton(wanted[answer])
        return standard if standard.value else box.buttons().index(wanted[answer])
    box.__dict__["_clicked"] = box.button(answer)
    return answer


def _clicked(box):
    return box.__dict__.get("_clicked")


def _static_message(icon: str):
    def ask(parent, title, text, buttons=QtWidgets.QMessageBox.StandardButton.Ok, default=None):
        box = QtWidgets.QMessageBox(parent)
        box.setWindowTitle(title)
        box.setText(text)
        box.setStandardButtons(buttons)
        box.setIcon(getattr(QtWidgets.QMessageBox.Icon, icon))
        answer = _message(box)
        box.deleteLater()
        return answer

    return staticmethod(ask)


def _menu(menu, *_position):
    found = dialogs.take("menu", menu.property("title"), " | ".join(_entries(menu)), None)
    if found is None:
        return None
    actions = _entries(menu)
    if found not in actions:
        raise LookupError(f"The menu has no entry {found!r}; it has {sorted(actions)}.")
    action = actions[found]
    if not action.isEnabled():
        raise LookupError(f"The menu's entry {found!r} is greyed.")
    action.trigger()
    return action


def _entries(menu) -> dict:
    """The actions of a menu and of its sub-menus, by text."""
    found = {}
    for action in menu.actions():
        below = action.menu()
        if below is not None:
            found.update(_entries(below))
        elif not action.isSeparator():
            found[str(action.property("text")).replace("&", "")] = action
    return found


def _dialog(dialog):
    act = dialogs.take("dialog", dialog.property("windowTitle"), type(dialog).__name__, None)
    if act is None:
        return int(QtWidgets.QDialog.DialogCode.Rejected)
    dialog.show()
    act(dialog)
    dialog.hide()
    return dialog.result()


def _open_url(url) -> bool:
    dialogs.urls.append(url.toString())
    return True


def install() -> None:
    """Put all this in the place of Qt's own dialogs."""
    files, boxes, inputs = QtWidgets.QFileDialog, QtWidgets.QMessageBox, QtWidgets.QInputDialog
    files.getOpenFileName, files.getSaveFileName = _one_path("open file"), _one_path("save file")
    files.getOpenFileNames, files.getExistingDirectory = staticmethod(_paths), staticmethod(_folder)
    inputs.getText, inputs.getMultiLineText = staticmethod(_text), staticmethod(_multi_line)
    inputs.getItem = staticmethod(_item)
    inputs.getInt = inputs.getDouble = staticmethod(_number)
    boxes.exec = boxes.exec_ = _message
    boxes.clickedButton = _clicked
    for name in ("question", "information", "warning", "critical"):
        setattr(boxes, name, _static_message(name.capitalize()))
    QtWidgets.QMenu.exec = QtWidgets.QMenu.exec_ = _menu
    QtWidgets.QDialog.exec = QtWidgets.QDialog.exec_ = _dialog
    QtGui.QDesktopServices.openUrl = staticmethod(_open_url)
