"""The table of nodules as a file, in the clipboard, and as a pair for training."""

import re
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from . import settings

KIND = "export"
"""Under this name the folder of the last export is kept."""


class NodulesExport:
    """The menu of a button.

    host - the panel: review, parameters, say(text).
    button - QToolButton that opens the menu.
    """

    def __init__(self, host, button):
        self._host, self._button = host, button
        self._menu = qt.QMenu(button)
        self._menu.toolTipsVisible = True
        self.csv = self._add(_("Table as CSV..."), self.onCsv)
        self.copy = self._add(_("Copy table"), self.onCopy)
        self._menu.addSeparator()
        self.trainingPair = self._add(_("Training pair..."), self.onTrainingPair)
        button.setMenu(self._menu)
        self.update([])

    def _add(self, text, slot):
        action = qt.QAction(text, self._menu)
        action.connect("triggered(bool)", slot)
        self._menu.addAction(action)
        return action

    def update(self, rows):
        """rows - the ReviewRows of the review."""
        reason = "" if rows else _("There is no nodule to export.")
        self._button.enabled = not reason
        self._button.toolTip = reason or _("Save the table, copy it, or save CT and segmentation for training.")
        for action, tip in (
            (self.csv, _("All nodules with their measurements and your decisions, for any spreadsheet.")),
            (self.copy, _("The same into the clipboard, to paste into a spreadsheet.")),
        ):
            action.setEnabled(not reason)
            action.setToolTip(reason or tip)
        accepted = any(row.status == "accepted" for row in rows)
        self.trainingPair.setEnabled(accepted)
        self.trainingPair.setToolTip(
            _(
                'The CT and a segmentation of the accepted nodules, as "python -m training prepare" reads them. '
                "Whatever else the CT shows is learned as background: accept all of its nodules first."
            )
            if accepted
            else reason or _("Accept a nodule first: a training pair holds accepted nodules only.")
        )

    def onCsv(self):
        with slicer.util.tryWithErrorDisplay(_("The table could not be saved."), waitCursor=False):
            from LungNoduleSegLib.mrml.export import export_csv

            name = re.sub(r"[^\w .()-]", "_", self._host.parameters.segmentation.GetName()) + ".csv"
            chosen = qt.QFileDialog.getSaveFileName(
                self._button, _("Save the table"), str(Path(self._folder()) / name), _("Table (*.csv)")
            )
            if not chosen:
                return
            path = Path(chosen)
            if not path.suffix:
                path = path.with_name(path.name + ".csv")
                question = _("{path} exists. Replace it?").format(path=path)
                if path.exists() and not slicer.util.confirmOkCancelDisplay(question):
                    return
            export_csv(path, self._host.review.rows)
            settings.setLastFolder(KIND, path.parent)
            self._host.say(_("The table was saved as {path}.").format(path=path))

    def onCopy(self):
        with slicer.util.tryWithErrorDisplay(_("The table could not be copied."), waitCursor=False):
            from LungNoduleSegLib.mrml.export import copied_text

            slicer.app.clipboard().setText(copied_text(self._host.review.rows))
            self._host.say(_("The table was copied."))

    def onTrainingPair(self):
        with slicer.util.tryWithErrorDisplay(_("The training pair could not be saved."), waitCursor=False):
            from LungNoduleSegLib.mrml.export import export_training_pair

            chosen = qt.QFileDialog.getExistingDirectory(
                self._button, _("Folder for the training pair"), self._folder()
            )
            if not chosen:
                return
            ct, segmentation = export_training_pair(chosen, self._host.review)
            settings.setLastFolder(KIND, chosen)
            self._host.say(
                _("Saved as a training pair: {ct} and {segmentation}.").format(ct=ct, segmentation=segmentation)
            )

    @staticmethod
    def _folder():
        """Where the last export went, the user's own folder where that is gone."""
        last = settings.lastFolder(KIND)
        return last if last and Path(last).is_dir() else str(Path.home())
