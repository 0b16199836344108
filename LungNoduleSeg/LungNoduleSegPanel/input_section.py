"""Section Input: which CT, and what was checked about it before any run."""

import qt
import slicer
from slicer.i18n import tr as _


class InputSection:
    """host - the panel: logic, parameters, resourcePath(name), updateSections()."""

    def __init__(self, host):
        self._host = host
        self.widget = slicer.util.loadUI(host.resourcePath("UI/Input.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self._checked = None
        self._seen = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self.check)
        self._show("", "")
        self.ui.seenLabel.visible = False

    def setParameterNode(self, parameters):
        self.update()

    def update(self):
        self._updateSeen()
        if self._state() != self._checked:
            self._timer.start()  # reading a large CT takes a moment: the panel is drawn before

    def cleanup(self):
        self._timer.stop()

    def _node(self):
        return self._host.parameters.inputVolume if self._host.parameters else None

    def _state(self):
        node = self._node()
        image = None if node is None else node.GetImageData()
        return None if node is None else (node.GetID(), None if image is None else image.GetMTime(), self._matrix(node))

    @staticmethod
    def _matrix(node):
        from LungNoduleSegLib.errors import InputError
        from LungNoduleSegLib.mrml.geometry import volume_to_world

        try:
            return volume_to_world(node).tobytes()
        except InputError as error:
            return str(error)

    def check(self):
        """Say what the CT is and what is wrong with it; a CT that was checked already is not read again."""
        state = self._state()
        if state == self._checked:
            return
        self._checked = state
        if state is None:
            self._show("", "")
            return
        try:
            found = self._host.logic.checkInput(self._node())
        except Exception as error:  # whatever is wrong with the node is the finding, not a failure of the panel
            self._show("", str(error))
            return
        self._show(" ".join(found.sentences), " ".join(found.problems))

    def _show(self, sentences, problems):
        self.ui.checkLabel.text = sentences
        self.ui.checkLabel.visible = bool(sentences)
        self.ui.problemsLabel.text = _("Attention: {problems}").format(problems=problems) if problems else ""
        self.ui.problemsLabel.visible = bool(problems)

    def _updateSeen(self):
        parameters = self._host.parameters
        node = self._node()
        key = None if node is None else (node.GetID(), parameters.model)
        if key == self._seen:
            return
        self._seen = key
        part = None if key is None else self._host.logic.seenInTraining(node, parameters.model)
        text = {
            "train": _(
                "The model has seen this CT in its training data: what it finds here says nothing about other patients."
            ),
            "validation": _(
                "The model has seen this CT in its validation data: what it finds here says nothing about other "
                "patients."
            ),
        }.get(part, "")
        self.ui.seenLabel.text = text
        self.ui.seenLabel.visible = bool(text)
