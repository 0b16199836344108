"""The LungNoduleSeg module of 3D Slicer: a thin panel over the library LungNoduleSegLib.

At file scope nothing is imported but what Slicer brings: the library, and torch far more, only when it is used.
"""

import importlib
import importlib.util
import inspect
import logging
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

DEFAULT_MODEL = "model-2-compact"
DEFAULT_MINIMUM_DIAMETER_MM = 3.0
# Run-time packages that Slicer does not bring, by import name; torch comes through the PyTorch extension.
NEEDED_PACKAGES = {"safetensors": "safetensors>=0.4"}


def _findLibrary():
    """In an installed extension the library lies beside this file; in a checkout one folder higher."""
    if importlib.util.find_spec("LungNoduleSegLib") is None:
        root = Path(__file__).resolve().parents[1]
        if (root / "LungNoduleSegLib" / "__init__.py").is_file():
            sys.path.append(str(root))


_findLibrary()


class LungNoduleSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Lung Nodule Segmentation")
        self.parent.categories = [_("Segmentation")]
        self.parent.dependencies = ["Segmentations", "Markups", "SubjectHierarchy"]
        self.parent.contributors = ["The LungNoduleSeg authors"]
        self.parent.helpText = _(
            "Finds and segments lung nodules in a chest CT and measures them. Research use only."
        ) + self.getDefaultModuleDocumentationLink("LungNoduleSeg")
        self.parent.acknowledgementText = _(
            "Residual U-Nets with squeeze-and-excitation blocks and transformers, trained on LIDC-IDRI "
            "(The Cancer Imaging Archive, CC BY 3.0)."
        )


