"""The section "Model": which network, on which device, in which Python, and whether all of that works."""

import logging

import qt
import slicer
from slicer.i18n import tr as _

from . import installation, settings
from .model_advice import adviceFor, timeFor
from .model_card import ModelCardDialog
from .weights_dialog import WeightsDialog

DEVICES = ("auto", "cpu", "cuda", "mps")
POLL_MS = 100


class ModelSection:
    """Model, device and interpreter; the check of the installation.

    host - the panel: logic, parameters, running, resourcePath(name), say(text), updateSections().
    """

    def __init__(self, host):
        self._host = host
        self.widget = slicer.util.loadUI(host.resourcePath("UI/Model.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self._entries = []
        self._filling = False
        self._interpreter = None
        self._interpreterError = ""
        self._missing = []
        self._check = None
        self._checking = ""
        self._report = None
        self._card = None
        self._weights = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)

        self._fillDevices()
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self.onModel)
        self.ui.deviceComboBox.connect("currentIndexChanged(int)", self.onDevice)
        self.ui.cardButton.connect("clicked(bool)", self.onCard)
        self.ui.weightsButton.connect("clicked(bool)", self.onWeights)
        self.ui.checkButton.connect("clicked(bool)", self.onCheck)
        self.ui.installButton.connect("clicked(bool)", self.onInstall)
        for line in slicer.util.findChildren(self.ui.interpreterEdit, className="QLineEdit"):
            line.placeholderText = _("Slicer's own")
        self.ui.interpreterEdit.currentPath = settings.interpreterPath()
        # The second one tells that the line was emptied; the first one is silent then.
        self.ui.interpreterEdit.connect("currentPathChanged(QString)", self.onInterpreter)
        self.ui.interpreterEdit.connect("validInputChanged(bool)", self.onInterpreter)
        self._lookAtInterpreter()
        self.fillModels()

    # What the host calls

    def setParameterNode(self, parameters):
        """Show the choices of this scene; the user may have brought weights or packages meanwhile."""
        if parameters is not None:
            self.fillModels()
            self._lookForPackages()
        self.update()

    def update(self):
        parameters = self._host.parameters
        if parameters is not None:
            self._filling = True
            self.ui.modelComboBox.setCurrentIndex(self.ui.modelComboBox.findData(parameters.model))
            self._showDevice(parameters.device)
            self._filling = False
        entry = self._entry()
        checking, idle = self._check is not None, not self._host.running
        self.ui.modelComboBox.enabled = self.ui.deviceComboBox.enabled = parameters is not None and idle
        self.ui.cardButton.enabled = entry is not None
        self.ui.interpreterEdit.enabled = idle and not checking
        self.ui.checkButton.enabled = checking or (idle and not self._interpreterError)
        self.ui.checkButton.text = _("Cancel check") if checking else _("Check installation")
        self._say(self.ui.adviceLabel, self._advice(entry))
        self._say(self.ui.interpreterFinding, self._interpreterText())
        self._say(self.ui.checkFinding, self._checkText())
        missing = self._packagesToInstall()
        self.ui.installButton.visible = bool(missing)
        self.ui.installButton.enabled = idle and not checking
        if missing:
            self.ui.installButton.text = _("Install {packages}...").format(packages=installation.titles(missing))
        if self._weights is not None:
            self._weights.update()

    def cleanup(self):
        self._endCheck()
        for window in (self._card, self._weights):
            if window is not None:
                window.close()
        self._card = self._weights = None

    def reasonModelCannotRun(self):
        """Why the chosen model cannot run on the chosen device in the chosen Python; empty when it can.

        Packages that Slicer's own Python lacks are no reason: they are offered when the run is started.
        """
        parameters = self._host.parameters
        if parameters is None:
            return ""
        entry = self._entry()
        if entry is None:
            return self._noSuchModel(parameters.model)
        if not entry.available:
            return f"{entry.reason} {entry.remedy}"
        if self._interpreterError:
            return self._interpreterError
        if self._reportedMissing() and not self._interpreter.own:
            return self._pipSentence()
        if self._report is not None and self._report.blocking:
            text = _("{packages} cannot be loaded, the check of the installation says why.")
            return text.format(packages=installation.titles(self._report.blocking))
        return self._reasonAgainstDevice(parameters.device)

    def fillModels(self):
        """The catalog's models in the combo box; those without weights are listed, but cannot be chosen."""
        from LungNoduleSegLib.weights import scan

        self._entries = list(scan().entries)
        titles = [entry.card.title for entry in self._entries]
        self._filling = True
        box = self.ui.modelComboBox
        box.clear()
        for entry in self._entries:
            title = entry.card.title
            if titles.count(title) > 1:  # a card that was copied for a model of one's own
                title = f"{title}, {entry.name}"
            tip = entry.card.summary
            if not entry.available:
                title = _("{model} ({reason})").format(model=title, reason=_shortReason(entry))
                tip = f"{entry.reason} {entry.remedy}"
            box.addItem(title, entry.name)
            row = box.count - 1
            box.setItemData(row, tip, qt.Qt.ToolTipRole)
            if not entry.available:
                box.setItemData(row, 0, qt.Qt.UserRole - 1)  # Qt's way to disable an item
        # In a narrow panel the list may be wider than the box, so that the reasons can be read.
        box.view().setMinimumWidth(box.view().sizeHintForColumn(0) + 24)
        self._filling = False

    # What the user does

    def onModel(self, index):
        if not self._filling and self._host.parameters is not None and index >= 0:
            self._host.parameters.model = self.ui.modelComboBox.itemData(index)
            self._host.updateSections()

    def onDevice(self, index):
        if not self._filling and self._host.parameters is not None and index >= 0:
            self._host.parameters.device = self.ui.deviceComboBox.itemData(index)
            self._lookForPackages()  # a graphics card needs PyTorch
            self._host.updateSections()

    def onCard(self):
        entry = self._entry()
        if entry is None:
            return
        if self._card is None:
            self._card = ModelCardDialog(self.widget)
        self._card.show(entry)

    def onWeights(self):
        if self._weights is None:
            self._weights = WeightsDialog(self._host, self.widget, self.onWeightsChanged)
        self._weights.show()

    def onWeightsChanged(self):
        """After an import, a download or a removal: the list of models is another one."""
        self.fillModels()
        self._host.updateSections()

    def onInterpreter(self):
        """A Python was chosen: kept where it can be used; where not, the finding is shown and nothing can run."""
        if self._filling:
            return
        self._endCheck()
        self._report = None
        self._checking = ""
        if self._lookAtInterpreter():
            settings.setInterpreterPath(self._typedPath())
        self._host.updateSections()

    def onCheck(self):
        if self._check is not None:
            self._check.cancel()
            return
        if self._interpreter is None:
            return
        from LungNoduleSegLib.client.check import start_check
        from LungNoduleSegLib.errors import InputError

        entry, parameters = self._entry(), self._host.parameters
        self._report = None
        self._checking = _("Checking...")
        try:
            self._check = start_check(
                self._interpreter,
                entry.name if entry is not None and entry.available else None,
                "auto" if parameters is None else parameters.device,
                threads=0 if parameters is None else parameters.threads,
                environment=installation.environmentFor(self._interpreter),
            )
        except (InputError, OSError) as error:
            logging.exception("LungNoduleSeg: the check could not be started")
            self._checking = str(error)
        else:
            self._timer.start()
        self._host.updateSections()

    def onInstall(self):
        packages = self._packagesToInstall()
        if packages and installation.askAndInstall(packages, self.widget):
            self._lookForPackages()
            self.onCheck()  # whether what was installed works
            return
        self._lookForPackages()
        self._host.updateSections()

    # The check

    def _poll(self):
        for event in self._check.events():
            kind = event["event"]
            if kind == "progress":
                self._checking = event.get("message") or self._checking
                self._say(self.ui.checkFinding, self._checking)
            elif kind == "result":
                self._report, self._checking = event["report"], ""
            elif kind == "cancelled":
                self._checking = _("The check was cancelled.")
            elif kind == "error":
                self._checking = " ".join(filter(None, [event.get("message"), event.get("remedy")]))
            if kind in ("result", "cancelled", "error"):
                self._endCheck()
                self._lookForPackages()
                self._host.updateSections()
                return

    def _endCheck(self):
        self._timer.stop()
        check, self._check = self._check, None
        if check is not None:
            check.close()

    def _checkText(self):
        if self._report is None:
            if self._checking:
                return self._checking
            if self._missing:
                return _("Not installed yet: {packages}.").format(packages=installation.titles(self._missing))
            return ""
        sentences = list(self._report.sentences())
        missing = self._reportedMissing()
        if missing and not self._interpreter.own:
            sentences.append(
                _("Slicer installs nothing into another Python. Run there: {command}").format(
                    command=installation.pipCommand(self._interpreter, missing)
                )
            )
        return "\n".join(sentences)

    def _pipSentence(self):
        """What another Python than Slicer's own lacks, and what the user can do about it."""
        return _("In this Python {packages} are missing. Run there: {command}").format(
            packages=installation.titles(self._reportedMissing()),
            command=installation.pipCommand(self._interpreter, self._reportedMissing()),
        )

    def _reasonAgainstDevice(self, device):
        """Why the chosen device cannot be used, where a check has found that; of "auto" never, it takes what works."""
        if self._report is None or not self._report.devices or device == "auto":
            return ""
        tried = [found for found in self._report.devices if device in (found.name, found.name.partition(":")[0])]
        if any(found.usable for found in tried):
            return ""
        reason = tried[0].reason if tried else _("PyTorch finds none of this kind")
        return _("The device cannot be used: {reason}.").format(reason=reason)

    def _packagesToInstall(self):
        """What can be installed into Slicer's own Python; nothing into another one."""
        if self._interpreter is None or not self._interpreter.own:
            return []
        return list(dict.fromkeys([*self._missing, *self._reportedMissing()]))

    def _reportedMissing(self):
        """What the check missed, for the device that is chosen now: without a graphics card the others are enough."""
        if self._report is None:
            return []
        there = self._report.onnxruntime or self._report.openvino
        enough = there is not None and self._device() in ("auto", "cpu")
        return [name for name in self._report.missing if not (enough and name == "torch")]

    # The interpreter

    def _typedPath(self):
        return str(self.ui.interpreterEdit.currentPath).strip()

    def _lookAtInterpreter(self):
        """Whether the Python in the line can be used; the finding is kept where not."""
        from LungNoduleSegLib.client.interpreter import Interpreter
        from LungNoduleSegLib.errors import InputError

        path = self._typedPath()
        try:
            self._interpreter = Interpreter.at(path) if path else Interpreter.default()
            self._interpreterError = ""
        except InputError as error:
            self._interpreter, self._interpreterError = None, str(error)
        self._lookForPackages()
        return not self._interpreterError

    def _lookForPackages(self):
        known = self._interpreter is not None
        self._missing = installation.missingPackages(self._interpreter, self._device()) if known else []

    def _interpreterText(self):
        if self._interpreterError:
            return self._interpreterError
        if self._interpreter.own or self._report is not None or self._check is not None:
            return ""
        return _("Runs in {path}. Check the installation to see whether it has what is needed.").format(
            path=self._interpreter.path
        )

    # Model and device

    def _device(self):
        return "auto" if self._host.parameters is None else self._host.parameters.device

    def _entry(self):
        parameters = self._host.parameters
        wanted = None if parameters is None else parameters.model
        return next((entry for entry in self._entries if entry.name == wanted), None)

    def _noSuchModel(self, model):
        text = _("There is no model {model} on this computer. Choose another one, or import it (button Weights).")
        return text.format(model=model)

    def _advice(self, entry):
        parameters = self._host.parameters
        if parameters is None:
            return ""
        if entry is None:
            return self._noSuchModel(parameters.model)
        advice = adviceFor(entry, self._entries)
        if not entry.available:
            return advice
        against = self._reasonAgainstDevice(parameters.device)
        return f"{advice} {against or timeFor(entry, parameters.device, _slicesOf(parameters.inputVolume))}"

    def _fillDevices(self):
        titles = {
            "auto": _("Automatic"),
            "cpu": _("CPU"),
            "cuda": _("NVIDIA GPU (CUDA)"),
            "mps": _("Apple GPU (Metal)"),
        }
        self._filling = True
        for name in DEVICES:
            self.ui.deviceComboBox.addItem(titles[name], name)
        self._filling = False

    def _showDevice(self, device):
        box = self.ui.deviceComboBox
        if box.findData(device) < 0:  # set by a script, "cuda:1"
            box.addItem(device, device)
        box.setCurrentIndex(box.findData(device))

    @staticmethod
    def _say(label, text):
        label.text = text
        label.visible = bool(text)


def _shortReason(entry):
    if entry.card.file is None:
        return _("no weights")
    return _("weights missing") if entry.path is None else _("weights damaged")


def _slicesOf(volumeNode):
    """Number of slices of a volume node, or None."""
    image = None if volumeNode is None else volumeNode.GetImageData()
    return None if image is None else image.GetDimensions()[2]
