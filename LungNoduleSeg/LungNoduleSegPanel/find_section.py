"""Section Find nodules: the run, and the sensitivity that changes its result at once."""

from contextlib import contextmanager

import qt
import slicer
from slicer.i18n import tr as _

from .runs import timeLeft

FOLLOW_MS = 60
ROI_SIZE_MM = 80.0


class FindSection:
    """host - the panel: logic, parameters, running, review, resourcePath(name), say(text), updateSections(),
    reasonNotToRun(), offerInstallation(), segmentationForRun(), onRunEnded(outcome) and logRun()."""

    def __init__(self, host):
        self._host = host
        self.widget = slicer.util.loadUI(host.resourcePath("UI/Find.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self._shown = None
        self._atStart = None
        self._starting = False
        self._curve = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.connect("timeout()", self.follow)
        self.ui.progressBar.visible = False
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.probabilityCheckBox.connect("clicked(bool)", self.onProbability)
        self.ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.onRoiAdded)

    def setParameterNode(self, parameters):
        self._shown = None if parameters is None else self._wanted()
        self._curve = None  # a scene brings its own sensitivity with its model
        self.update()

    def cleanup(self):
        self._timer.stop()

    # What is shown

    def update(self):
        running, parameters = self._host.running, self._host.parameters
        cancelling = running and self._host.logic.cancelling
        reason = "" if running else self._host.reasonNotToRun()
        button = self.ui.applyButton
        button.enabled = (running and not cancelling) or not (running or reason)
        button.text = _("Cancel") if running else _("Apply")
        button.toolTip = reason or (
            _("Stop; nothing is added to the scene.") if running else _("Find the nodules in the CT.")
        )
        self.ui.progressBar.visible = running
        for widget in (self.ui.roiCheckBox, self.ui.roiSelector, self.ui.probabilityCheckBox):
            widget.enabled = not running
        if parameters is None:
            return
        self.ui.roiSelector.enabled = not running and parameters.useRoi
        self._updateCurve(parameters)
        self._updateProbability(parameters)
        if self._wanted() != self._shown and not running:
            self._timer.start()

    def _updateCurve(self, parameters):
        if self._curve is None or self._curve[0] != parameters.model:
            changed = self._curve is not None
            self._curve = (parameters.model, self._host.logic.operatingCurve(parameters.model))
            if changed:  # the user chose another model: the slider goes to its own default
                parameters.sensitivity = self._curve[1].default
        self.ui.sensitivityNoteLabel.text = self.describeSensitivity()

    def describeSensitivity(self):
        """The threshold that the slider means, and what it gave where it was measured."""
        from LungNoduleSegLib.weights.curve import describe_point

        curve, position = self._curve[1], self._host.parameters.sensitivity
        text = _("Threshold {threshold:.3f}.").format(threshold=curve.threshold(position))
        point = curve.nearest(position)
        if point is not None:
            named = _("Operating point \"{name}\".").format(name=point["name"])
            text = " ".join(filter(None, [text, named, describe_point(point)]))
        return text

    @property
    def threshold(self):
        """The threshold that the slider means for the chosen model."""
        if self._curve is None or self._curve[0] != self._host.parameters.model:
            self._updateCurve(self._host.parameters)
        return self._curve[1].threshold(self._host.parameters.sensitivity)

    def setThreshold(self, threshold):
        """Move the slider to where it means this threshold."""
        self._host.parameters.sensitivity = self._curve[1].position(threshold)

    def _updateProbability(self, parameters):
        from LungNoduleSegLib.mrml.probability import find_probability, show_again

        node = None if parameters.inputVolume is None else find_probability(parameters.inputVolume)
        if node is not None:
            show_again(node, parameters.showProbability)

    # The slider, after a run

    def _wanted(self):
        parameters = self._host.parameters
        if parameters is None or parameters.inputVolume is None:
            return None
        return parameters.inputVolume.GetID(), parameters.model, parameters.sensitivity, parameters.minimumDiameterMm

    def follow(self):
        """Show the last run at the sensitivity that is set now."""
        parameters, wanted = self._host.parameters, self._wanted()
        if wanted is None or wanted == self._shown or self._host.running:
            return
        earlier, self._shown = self._shown, wanted
        logic = self._host.logic
        if earlier is None or earlier[:2] != wanted[:2]:
            return
        refused = _("The nodules could not be shown at this sensitivity.")
        with slicer.util.tryWithErrorDisplay(refused, waitCursor=False):
            if not logic.canFollow(parameters.inputVolume, parameters.model, parameters.segmentation):
                return
            result, node = logic.setThreshold(
                parameters.inputVolume, self.threshold, parameters.minimumDiameterMm, parameters.segmentation
            )
            parameters.segmentation = node
            self._host.say(logic.describe(result))
        self._host.updateSections()

    # The run

    def onApply(self):
        logic = self._host.logic
        if self._host.running:
            logic.cancel()
            self.ui.statusLabel.text = _("Cancelling...")
            self.update()
            return
        parameters = self._host.parameters
        if not self._host.offerInstallation():
            return
        self.ui.statusLabel.text = ""
        self.ui.progressBar.value = 0
        self._atStart = self._wanted()
        with self._start(), slicer.util.tryWithErrorDisplay(_("The run could not be started."), waitCursor=False):
            if parameters.useRoi and parameters.roi is None:
                raise RuntimeError(_("Choose or make the box that is to be searched, or untick \"Only inside\"."))
            logic.process(
                parameters.inputVolume,
                model=parameters.model,
                device=parameters.device,
                roi=parameters.roi if parameters.useRoi else None,
                threshold=self.threshold,
                minimumDiameterMm=parameters.minimumDiameterMm,
                segmentationNode=self._host.segmentationForRun(),
                wait=False,
                onEvent=self.onEvent,
                probability=parameters.showProbability,
                threads=parameters.threads or None,
            )

    @contextmanager
    def _start(self):
        """Whatever comes of it, the buttons are right afterwards, and an error is shown once."""
        self._starting = True
        try:
            yield
        finally:
            self._starting = False
            self._host.updateSections()

    def onEvent(self, event):
        """What a run says; the last event comes after it has ended."""
        if event["event"] == "progress":
            percent = int(100 * event["fraction"])
            self.ui.progressBar.value = percent
            if not self._host.logic.cancelling:
                parts = [f"{percent} %", event["message"], timeLeft(event["secondsLeft"])]
                self.ui.statusLabel.text = ", ".join(filter(None, parts))
            return
        self._host.say(event["message"])
        if not self._starting:
            self._host.logRun()
        if event["event"] == "result":
            self._shown = self._atStart  # the slider may have been moved since: the result follows it then
            self._host.onRunEnded(self._host.logic.lastOutcome)
        self._host.updateSections()
        if event["event"] == "error" and not self._starting:
            slicer.util.errorDisplay(
                _("The nodules could not be segmented. {message}").format(message=event["message"])
            )

    def onProbability(self, on):
        """Say why nothing is seen where the last run has not kept the probability."""
        from LungNoduleSegLib.mrml.probability import find_probability

        parameters = self._host.parameters
        volume = None if parameters is None else parameters.inputVolume
        if not on or volume is None or find_probability(volume) is not None:
            return
        if self._host.logic.canFollow(volume, parameters.model):
            self._host.say(_("The last run did not keep the probability. Press Apply once more to see it."))

    def onRoiAdded(self, roi):
        """A new box begins in the middle of what the slice views show."""
        if roi is None or roi.GetNumberOfControlPoints() > 0:
            return
        roi.SetCenterWorld(*self._middle())
        roi.SetSizeWorld(ROI_SIZE_MM, ROI_SIZE_MM, ROI_SIZE_MM)
        self._host.parameters.useRoi = True

    def _middle(self):
        middle = [0.0, 0.0, 0.0]
        bounds = [0.0] * 6
        volume = self._host.parameters.inputVolume
        if volume is not None:
            volume.GetRASBounds(bounds)
            middle = [(bounds[0] + bounds[1]) / 2, (bounds[2] + bounds[3]) / 2, (bounds[4] + bounds[5]) / 2]
        axis = {"Sagittal": 0, "Coronal": 1, "Axial": 2}
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            place = axis.get(node.GetOrientation())
            if place is not None:
                offset = node.GetSliceOffset()
                if volume is None or bounds[2 * place] <= offset <= bounds[2 * place + 1]:
                    middle[place] = offset
        return middle