@parameterNodeWrapper
class LungNoduleSegParameterNode:
    """What the panel keeps in the scene.

    inputVolume - the CT.
    model - name of the model; its combo box is bound by hand, because the list of models is only known at run time.
    minimumDiameterMm - smaller nodules are left out.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    model: str = DEFAULT_MODEL
    minimumDiameterMm: Annotated[float, WithinRange(0, 30)] = DEFAULT_MINIMUM_DIAMETER_MM


class LungNoduleSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: choose a CT and a model, press Apply; while it runs, Apply is Cancel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None
        self._running = False
        self._fillingModels = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LungNoduleSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = LungNoduleSegLogic()

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self.onModelChanged)
        self.ui.progressBar.visible = False
        self.fillModels()
        self.initializeParameterNode()

    def cleanup(self):
        if self._running:
            self.logic.cancel()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.fillModels()  # the user may have imported weights meanwhile
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onReload(self):
        """Reload the library with the module.

        The library is only imported inside of functions, so forgetting its modules is enough: the next use imports them
        anew, each after those that it needs.
        """
        for name in [name for name in sys.modules if name.partition(".")[0] == "LungNoduleSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event):
        if self._running:
            self.logic.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            firstVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if firstVolume and not firstVolume.IsA("vtkMRMLLabelMapVolumeNode"):
                self._parameterNode.inputVolume = firstVolume
        self._parameterNode.model = self.logic.usableModel(self._parameterNode.model)

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._guiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self.updatePanel()

    def fillModels(self):
        """The catalog's models in the combo box; those without weights are listed, but cannot be chosen."""
        self._fillingModels = True
        self.ui.modelComboBox.clear()
        for entry in self.logic.models():
            title = entry.card.title if entry.available else _("{model} (no weights)").format(model=entry.card.title)
            self.ui.modelComboBox.addItem(title, entry.name)
            row = self.ui.modelComboBox.count - 1
            self.ui.modelComboBox.setItemData(row, entry.card.summary, qt.Qt.ToolTipRole)
            if not entry.available:
                self.ui.modelComboBox.setItemData(row, 0, qt.Qt.UserRole - 1)  # Qt's way to disable an item
        self._fillingModels = False
        self.updatePanel()

    def onModelChanged(self, index):
        if not self._fillingModels and self._parameterNode and index >= 0:
            self._parameterNode.model = self.ui.modelComboBox.itemData(index)

    def updatePanel(self, caller=None, event=None):
        parameters = self._parameterNode
        if parameters:
            self._fillingModels = True
            self.ui.modelComboBox.setCurrentIndex(self.ui.modelComboBox.findData(parameters.model))
            self._fillingModels = False
        self.ui.modelSummaryLabel.text = self.describeModel(parameters.model) if parameters else ""
        reason = self.reasonNotToApply()
        self.ui.applyButton.enabled = self._running or not reason
        self.ui.applyButton.text = _("Cancel") if self._running else _("Apply")
        self.ui.applyButton.toolTip = reason or (
            _("Stop; nothing is added to the scene.") if self._running else _("Find the nodules in the CT.")
        )

    def describeModel(self, model):
        """The model's summary and, where it cannot run, why not and what to do."""
        return "\n".join(filter(None, [self.logic.modelSummary(model), self.logic.reasonModelCannotRun(model)]))

    def reasonNotToApply(self):
        """Why Apply is greyed, as a sentence; empty when it is not."""
        if not self._parameterNode or not self._parameterNode.inputVolume:
            return _("Choose a CT.")
        return self.logic.reasonModelCannotRun(self._parameterNode.model)

    def onApply(self):
        if self._running:
            self.logic.cancel()
            self.ui.statusLabel.text = _("Cancelling...")
            return
        volume, model = self._parameterNode.inputVolume, self._parameterNode.model
        minimumDiameterMm = self._parameterNode.minimumDiameterMm
        if not self.offerInstallation():
            return
        self.setRunning(True)
        try:
            with slicer.util.tryWithErrorDisplay(_("The nodules could not be segmented."), waitCursor=False):
                outcome = self.logic.process(
                    volume, model=model, minimumDiameterMm=minimumDiameterMm, onEvent=self.onEvent
                )
                self.ui.statusLabel.text = outcome.message
        finally:
            self.setRunning(False)

    def setRunning(self, running):
        self._running = running
        self.ui.progressBar.visible = running
        self.ui.progressBar.value = 0
        if running:
            self.ui.statusLabel.text = ""
        self.updatePanel()

    def onEvent(self, event):
        """Show what the run says, and let the application react, so that Cancel can be pressed."""
        if event["event"] == "progress":
            self.ui.progressBar.value = int(100 * event["fraction"])
            self.ui.statusLabel.text = event["message"]
        elif event["event"] == "error":
            self.ui.statusLabel.text = event["message"]
        slicer.app.processEvents()

    def offerInstallation(self):
        """Ask before anything is installed; True when the run can start."""
        missing = self.logic.missingPackages()
        if not missing:
            return True
        question = _("Segmentation needs the Python packages {packages}. Install them now? This can take minutes.")
        if not slicer.util.confirmOkCancelDisplay(question.format(packages=", ".join(missing))):
            self.ui.statusLabel.text = _("Not started: {packages} are not installed.").format(
                packages=", ".join(missing)
            )
            return False
        with slicer.util.tryWithErrorDisplay(_("The installation did not succeed."), waitCursor=True):
            self.logic.install(missing)
            return not self.logic.missingPackages()
        return False


class Outcome:
    """What a run gave.

    nodes - the published nodes (segmentation, points, table, segment_ids), or None where there was no nodule.
    result - the library's result; result.at(threshold) filters it again.
    message - one or two sentences for the user.
    """

    def __init__(self, nodes, result, message):
        self.nodes, self.result, self.message = nodes, result, message


