"""The window "Weights": the files of all models, checked, imported, downloaded and removed."""

import logging
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from . import settings
from .background import BackgroundJob

_SHA256_COLUMN = 4


class WeightsDialog:
    """A window over LungNoduleSegLib.weights; it works without network, and long work never holds up the application.

    host - the panel: parameters, running, resourcePath(name), say(text).
    onChanged - called after a model has come, gone or was mended.
    """

    def __init__(self, host, parent, onChanged):
        self._host, self._onChanged = host, onChanged
        self.dialog = qt.QDialog(parent)
        self.dialog.objectName = "WeightsDialog"
        self.dialog.windowTitle = _("Weights of the models")
        self.widget = slicer.util.loadUI(host.resourcePath("UI/Weights.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        layout = qt.QVBoxLayout(self.dialog)
        layout.addWidget(self.widget)
        self.dialog.resize(860, 360)
        self._entries = []
        self._verified = {}  # SHA-256 of the files that were looked at in this window, by path
        self._problems = []
        self._job = None
        self._finding = ""

        self.ui.weightsTable.connect("itemSelectionChanged()", self.onSelection)
        self.ui.verifyButton.connect("clicked(bool)", self.onVerify)
        self.ui.importButton.connect("clicked(bool)", self.onImport)
        self.ui.downloadButton.connect("clicked(bool)", self.onDownload)
        self.ui.removeButton.connect("clicked(bool)", self.onRemove)
        self.ui.folderButton.connect("clicked(bool)", self.onFolder)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancel)
        self.ui.closeButton.connect("clicked(bool)", self.close)
        self.dialog.connect("finished(int)", self.close)  # by Escape or the frame of the window
        self.fill()

    def show(self):
        self.fill()
        self.dialog.show()
        self.dialog.activateWindow()

    def close(self):
        """Stop what is going on and hide; what a download has brought so far is kept and continued next time."""
        if self._job is not None:
            self._job.close()
            self._job = None
        self.dialog.hide()
        self.update()

    def fill(self):
        """Look into the folders anew, keep the selection; cards that cannot be used are told below the table."""
        from LungNoduleSegLib.weights import scan

        chosen = self.selected()
        catalog = scan()
        self._entries = list(catalog.entries)
        table = self.ui.weightsTable
        table.blockSignals(True)
        table.setRowCount(len(self._entries))
        for row, entry in enumerate(self._entries):
            card = entry.card
            size = "" if card.size_bytes is None else f"{card.size_bytes / 1e6:.1f} MB"
            texts = (entry.name, card.version, size, self._state(entry), card.sha256 or "")
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(self._tip(entry))
                table.setItem(row, column, item)
        parameters = self._host.parameters
        wanted = chosen.name if chosen is not None else None if parameters is None else parameters.model
        names = [entry.name for entry in self._entries]
        if names:
            table.selectRow(names.index(wanted) if wanted in names else 0)
        table.blockSignals(False)
        for column in range(_SHA256_COLUMN):  # the last one takes what is left, and leaves out the middle if need be
            table.resizeColumnToContents(column)
        self._problems = [str(problem) for problem in catalog.problems]
        self.update()

    def selected(self):
        """The entry of the selected row, or None."""
        row = self.ui.weightsTable.currentRow()
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def update(self):
        entry, busy = self.selected(), self._job is not None
        free = not busy and not self._host.running
        self.ui.verifyButton.enabled = free and entry is not None and entry.path is not None
        self.ui.downloadButton.enabled = free and entry is not None and entry.downloadable
        self.ui.removeButton.enabled = free and entry is not None and _isRemovable(entry)
        self.ui.importButton.enabled = free
        self.ui.cancelButton.enabled = busy
        self.ui.progressBar.visible = busy
        self.ui.weightsTable.enabled = not busy
        about = "" if entry is None else self._about(entry)
        running = _("While nodules are searched, weights cannot be changed.") if self._host.running else ""
        self.ui.findingLabel.text = "\n".join(filter(None, [self._finding, about, running, *self._problems]))

    # What the user does

    def onSelection(self):
        self._finding = ""
        self.update()

    def onVerify(self):
        entry = self.selected()
        if entry is None or entry.path is None:
            return

        def work(progress, cancel):
            from LungNoduleSegLib.weights.files import sha256_of

            return sha256_of(entry.path, cancel)

        def done(sha256):
            self._verified[entry.path] = sha256
            if sha256 == entry.card.sha256:
                return _("{model} is sound: SHA-256 {sha256}.").format(model=entry.name, sha256=sha256)
            return _("{model} is damaged: its SHA-256 is {sha256}, and the card says {wanted}.").format(
                model=entry.name, sha256=sha256, wanted=entry.card.sha256
            )

        self._start(work, done, _("Computing the SHA-256 of {model}").format(model=entry.name))

    def onImport(self):
        path = _chosenFile(self.dialog)
        if not path:
            return
        settings.setLastFolder("weights", str(Path(path).parent))

        def work(progress, cancel):
            from LungNoduleSegLib.weights import import_file

            return import_file(path)

        self._start(work, self._arrived, _("Importing {file}").format(file=Path(path).name))

    def onDownload(self):
        from LungNoduleSegLib.errors import InputError
        from LungNoduleSegLib.weights import download, user_folder
        from LungNoduleSegLib.weights.download import question_for

        entry = self.selected()
        if entry is None or not entry.downloadable:
            return
        try:
            question = question_for(entry.card, user_folder())
        except InputError as error:
            self._show(str(error))
            return
        if not slicer.util.confirmOkCancelDisplay(question, _("Download weights"), self.dialog):
            self._show(_("Nothing was downloaded."))
            return

        def work(progress, cancel):
            return download(entry, lambda question: True, progress, cancel)  # asked above, in the main thread

        self._start(work, self._arrived, _("Downloading {model}").format(model=entry.name))

    def onRemove(self):
        from LungNoduleSegLib.errors import InputError
        from LungNoduleSegLib.weights import remove, user_folder

        entry = self.selected()
        if entry is None or not _isRemovable(entry):
            return
        try:
            question = _("Remove every version of {model} from {folder}? Shipped weights stay.").format(
                model=entry.name, folder=user_folder()
            )
            if not slicer.util.confirmOkCancelDisplay(question, _("Remove weights"), self.dialog):
                return
            removed = remove(entry.name)
            self._finding = _("Removed: {files}.").format(files=", ".join(path.name for path in removed))
        except (InputError, OSError) as error:
            logging.exception("LungNoduleSeg: weights could not be removed")
            self._finding = str(error)
        self._changed()
        self.fill()

    def onFolder(self):
        from LungNoduleSegLib.errors import InputError
        from LungNoduleSegLib.weights import user_folder

        try:
            folder = user_folder(create=True)
        except InputError as error:
            self._show(str(error))
            return
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder))):
            self._show(_("No file manager could be opened. The folder is {folder}.").format(folder=folder))

    def onCancel(self):
        if self._job is not None:
            self._job.cancel()
            self._show(_("Cancelling..."))

    def _arrived(self, entry):
        self._changed()
        return _("{model} {version} is there.").format(model=entry.name, version=entry.card.version)

    def _changed(self):
        self._verified = {}  # of files that may be others now
        self._onChanged()

    # Work in the background

    def _start(self, work, done, text):
        """Run work(progress, cancel) in a thread; done(value) gives the sentence that is shown then."""
        self._job = BackgroundJob(work, lambda value, error: self._end(done, value, error), self._progress)
        self.ui.progressBar.setRange(0, 0)  # busy, as long as no fraction is known
        self._show(text)
        self._job.start()

    def _progress(self, fraction, message):
        self.ui.progressBar.setRange(0, 100)
        self.ui.progressBar.value = int(100 * fraction)
        self._show(message)

    def _end(self, done, value, error):
        from LungNoduleSegLib.errors import Cancelled, LungNoduleSegError

        self._job = None
        if error is None:
            self._finding = done(value)
        elif isinstance(error, Cancelled):
            self._finding = _("Cancelled.")
        elif isinstance(error, LungNoduleSegError):
            self._finding = str(error)
        else:
            logging.error("LungNoduleSeg: weights", exc_info=error)
            self._finding = _("That did not succeed: {error}").format(error=error)
        self._host.say(self._finding)
        self.fill()

    def _show(self, text):
        self._finding = text
        self.update()

    # Texts

    def _isDamaged(self, entry):
        return self._verified.get(entry.path, entry.card.sha256) != entry.card.sha256

    def _state(self, entry):
        if entry.path is None:
            return _("missing")
        if not entry.available or self._isDamaged(entry):
            return _("damaged")
        state = _("shipped") if entry.shipped else _("here")
        if entry.path in self._verified:
            return _("{state}, verified").format(state=state)
        return state

    def _about(self, entry):
        if not entry.available:
            return f"{entry.reason} {entry.remedy}"
        return str(entry.path)

    def _tip(self, entry):
        return "\n".join(filter(None, [entry.card.title, entry.card.sha256, self._about(entry)]))


def _isRemovable(entry):
    """Something of this model lies in the user's folder: the card in use, or one that stands behind a shipped one."""
    return not entry.shipped or any(path.parent != entry.card_path.parent for path in entry.hides)


def _chosenFile(parent):
    """The file that the user chooses for an import; empty when none."""
    return qt.QFileDialog.getOpenFileName(
        parent,
        _("Import a model"),
        settings.lastFolder("weights"),
        _("Models") + " (*.safetensors *.json *.zip)",
    )
