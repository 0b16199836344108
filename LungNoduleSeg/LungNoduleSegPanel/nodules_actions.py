"""What can be done to the nodules of the table: buttons, context menu and keys that call the review."""

import qt
import slicer
from slicer.i18n import tr as _


class NodulesActions:
    """Each action is one call of the review, so that scripts do the same.

    host - the panel: review.
    table - NodulesTable; its widget gets the context menu and the keys, which work while it has the focus.
    ui - acceptButton, rejectButton, nextButton, renameButton, typeButton, mergeButton, deleteButton, undoButton,
        redoButton: tool buttons.
    go - go(ids): select these rows as if the user had, and let the views jump there.
    """

    def __init__(self, host, table, ui, go):
        self._host, self._table, self._go = host, table, go
        self._rows = []
        self.accept = self._add(_("Accept"), "A", _("Accept the selected nodules."), self.onAccept)
        self.reject = self._add(
            _("Reject"),
            "R",
            _("Reject the selected nodules: they stay in the list, and are hidden in the views."),
            self.onReject,
        )
        self.reset = self._add(
            _("To review"), "", _("Take back that the nodules were accepted or rejected."), self.onReset
        )
        self.next = self._add(
            _("Next to review"), "N", _("Go to the next nodule that is still to review."), self.onNext
        )
        self._separate()
        self.rename = self._add(_("Rename"), "F2", _("Give the selected nodule another name."), self.onRename)
        self._addTypes(ui.typeButton)
        self.merge = self._add(_("Merge"), "M", _("Make one nodule of the selected ones."), self.onMerge)
        self.delete = self._add(
            _("Delete"), "Del", _("Remove the selected nodules from the segmentation."), self.onDelete
        )
        self._separate()
        self.undo = self._add(_("Undo"), "Ctrl+Z", _("Undo"), self.onUndo)
        self.redo = self._add(_("Redo"), "Ctrl+Shift+Z", _("Redo"), self.onRedo)
        self._shortcuts = [
            self._alsoOn("Ctrl+Y", self.redo),
            self._alsoOn("Backspace", self.delete),  # a Mac's Delete key
        ]
        for name in ("accept", "reject", "next", "rename", "merge", "delete", "undo", "redo"):
            getattr(ui, name + "Button").setDefaultAction(getattr(self, name).action)
        self.update([])

    # Building

    def _add(self, text, key, tip, slot):
        return _Action(self._table.widget, text, key, tip, slot)

    def _alsoOn(self, key, action):
        shortcut = qt.QShortcut(qt.QKeySequence(key), self._table.widget)
        shortcut.setContext(qt.Qt.WidgetShortcut)
        shortcut.connect("activated()", lambda: action.action.trigger())
        return shortcut

    def _separate(self):
        line = qt.QAction(self._table.widget)
        line.setSeparator(True)
        self._table.widget.addAction(line)

    def _addTypes(self, button):
        from LungNoduleSegLib.nodules.nodule import ATTENUATIONS

        self._typeButton = button
        self._typeMenu = qt.QMenu(_("Type"), button)
        self.types = {}
        for attenuation in (*ATTENUATIONS, ""):
            if not attenuation:
                self._typeMenu.addSeparator()
            action = qt.QAction(self._table.words.types[attenuation] or _("As measured"), self._typeMenu)
            action.setCheckable(True)
            action.connect("triggered(bool)", lambda _checked, chosen=attenuation: self.onType(chosen))
            self._typeMenu.addAction(action)
            self.types[attenuation] = action
        button.setMenu(self._typeMenu)
        self._table.widget.addAction(self._typeMenu.menuAction())

    # State

    def update(self, rows):
        """Say which actions can be used, and why the others cannot.

        rows - the ReviewRows of the review.
        """
        self._rows = rows
        chosen = self._chosen()
        none = "" if chosen else _("Select a nodule in the table first.")
        statuses = {row.status for row in chosen}
        self.accept.allow(none or (_("Accepted already.") if statuses == {"accepted"} else ""))
        self.reject.allow(none or (_("Rejected already.") if statuses == {"rejected"} else ""))
        self.reset.allow(none or (_("Not decided yet.") if statuses == {"pending"} else ""))
        self.next.allow("" if self._table.nextPending() is not None else _("No nodule is left to review."))
        self.rename.allow("" if len(chosen) == 1 else _("Select one nodule in the table first."))
        self.merge.allow("" if len(chosen) > 1 else _("Select two or more nodules in the table first."))
        self.delete.allow(none)
        self._updateSteps()
        self._updateTypes(chosen, none)

    def _updateSteps(self):
        review = self._host.review
        undo = review.undo_text if review is not None and review.can_undo else None
        redo = review.redo_text if review is not None and review.can_redo else None
        self.undo.allow(
            _("Nothing to undo.") if undo is None else "", _("Undo: {step}").format(step=undo or _("last step"))
        )
        self.redo.allow(
            _("Nothing to redo.") if redo is None else "", _("Redo: {step}").format(step=redo or _("last step"))
        )

    def _updateTypes(self, chosen, reason):
        self._typeButton.enabled = not reason
        self._typeMenu.menuAction().setEnabled(not reason)
        self._typeButton.toolTip = reason or _("Choose the type of the selected nodules; the size band goes by it.")
        types = {row.attenuation if row.typed else "" for row in chosen}
        for attenuation, action in self.types.items():
            action.setChecked(types == {attenuation})

    def _chosen(self):
        selected = set(self._table.selected())
        return [row for row in self._rows if row.segment_id in selected]

    # The actions

    def onAccept(self):
        with slicer.util.tryWithErrorDisplay(_("The nodules could not be accepted."), waitCursor=False):
            self._host.review.accept(self._table.selected())

    def onReject(self):
        with slicer.util.tryWithErrorDisplay(_("The nodules could not be rejected."), waitCursor=False):
            self._andGoOn(self._host.review.reject)

    def onReset(self):
        with slicer.util.tryWithErrorDisplay(_("The nodules could not be set back."), waitCursor=False):
            self._host.review.reset(self._table.selected())

    def onNext(self):
        segmentId = self._table.nextPending()
        if segmentId is not None:
            self._go([segmentId])

    def onRename(self):
        self._table.edit(self._table.selected()[0])

    def onRenamed(self, segmentId, name):
        """The user has edited a name in its cell."""
        with slicer.util.tryWithErrorDisplay(_("The nodule could not be renamed."), waitCursor=False):
            self._host.review.rename(segmentId, name)

    def onType(self, attenuation):
        with slicer.util.tryWithErrorDisplay(_("The type could not be changed."), waitCursor=False):
            for segmentId in self._table.selected():
                self._host.review.set_type(segmentId, attenuation)

    def onMerge(self):
        with slicer.util.tryWithErrorDisplay(_("The nodules could not be merged."), waitCursor=False):
            self._go([self._host.review.merge(self._table.selected())])

    def onDelete(self):
        with slicer.util.tryWithErrorDisplay(_("The nodules could not be deleted."), waitCursor=False):
            self._andGoOn(self._host.review.delete)

    def _andGoOn(self, call):
        """Call it with the selected rows; where they leave the list, the next one is selected: the keyboard goes on."""
        selected = self._table.selected()
        following = self._table.neighbour(selected)
        call(selected)
        if following is not None and not set(selected) & set(self._table.ids):
            self._go([following])

    def onUndo(self):
        with slicer.util.tryWithErrorDisplay(_("The step could not be undone."), waitCursor=False):
            self._host.review.undo()

    def onRedo(self):
        with slicer.util.tryWithErrorDisplay(_("The step could not be redone."), waitCursor=False):
            self._host.review.redo()


class _Action:
    """A QAction of the table: in its context menu, on a key while it has the focus, and for a button to show."""

    def __init__(self, widget, text, key, tip, slot):
        self.action = qt.QAction(text, widget)
        self._tip = tip
        self._key = ""
        if key:
            sequence = qt.QKeySequence(key)
            self._key = sequence.toString(qt.QKeySequence.NativeText)  # as this computer's keyboard has it
            self.action.setShortcut(sequence)
            self.action.setShortcutContext(qt.Qt.WidgetShortcut)
        self.action.connect("triggered(bool)", slot)
        widget.addAction(self.action)

    def allow(self, reason, tip=None):
        """Let it be used, or say why it cannot be: reason, empty where it can. tip - instead of its usual one."""
        tip = self._tip if tip is None else tip
        self.action.setEnabled(not reason)
        self.action.setToolTip(reason or (f"{tip} ({self._key})" if self._key else tip))