class LungNoduleSegLogic(ScriptedLoadableModuleLogic):
    """Everything that the panel does, for scripts too; needs no panel.

    In a script:

        logic = slicer.util.getModuleLogic("LungNoduleSeg")
        outcome = logic.process(slicer.util.getNode("CT"), model="model-2-compact")

    loadSegmenter - takes a model's name and a device, returns what has segment(ct, ...); default: the library's.
    """

    def __init__(self, loadSegmenter=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self._loadSegmenter = loadSegmenter
        self._cancelled = False

    def getParameterNode(self):
        return LungNoduleSegParameterNode(super().getParameterNode())

    # Models

    def models(self):
        """The catalog's entries, those without weights too."""
        from LungNoduleSegLib.weights import models

        return models()

    def _entry(self, model):
        return next((entry for entry in self.models() if entry.name == model), None)

    def usableModel(self, model):
        """The model itself where the catalog has it, else the first that has weights, else the model."""
        entries = self.models()
        if any(entry.name == model for entry in entries):
            return model
        return next((entry.name for entry in entries if entry.available), model)

    def modelSummary(self, model):
        """One or two sentences of the model's card."""
        entry = self._entry(model)
        return "" if entry is None else entry.card.summary

    def reasonModelCannotRun(self, model):
        """Why a model cannot be run, as sentences; empty when it can."""
        if self._loadSegmenter is not None:
            return ""
        entry = self._entry(model)
        if entry is None:
            return _("There is no model {model}.").format(model=model)
        return "" if entry.available else f"{entry.reason} {entry.remedy}"

    # Installation: only ever on the user's action, after asking

    def missingPackages(self):
        """Names of the Python packages that a run needs and that are not there; nothing is imported to find out."""
        if self._loadSegmenter is not None:
            return []
        return [name for name in ("torch", *NEEDED_PACKAGES) if importlib.util.find_spec(name) is None]

    def install(self, packages):
        """Install packages: torch through the PyTorch extension, which picks the build for this computer."""
        if "torch" in packages:
            self._installTorch()
        others = [NEEDED_PACKAGES[name] for name in packages if name != "torch"]
        if others:
            self._pipInstall(others)
        importlib.invalidate_caches()

    def _pipInstall(self, requirements):
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # Slicer 5.10
            slicer.util.pip_install(" ".join(requirements))
            return
        pip_ensure(requirements, prompt_install=False, requester="LungNoduleSeg")

    def _installTorch(self):
        try:
            import PyTorchUtils
        except ImportError as error:
            raise RuntimeError(
                _(
                    "PyTorch is not installed. Install the extension PyTorch with the Extensions Manager, "
                    "restart Slicer, and press Apply again."
                )
            ) from error
        logic = PyTorchUtils.PyTorchUtilsLogic()
        wanted = {"askConfirmation": False, "forceComputationBackend": None}
        known = inspect.signature(logic.installTorch).parameters  # they differ between versions of the extension
        if logic.installTorch(**{name: value for name, value in wanted.items() if name in known}) is None:
            raise RuntimeError(_("PyTorch was not installed; Slicer's log says why."))

    # A run, in three phases

    def process(
        self,
        ctNode,
        model=DEFAULT_MODEL,
        device="auto",
        roi=None,
        threshold=None,
        minimumDiameterMm=None,
        segmentationNode=None,
        onEvent=None,
    ):
        """Find the nodules of a CT and show them in the scene.

        ctNode - volume node; its parent transforms count.
        roi - two corners ((x, y, z), (x, y, z)) of a box in world RAS mm, or None for the whole CT.
        threshold, minimumDiameterMm - None for the model's own.
        segmentationNode - a segmentation to add to; None for a new one.
        onEvent - is called with {"event": "progress", "fraction": 0..1, "message": str}, finally with
            {"event": "result" | "cancelled" | "error", "message": str}.
        Returns an Outcome. Errors are raised, after the event; the scene is then as it was before.
        """
        tell = onEvent or (lambda event: None)
        self._cancelled = False
        cancelled = self._cancelledError()
        try:
            tell({"event": "progress", "fraction": 0.0, "message": _("Reading the CT")})
            ct = self.prepare(ctNode)
            result = self.run(
                ct,
                model,
                device,
                {"roi": roi, "threshold": threshold, "min_diameter_mm": minimumDiameterMm},
                lambda fraction, message: tell({"event": "progress", "fraction": fraction, "message": message}),
            )
            nodes = self.publish(result, ctNode, segmentationNode)
        except cancelled:
            message = _("Cancelled; nothing was added to the scene.")
            tell({"event": "cancelled", "message": message})
            return Outcome(None, None, message)
        except Exception as error:
            logging.exception("LungNoduleSeg: the run failed")
            tell({"event": "error", "message": str(error)})
            raise
        outcome = Outcome(nodes, result, self.describe(result))
        tell({"event": "result", "message": outcome.message})
        return outcome

    def cancel(self):
        """Let the run in progress stop at its next step."""
        self._cancelled = True

    def prepare(self, ctNode):
        """Main thread: the CT as numpy, a copy."""
        from LungNoduleSegLib.mrml import ct_from_volume

        return ct_from_volume(ctNode)

    def run(self, ct, model, device, options, progress):
        """Numpy only, no scene: the result of the model on the CT."""
        if self._loadSegmenter is not None:
            segmenter = self._loadSegmenter(model, device)
        else:
            missing = self.missingPackages()
            if missing:
                raise RuntimeError(
                    _("Segmentation needs the Python packages {packages}, which are not installed.").format(
                        packages=", ".join(missing)
                    )
                )
            from LungNoduleSegLib.segmenter import load_segmenter

            progress(0.0, _("Loading {model}").format(model=model))
            segmenter = load_segmenter(model, device=device)
        return segmenter.segment(ct, progress=progress, cancel=lambda: self._cancelled, **options)

    def publish(self, result, ctNode, segmentationNode=None):
        """Main thread: the nodules in the scene, all or nothing; None where there are none."""
        if self._cancelled:
            raise self._cancelledError()
        from LungNoduleSegLib.mrml import publish

        return publish(result, ctNode, segmentation_node=segmentationNode)

    def describe(self, result):
        """What was found, as sentences."""
        count = len(result.nodules)
        if count:
            words = _("1 nodule") if count == 1 else _("{count} nodules").format(count=count)
            text = _("{found} found.").format(found=words)
        else:
            text = _("No nodule found.")
            if result.best is not None:
                probability, (x, y, z) = result.best
                words = _("The highest probability is {probability:.2f}, at R {x:.1f}, A {y:.1f}, S {z:.1f} mm.")
                text += " " + words.format(probability=probability, x=x, y=y, z=z)
        if result.seen_in_training:
            text += " " + _("The model has seen this CT in its {part} data.").format(
                part={"train": _("training"), "validation": _("validation")}[result.seen_in_training]
            )
        return " ".join([text, *result.warnings])

    def history(self, segmentationNode, ctNode):
        """Undo and redo for a segmentation of nodules; points and table follow."""
        from LungNoduleSegLib.mrml import NoduleHistory

        return NoduleHistory(segmentationNode, ctNode)

    @staticmethod
    def _cancelledError():
        from LungNoduleSegLib.errors import Cancelled

        return Cancelled


class LungNoduleSegTest(ScriptedLoadableModuleTest):
    """Slicer's own self test: a made CT with nodules of known voxels through the logic into the scene."""

    def setUp(self):
        slicer.mrmlScene.Clear(False)

    def runTest(self):
        for test in (
            self.test_NodulesReachTheScene,
            self.test_UndoAndRedo,
            self.test_CancelChangesNothing,
            self.test_RealModel,
        ):
            self.setUp()
            test()

    def makeCt(self):
        """A volume node with two balls of 8 and 12 mm in air, and their labels [k, j, i]."""
        from LungNoduleSegLib.ct import CT
        from LungNoduleSegLib.mrml import volume_from_ct

        spacing = (2.0, 0.8, 0.8)
        k, j, i = (axis * mm for axis, mm in zip(np.ogrid[:40, :100, :100], spacing))
        labels = np.zeros((40, 100, 100), np.uint16)
        for label, (centre, radius) in enumerate([((50, 30, 25), 6.0), ((30, 50, 55), 4.0)], start=1):
            distance = (k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2
            labels[distance <= radius**2] = label
        ct = CT.from_array(np.where(labels > 0, 30, -850), spacing_mm=spacing)
        return volume_from_ct(ct, slicer.mrmlScene, "Test CT"), labels

    def makeLogic(self):
        """A logic whose model is a threshold at -300 HU: no weights and no torch are needed to test all the rest."""
        return LungNoduleSegLogic(loadSegmenter=lambda model, device: _ThresholdSegmenter(model))

    def test_NodulesReachTheScene(self):
        ctNode, labels = self.makeCt()
        events = []
        outcome = self.makeLogic().process(ctNode, onEvent=events.append)
        nodes = outcome.nodes
        self.assertEqual(len(outcome.result.nodules), 2)
        self.assertEqual(nodes.segmentation.GetSegmentation().GetNumberOfSegments(), 2)
        self.assertEqual(nodes.points.GetNumberOfControlPoints(), 2)
        self.assertEqual(nodes.table.GetNumberOfRows(), 2)
        for label, segmentId in enumerate(nodes.segment_ids, start=1):
            mask = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, segmentId, ctNode)
            np.testing.assert_array_equal(mask != 0, labels == label)
        self.assertEqual([event["event"] for event in events][-1], "result")
        self.delayDisplay("Nodules reach the scene")

    def test_UndoAndRedo(self):
        ctNode, _labels = self.makeCt()
        logic = self.makeLogic()
        nodes = logic.process(ctNode).nodes
        history = logic.history(nodes.segmentation, ctNode)
        history.save()
        nodes.segmentation.GetSegmentation().RemoveSegment(nodes.segment_ids[0])
        self.assertEqual(len(history.undo().nodules), 2)
        self.assertEqual(nodes.points.GetNumberOfControlPoints(), 2)
        self.assertEqual(len(history.redo().nodules), 1)
        self.assertEqual(nodes.table.GetNumberOfRows(), 1)
        self.delayDisplay("Undo and redo")

    def test_CancelChangesNothing(self):
        ctNode, _labels = self.makeCt()
        logic = self.makeLogic()
        before = slicer.mrmlScene.GetNumberOfNodes()
        outcome = logic.process(ctNode, onEvent=lambda event: logic.cancel())
        self.assertIsNone(outcome.nodes)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.delayDisplay("Cancel changes nothing")

    def test_RealModel(self):
        """The shipped model on the made CT; left out, with a message, where torch or weights are not there."""
        logic = LungNoduleSegLogic()
        missing = logic.missingPackages()
        reason = ", ".join(missing) + " not installed" if missing else logic.reasonModelCannotRun(DEFAULT_MODEL)
        if reason:
            self.delayDisplay(f"Real model left out: {reason}")
            return
        ctNode, labels = self.makeCt()
        from LungNoduleSegLib.segmenter import load_segmenter

        result = load_segmenter(DEFAULT_MODEL, device="cpu").click(
            logic.prepare(ctNode), positive_ras=[self.centreOf(ctNode, labels == 1)]
        )
        nodes = logic.publish(result, ctNode)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.segmentation, nodes.segment_ids[0], ctNode) != 0
        self.assertTrue((mask & (labels == 1)).any())
        self.delayDisplay("Real model")

    def centreOf(self, ctNode, mask):
        matrix = vtk.vtkMatrix4x4()
        ctNode.GetIJKToRASMatrix(matrix)
        k, j, i = np.argwhere(mask).mean(axis=0)
        return matrix.MultiplyPoint((i, j, k, 1.0))[:3]


