"""The panel: its sections, and what they share."""

import sys

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .advanced_section import AdvancedSection
from .click_section import ClickSection
from .find_section import FindSection
from .input_section import InputSection
from .installation import offerInstallation
from .logic import LungNoduleSegLogic
from .model_section import ModelSection
from .nodules_section import NodulesSection

REFRESH_MS = 150
"""Edits made elsewhere come many at a time; they are measured when they have paused for so long."""

_OWN_PACKAGES = ("LungNoduleSegLib", "LungNoduleSegPanel")


class LungNoduleSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Input, Model, Find nodules, Click a nodule, Nodules, Advanced."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameters = None
        self.review = None
        self.sections = []
        self._guiTag = None
        self._updating = False
        self._problem = ""

    # What Slicer calls

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = LungNoduleSegLogic()
        self._refreshTimer = qt.QTimer()
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(REFRESH_MS)
        self._refreshTimer.connect("timeout()", self.onRefresh)
        self.input, self.model, self.find, self.click, self.nodules, self.advanced = self.sections = [
            section(self)
            for section in (InputSection, ModelSection, FindSection, ClickSection, NodulesSection, AdvancedSection)
        ]
        for section in self.sections:
            self.layout.addWidget(section.widget)
        research = qt.QLabel(_("For research use only: not a medical device, not for diagnosis or treatment."))
        research.wordWrap = True
        research.objectName = "researchUseLabel"
        self.layout.addWidget(research)
        self.layout.addStretch(1)
        self.ui = type("Ui", (), {})()
        for section in self.sections:
            self.ui.__dict__.update(vars(section.ui))
        self.nodules.onSelection.append(self.onSelection)
        self.logic.onRunChanged.append(self.updateSections)  # a script may have started it
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        slicer.app.connect("aboutToQuit()", self.onQuit)
        self.initializeParameterNode()

    def cleanup(self):
        slicer.app.disconnect("aboutToQuit()", self.onQuit)
        self._refreshTimer.stop()
        self.logic.onRunChanged.remove(self.updateSections)
        self.setParameterNode(None)
        for section in self.sections:
            section.cleanup()
        self.logic.close()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.click.stop()  # its points belong to this module alone

    def onReload(self):
        """Reload the library and the parts of the panel with the module.

        Each imports what it needs anew, in the order of need, when the module's file is loaded again.
        """
        for name in [name for name in sys.modules if name.partition(".")[0] in _OWN_PACKAGES]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onQuit(self):
        self.logic.close()

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)
        self.logic.forgetScene()

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()
            self.parameters.Modified()  # only now do the selectors know the nodes that they are to show

    # Parameters

    def initializeParameterNode(self):
        parameters = self.logic.getParameterNode()
        if not parameters.inputVolume:
            firstVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if firstVolume and not firstVolume.IsA("vtkMRMLLabelMapVolumeNode"):
                parameters.inputVolume = firstVolume
        parameters.model = self.logic.usableModel(parameters.model)
        self.setParameterNode(parameters)

    def setParameterNode(self, parameters):
        if parameters is not self.parameters:  # each connection leaves an observer on the node that nobody can remove
            if self.parameters:
                node = self.parameters.parameterNode
                self.parameters.disconnectGui(self._guiTag)
                self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            self.parameters = parameters
            if parameters:
                # connectGui would not tell the tag that disconnectGui needs.
                self._guiTag = parameters.connectParametersToGui(self._boundWidgets())
                self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._updateReview()
        for section in self.sections:
            section.setParameterNode(parameters)

    def _boundWidgets(self):
        """Widgets by the name of the parameter that they show."""
        named = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
        return {name: widget for name, widget in named.items() if name}

    def onParametersModified(self, caller=None, event=None):
        # While a scene is read, the nodes are there before their voxels; the end of the import updates all.
        if not (slicer.mrmlScene.IsImporting() or slicer.mrmlScene.IsClosing()):
            self.updateSections()

    # What the sections share

    @property
    def running(self):
        return self.logic.running

    def updateSections(self):
        """Every section shows the state as it is now."""
        if self._updating:
            return
        self._updating = True
        try:
            self._updateReview()
            for section in self.sections:
                section.update()
        finally:
            self._updating = False

    def say(self, text):
        """A sentence for the user: in the status line, and in the log."""
        self.find.ui.statusLabel.text = text
        self.advanced.log(text)

    def logRun(self):
        """What the process of the last run has written, into the log."""
        self.advanced.logRun(self.logic.log())

    def logClicks(self):
        """What the process of the clicks has written, into the log."""
        self.advanced.logRun(self.logic.log(clicks=True))

    def reasonNotToRun(self):
        """Why neither a run nor a click can start, as a sentence; empty when they can."""
        if not self.parameters or not self.parameters.inputVolume:
            return _("Choose a CT.")
        return self.model.reasonModelCannotRun()

    def offerInstallation(self):
        """Ask before anything is installed; True when a run can start."""
        return offerInstallation(self.parent, self.parameters.device if self.parameters else "auto")

    def segmentationForRun(self):
        """Where a run adds its nodules: the chosen segmentation, unless it belongs to another CT."""
        node, volume = self.parameters.segmentation, self.parameters.inputVolume
        return node if node is not None and self._belongs(node, volume) else None

    def selectSegment(self, segmentId):
        self.nodules.update()
        self.nodules.selectSegments([segmentId])

    def onSelection(self, segmentIds):
        self.click.selectCurrent(segmentIds[0] if len(segmentIds) == 1 else None)

    def onRunEnded(self, outcome):
        """A run has ended well: its segmentation becomes the one that is shown, and the views go to the most probable
        nodule that is new."""
        if outcome.nodes is None:
            return
        self.parameters.segmentation = outcome.nodes.segmentation
        if outcome.nodes.segment_ids:
            self.nodules.update()
            self.nodules.go(outcome.nodes.segment_ids[:1])

    @staticmethod
    def _belongs(segmentation, volume):
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        reference = segmentation.GetNodeReference(role)
        return reference is None or reference is volume

    # The nodules

    def _updateReview(self):
        review, problem = self._wantedReview()
        if problem != self._problem:
            self._problem = problem
            if problem:
                self.say(problem)
        if review is self.review:
            return
        if self.review is not None and self.updateSections in self.review.on_change:
            self.review.on_change.remove(self.updateSections)
        self.review = review
        if review is not None:
            review.on_change.append(self.updateSections)
            review.observe(lambda: self._refreshTimer.start())

    def _wantedReview(self):
        """The review of what is chosen, None where nothing is or it cannot be had; and why it cannot be had."""
        parameters = self.parameters
        if not parameters or parameters.segmentation is None or parameters.inputVolume is None:
            return None, ""
        if not self._belongs(parameters.segmentation, parameters.inputVolume):
            return None, ""
        try:
            review = self.logic.review(parameters.segmentation, parameters.inputVolume)
            if review is not self.review:
                review.refresh()  # nobody has watched it
            return review, ""
        except Exception as error:
            return None, str(error)

    def onRefresh(self):
        """Something changed the segmentation: measure what is different."""
        if self.review is not None:
            with slicer.util.tryWithErrorDisplay(_("The nodules could not be measured again."), waitCursor=False):
                self.review.refresh()
