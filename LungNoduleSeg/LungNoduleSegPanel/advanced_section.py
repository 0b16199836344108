"""Section Advanced: threads, the threshold as a number, the log."""

import slicer
from slicer.i18n import tr as _

_SAME = 5e-4
_MOST_LINES = 5000


class AdvancedSection:
    """host - the panel: logic, parameters, find (the section with the sensitivity), resourcePath(name)."""

    def __init__(self, host):
        self._host = host
        self.widget = slicer.util.loadUI(host.resourcePath("UI/Advanced.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.ui.logText.maximumBlockCount = _MOST_LINES
        self.ui.thresholdSpinBox.connect("editingFinished()", self.onThreshold)
        self.ui.copyLogButton.connect("clicked(bool)", self.onCopyLog)

    def setParameterNode(self, parameters):
        self.update()

    def update(self):
        if self._host.parameters is not None:
            threshold = self._host.find.threshold
            if abs(self.ui.thresholdSpinBox.value - threshold) > _SAME:
                self.ui.thresholdSpinBox.value = threshold

    def cleanup(self):
        pass

    def log(self, text):
        """One more line."""
        self.ui.logText.appendPlainText(text)

    def logRun(self, text):
        """What the process of a run wrote, after it has ended."""
        if text.strip():
            self.log(text.rstrip())

    def onThreshold(self):
        threshold = self.ui.thresholdSpinBox.value
        if self._host.parameters is not None and abs(threshold - self._host.find.threshold) > _SAME:
            self._host.find.setThreshold(threshold)

    def onCopyLog(self):
        slicer.app.clipboard().setText(self.ui.logText.toPlainText())
        self._host.say(_("The log was copied."))