class _ThresholdSegmenter:
    """Every component above -300 HU is a nodule, the larger the more probable: stands for a network in the test."""

    def __init__(self, model):
        self.model = model

    def segment(self, ct, roi=None, threshold=None, min_diameter_mm=None, progress=None, cancel=None):
        from LungNoduleSegLib.errors import Cancelled
        from LungNoduleSegLib.inference.candidate import Candidate
        from LungNoduleSegLib.nodules import components, equivalent_diameter_mm
        from LungNoduleSegLib.segmenter import Result

        found = components(np.asarray(ct.hu) > -300)
        candidates = []
        for number, component in enumerate(found, start=1):
            progress(number / len(found), f"Component {number} of {len(found)}")
            if cancel():
                raise Cancelled("cancelled")
            kji = np.argwhere(component.mask).mean(axis=0) + component.offset_kji
            volume = component.voxels * ct.voxel_volume_mm3
            diameter = equivalent_diameter_mm(volume)
            candidates.append(
                Candidate(
                    component.offset_kji,
                    component.mask,
                    min(diameter / 20, 1.0),
                    1.0,
                    tuple(ct.kji_to_ras(kji).tolist()),
                    diameter,
                )
            )
        return Result(
            ct=ct,
            candidates=tuple(candidates),
            threshold=threshold or 0.0,
            min_diameter_mm=min_diameter_mm or 0.0,
            model=self.model,
            best=(candidates[0].probability, candidates[0].centroid_ras) if candidates else None,
        )
