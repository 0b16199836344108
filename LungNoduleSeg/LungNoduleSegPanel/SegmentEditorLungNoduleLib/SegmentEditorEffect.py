"""Segment Editor effect: a click adds the nodule at that point to the selected segment, or cuts it off."""

from pathlib import Path

import numpy as np
import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

MODEL = "Model"
CUT = "Cut"


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Clicks in slice views, answered by the same worker as the panel's."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "Lung nodule"  # the effect's identifier: not translated
        scriptedEffect.title = _("Lung nodule")
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self._logic = None
        self._pending = None

    def clone(self):
        from LungNoduleSegPanel.SegmentEditorLungNoduleLib.registration import newEffect

        return newEffect()

    def icon(self):
        path = Path(__file__).resolve().parents[2] / "Resources" / "Icons" / "LungNoduleSeg.png"
        return qt.QIcon(str(path)) if path.is_file() else qt.QIcon()

    def helpText(self):
        return _(
            "<html>Click on a lung nodule in a slice view: the nodule is added to the selected segment. "
            "<b>Ctrl</b> and a click, or <i>Cut</i>, takes off what belongs to the point. "
            "For research use only.</html>"
        )

    def setupOptionsFrame(self):
        self.modelComboBox = qt.QComboBox()
        self.modelComboBox.toolTip = _("The network that segments. Those without weights cannot be chosen.")
        self.modelComboBox.connect("currentIndexChanged(int)", self.updateMRMLFromGUI)
        self.scriptedEffect.addLabeledOptionsWidget(_("Model:"), self.modelComboBox)
        self.cutCheckBox = qt.QCheckBox(_("Cut"))
        self.cutCheckBox.toolTip = _("Clicks take off what belongs to the point, as Ctrl and a click does.")
        self.cutCheckBox.connect("toggled(bool)", self.updateMRMLFromGUI)
        self.scriptedEffect.addOptionsWidget(self.cutCheckBox)
        self.statusLabel = qt.QLabel()
        self.statusLabel.wordWrap = True
        self.scriptedEffect.addOptionsWidget(self.statusLabel)

    def createCursor(self, widget):
        return qt.QCursor(qt.Qt.CrossCursor)

    def setMRMLDefaults(self):
        from LungNoduleSegPanel.parameters import DEFAULT_MODEL

        self.scriptedEffect.setParameterDefault(MODEL, DEFAULT_MODEL)
        self.scriptedEffect.setParameterDefault(CUT, 0)

    def updateGUIFromMRML(self):
        self._fillModels()
        blocked = self.cutCheckBox.blockSignals(True)
        self.cutCheckBox.checked = bool(self.scriptedEffect.integerParameter(CUT))
        self.cutCheckBox.blockSignals(blocked)

    def updateMRMLFromGUI(self, *_arguments):
        index = self.modelComboBox.currentIndex
        if index >= 0:
            self.scriptedEffect.setParameter(MODEL, self.modelComboBox.itemData(index))
        self.scriptedEffect.setParameter(CUT, int(self.cutCheckBox.checked))

    def _fillModels(self):
        blocked = self.modelComboBox.blockSignals(True)
        self.modelComboBox.clear()
        for entry in self.logic.models():
            if entry.available:
                self.modelComboBox.addItem(entry.card.title, entry.name)
        wanted = self.modelComboBox.findData(self.scriptedEffect.parameter(MODEL))
        self.modelComboBox.setCurrentIndex(max(wanted, 0))
        self.modelComboBox.blockSignals(blocked)

    @property
    def logic(self):
        """The panel's own logic, so that both share the network in memory; one of its own where there is no panel.

        The panel is asked each time: after a reload its logic is another one.
        """
        if self._logic is None:
            try:
                return slicer.util.getModuleLogic("LungNoduleSeg")
            except Exception:  # the module is not loaded: the effect is used on its own
                from LungNoduleSegPanel.logic import LungNoduleSegLogic

                self._logic = LungNoduleSegLogic()
        return self._logic

    # Clicks

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        if viewWidget.className() != "qMRMLSliceWidget" or eventId != vtk.vtkCommand.LeftButtonPressEvent:
            return False
        if callerInteractor.GetShiftKey() or callerInteractor.GetAltKey():
            return False  # Slicer's own: move the crosshair, pan
        xy = callerInteractor.GetEventPosition()
        self.clickAt(
            self.xyToRas(xy, viewWidget),
            cut=bool(callerInteractor.GetControlKey()) or bool(self.scriptedEffect.integerParameter(CUT)),
        )
        return True

    def clickAt(self, ras, cut=False):
        """Add the nodule at a point (world RAS mm) to the selected segment, or cut it off; answered a moment later."""
        from LungNoduleSegPanel.installation import offerInstallation

        if self._pending is not None or not offerInstallation():
            return
        parameters = self.scriptedEffect.parameterSetNode()
        segmentation, segmentId = parameters.GetSegmentationNode(), parameters.GetSelectedSegmentID()
        volume = parameters.GetSourceVolumeNode()
        with slicer.util.tryWithErrorDisplay(_("The click could not be segmented."), waitCursor=False):
            if volume is None:
                raise RuntimeError(_("Choose the CT as source volume."))
            if not segmentId:
                raise RuntimeError(_("Choose a segment."))
            base = self._base(segmentation, segmentId, volume)
            if cut and base is None:
                raise RuntimeError(_("The segment is empty: there is nothing to cut."))
            logic, model = self.logic, self.modelComboBox.itemData(self.modelComboBox.currentIndex)
            if model is None:
                raise RuntimeError(_("There is no model with weights. Import or download one in the module's panel."))
            self.statusLabel.text = _("Segmenting...")
            self._pending = (segmentation, segmentId, volume)
            positive, negative = ([], [tuple(ras)]) if cut else ([tuple(ras)], [])
            logic.clickMask(volume, positive, negative, base, model=model, onDone=self.onDone)

    @staticmethod
    def _base(segmentation, segmentId, volume):
        """What the segment holds now, on the CT's grid; None where it is empty."""
        from LungNoduleSegLib.client.exchange import Base

        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentId, volume)
        at = np.argwhere(mask) if mask is not None else np.zeros((0, 3), int)
        if not len(at):
            return None
        low, high = at.min(axis=0), at.max(axis=0) + 1
        box = tuple(slice(a, b) for a, b in zip(low, high))
        return Base(tuple(int(a) for a in low), np.ascontiguousarray(mask[box] != 0))

    def onDone(self, click):
        """The answer came: it becomes the segment's content, as one step of the Segment Editor's undo."""
        (segmentation, segmentId, volume), self._pending = self._pending, None
        self.statusLabel.text = click.message
        if click.error is not None or click.mask is None:
            return
        parameters = self.scriptedEffect.parameterSetNode()
        if parameters.GetSegmentationNode() is not segmentation or parameters.GetSelectedSegmentID() != segmentId:
            self.statusLabel.text = _("Another segment was selected meanwhile; nothing was changed.")
            return
        self.scriptedEffect.saveStateForUndo()
        self.scriptedEffect.modifySelectedSegmentByLabelmap(
            self._modifier(click.mask, volume), slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeSet
        )

    def _modifier(self, base, volume):
        """A mask on the CT's grid as a labelmap on the grid of the segment that is edited."""
        from LungNoduleSegLib.mrml.geometry import labelmap, numpy_matrix

        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        image = labelmap(base.mask, base.offset_kji, numpy_matrix(matrix))
        modifier = self.scriptedEffect.defaultModifierLabelmap()
        resampled = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, modifier, resampled)
        return resampled
