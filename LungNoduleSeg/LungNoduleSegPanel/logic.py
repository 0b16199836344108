"""Everything that the panel does, for scripts too: runs, clicks, nodules, export. Needs no panel."""

import time

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from . import settings
from .click_service import ClickService
from .installation import chosenInterpreter, environmentFor
from .outcome import Outcome, describe, publishedNodes
from .parameters import DEFAULT_MODEL, LungNoduleSegParameterNode
from .runs import InProcessRun, PendingRun
from .scene_memory import SceneMemory


class LungNoduleSegLogic(ScriptedLoadableModuleLogic):
    """Find, segment, review and export nodules.

    In a script:

        logic = slicer.util.getModuleLogic("LungNoduleSeg")
        outcome = logic.process(slicer.util.getNode("CT"), model="model-2-compact")

    loadSegmenter - takes a model's name and a device, returns what has segment(ct, ...) and click(ct, ...), and is used
        in this process. Default: the library's segmenter in a process of its own.
    onRunChanged - callables without argument: called when a run has begun or ended, whoever has started it, and when
        the last one is forgotten.
    """

    def __init__(self, loadSegmenter=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self.loadSegmenter = loadSegmenter
        self.onRunChanged = []
        self._run = None
        self._runNode = None
        self._clicks = ClickService(self)
        self._memory = SceneMemory(self.forgetScene, self._onNodeRemoved)
        self._parameters = None

    def getParameterNode(self):
        """The panel's state in this scene; the same object until the scene is closed, as each one observes the node."""
        node = super().getParameterNode()
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = LungNoduleSegParameterNode(node)
        return self._parameters

    # Models

    def models(self):
        """The catalog's entries, those without weights too."""
        from LungNoduleSegLib.weights import models

        return models()

    def modelEntry(self, model):
        """The catalog's entry of a model, or None."""
        return next((entry for entry in self.models() if entry.name == model), None)

    def usableModel(self, model):
        """The model itself where the catalog has it, else the first that has weights, else the model."""
        entries = self.models()
        if any(entry.name == model for entry in entries):
            return model
        return next((entry.name for entry in entries if entry.available), model)

    def reasonModelCannotRun(self, model):
        """Why a model cannot be run, as sentences; empty when it can."""
        if self.loadSegmenter is not None:
            return ""
        entry = self.modelEntry(model)
        if entry is None:
            text = _("There is no model {model} on this computer. Choose another one, or import it (button Weights).")
            return text.format(model=model)
        return "" if entry.available else f"{entry.reason} {entry.remedy}"

    def operatingCurve(self, model):
        """What the sensitivity slider means for a model."""
        from LungNoduleSegLib.weights.curve import OperatingCurve

        entry = self.modelEntry(model)
        return OperatingCurve.of(None if entry is None else entry.card)

    # The CT

    def ct(self, ctNode):
        """A volume node as the library's CT, world RAS; read once, and again when voxels or geometry have changed."""
        return self._memory.ct(ctNode)

    def checkInput(self, ctNode):
        """What the CT is and what is wrong with it (LungNoduleSegLib.ct.describe.InputCheck).

        Raises InputError for a node that is no CT.
        """
        from LungNoduleSegLib.ct.describe import describe_ct

        return describe_ct(self.ct(ctNode))

    def seenInTraining(self, ctNode, model):
        """"train" or "validation" where the model was trained or chosen on this series, else None."""
        from LungNoduleSegLib.mrml.hierarchy import dicom_uid
        from LungNoduleSegLib.weights import trained_on

        entry = self.modelEntry(model)
        uid = dicom_uid(slicer.mrmlScene, ctNode) if ctNode is not None else ""
        return trained_on(entry.card, uid) if entry is not None and uid else None

    # A run

    def process(
        self,
        ctNode,
        model=DEFAULT_MODEL,
        device="auto",
        roi=None,
        threshold=None,
        minimumDiameterMm=None,
        segmentationNode=None,
        wait=True,
        onEvent=None,
        probability=False,
        threads=None,
        uncertainty=False,
    ):
        """Find the nodules of a CT and show them in the scene.

        ctNode - volume node; its parent transforms count.
        roi - ROI node, or two corners ((x, y, z), (x, y, z)) of a box in world RAS mm, or None for the whole CT.
        threshold, minimumDiameterMm - None for the model's own.
        segmentationNode - a segmentation to add to; what was found there before and not touched since gives way, what
            was accepted, edited or clicked stays. None for a new one.
        wait - False returns a PendingRun at once (cancel(), finished, outcome, error); True the Outcome.
        onEvent - is called with {"event": "progress", "fraction": 0..1, "message": str, "secondsLeft": float or None},
            finally with {"event": "result" | "cancelled" | "error", "message": str}.
        probability - keep the probability of every voxel and show it over the CT.
        threads - processor threads; None: all cores but one.
        uncertainty - keep how far the views of each candidate disagree and show it over the CT.

        Errors are raised (with wait=False: told as an event); the scene is then as it was before.
        """
        tell = onEvent or (lambda event: None)
        if self.running:
            raise RuntimeError(_("A run is in progress. Wait for it, or cancel it."))
        try:
            tell({"event": "progress", "fraction": 0.0, "message": _("Reading the CT"), "secondsLeft": None})
            ct = self.ct(ctNode)
            job = {
                "command": "segment",
                "model": model,
                "device": device,
                "roi": roiCorners(roi),
                "threshold": threshold,
                "min_diameter_mm": minimumDiameterMm,
                "probability": bool(probability),
                "uncertainty": bool(uncertainty),
            }
            run = self._makeRun(ct, job, threads)
        except Exception as error:
            tell({"event": "error", "message": str(error)})
            raise
        started = time.monotonic()

        def publish(event):
            result = event["result"]
            if self.loadSegmenter is None and job["roi"] is None:
                usedDevice = str(result.parameters.get("device", device)).partition(":")[0]
                seconds = time.monotonic() - started
                settings.recordTiming(
                    model, result.model_sha256, usedDevice, ct.shape[0], seconds, event.get("peak_mb")
                )
            return self._publish(result, ctNode, segmentationNode, probability, uncertainty)

        cancelled = Outcome(message=_("Cancelled; nothing was added to the scene."))
        self._run = pending = PendingRun(run, publish, cancelled, onEvent, self._tellRunChanged)
        self._runNode = ctNode
        pending.start()
        self._tellRunChanged()
        if wait:
            return pending.wait()
        pending.follow()
        return pending

    @property
    def running(self):
        return self._run is not None and not self._run.finished

    @property
    def cancelling(self):
        """Whether a run was told to stop and has not ended yet."""
        return self.running and self._run.cancelling

    @property
    def lastOutcome(self):
        """Outcome of the last run; None before it has ended, where it failed, and when its CT or scene is gone."""
        return None if self._run is None else self._run.outcome

    def cancel(self):
        """Stop the run in progress; nothing is added to the scene."""
        if self.running:
            self._run.cancel()

    def log(self, clicks=False):
        """What the process of the last run, or that of the clicks, has written for people who look for an error."""
        if clicks:
            return self._clicks.log
        return "" if self._run is None else self._run.log

    def _makeRun(self, ct, job, threads):
        if self.loadSegmenter is not None:
            return InProcessRun(self.loadSegmenter(job["model"], job["device"]), ct, job)
        from LungNoduleSegLib.client.run import Run

        reason = self.reasonModelCannotRun(job["model"])
        if reason:
            raise RuntimeError(reason)
        interpreter, threads = self.interpreter(), threads or self.defaultThreads()
        return Run(interpreter, job, volume=ct, threads=threads, environment=environmentFor(interpreter))

    @staticmethod
    def defaultThreads():
        """All cores but one, so that the computer stays usable."""
        import os

        return max(1, (os.cpu_count() or 2) - 1)

    def interpreter(self):
        """The Python that runs the networks: Slicer's own, or the one that the user chose."""
        return chosenInterpreter()

    def _tellRunChanged(self):
        for call in list(self.onRunChanged):
            call()

    def _publish(self, result, ctNode, segmentationNode, probability, uncertainty):
        if not slicer.mrmlScene.IsNodePresent(ctNode):
            raise RuntimeError(_("The CT was removed from the scene during the run; its nodules cannot be shown."))
        nodes, review = self._show(result, ctNode, segmentationNode, probability, uncertainty)
        self._memory.keepResult(ctNode, result)
        return Outcome(nodes, result, self.describe(result), review)

    def _show(self, result, ctNode, segmentationNode, probability=False, uncertainty=False):
        """The nodules in a segmentation, a new one where none is given; all or nothing."""
        from LungNoduleSegLib.mrml.probability import show_probability
        from LungNoduleSegLib.mrml.publishing import empty_segmentation
        from LungNoduleSegLib.mrml.transaction import SceneTransaction
        from LungNoduleSegLib.mrml.uncertainty import show_uncertainty

        if segmentationNode is not None and not slicer.mrmlScene.IsNodePresent(segmentationNode):
            segmentationNode = None  # removed since it was chosen
        nodes = review = None
        with SceneTransaction(slicer.mrmlScene):
            if probability:  # first: the nodules are what cannot fail any more when they are there
                show_probability(result.probability(), ctNode)
            if uncertainty:
                show_uncertainty(result.uncertainty(), ctNode)
            if segmentationNode is not None or result.nodules:
                if segmentationNode is None:
                    segmentationNode = empty_segmentation(ctNode)
                review = self.review(segmentationNode, ctNode)
                nodes = publishedNodes(review, review.add(result, text=_("Find nodules")))
        return nodes, review

    # Another threshold, without another run

    def canFollow(self, ctNode, model=None, segmentationNode=None):
        """Whether a result (of this model) is there for the CT, so that its sensitivity can be changed at once.

        segmentationNode - must show that run then: not another one, and not after it was undone.
        """
        from LungNoduleSegLib.mrml.shown_run import same_run

        result = self._memory.result(ctNode)
        if result is None or model not in (None, result.model):
            return False
        if segmentationNode is None:
            return True
        if self._referenceCt(segmentationNode) not in (None, ctNode):
            return False
        return same_run(self.review(segmentationNode, ctNode).result, result)

    def setThreshold(self, ctNode, threshold, minimumDiameterMm=None, segmentationNode=None):
        """Show the last run on a CT at another threshold, at once.

        What the user accepted, rejected, renamed, edited or deleted stays as it is. No undo step. Returns the result
        and the segmentation node (a new one where none was given and something is found, else None).
        """
        if not self.canFollow(ctNode):
            raise RuntimeError(_("There is no run of this session on this CT. Find nodules first."))
        result = self._memory.result(ctNode).at(threshold, min_diameter_mm=minimumDiameterMm)
        if segmentationNode is None:
            nodes = self._show(result, ctNode, None)[0]
            segmentationNode = None if nodes is None else nodes.segmentation
        else:
            self.review(segmentationNode, ctNode).follow(result)
        self._memory.keepResult(ctNode, result)
        return result, segmentationNode

    # Clicks

    def warmUp(self, ctNode, model=DEFAULT_MODEL, device="auto"):
        """Load network and CT before the first click, so that it is answered at once; returns immediately."""
        self._clicks.warmUp(ctNode, model, device)

    def click(
        self,
        ctNode,
        positive,
        negative=(),
        segmentId=None,
        segmentationNode=None,
        model=DEFAULT_MODEL,
        device="auto",
        wait=True,
        onDone=None,
    ):
        """Segment the nodule at a point, or change one that is there.

        positive, negative - points (x, y, z) in world RAS mm: in the nodule, and not in it.
        segmentId - the segment to refine: positive points add, negative ones cut. None: a new segment.
        segmentationNode - where it lies, or shall lie; None for a new segmentation.
        wait - False returns a PendingClick at once (finished, segmentId, segmentationNode, message, error); onDone is
            called with it.

        Returns the ID of the segment. Each click is one undo step.
        """
        if segmentId is not None and segmentationNode is None:
            raise ValueError("Expected argument `segmentationNode` where `segmentId` is given")
        pending = self._clicks.click(ctNode, positive, negative, segmentId, segmentationNode, model, device, onDone)
        return pending.wait() if wait else pending

    def clickMask(self, ctNode, positive, negative=(), base=None, model=DEFAULT_MODEL, device="auto", onDone=None):
        """As `click`, for a mask instead of a segment: returns a PendingClick that ends with `mask`.

        base - what is added to or cut (LungNoduleSegLib.client.exchange.Base); None begins with nothing.
        """
        return self._clicks.clickMask(ctNode, positive, negative, base, model, device, onDone)

    # Nodules

    def review(self, segmentationNode, ctNode=None):
        """The nodules of a segmentation with all that can be done with them (LungNoduleSegLib.mrml.review).

        ctNode - default: the volume that the segmentation refers to.
        """
        ctNode = self._referenceCt(segmentationNode) if ctNode is None else ctNode
        if ctNode is None:
            raise RuntimeError(_("Choose the CT of these nodules."))
        return self._memory.review(segmentationNode, ctNode)

    @staticmethod
    def _referenceCt(segmentationNode):
        """The volume that a segmentation refers to, or None."""
        return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())

    def nodules(self, segmentationNode):
        """The nodules of a segmentation as rows: name, status, type, band, and nodule with its measurements."""
        review = self.review(segmentationNode)
        review.refresh()
        return list(review.rows)

    def exportCsv(self, segmentationNode, path):
        """Write the table of nodules as CSV; complete or not at all."""
        from LungNoduleSegLib.mrml.export import export_csv

        return export_csv(path, self.nodules(segmentationNode))

    def describe(self, result):
        """What was found, as sentences."""
        return describe(result)

    def forgetScene(self):
        """Before the scene is closed: stop what is going on and let go of what belongs to it."""
        run, self._run, self._runNode, self._parameters = self._run, None, None, None
        if run is not None and not run.finished:
            run.abandon()
        self._clicks.close()
        self._memory.clear()

    def _onNodeRemoved(self, node):
        if node is self._runNode and not self.running:
            self._run = self._runNode = None  # its result holds the CT
            self._tellRunChanged()

    close = forgetScene


def roiCorners(roi):
    """Two corners ((x, y, z), (x, y, z)) of an ROI node's box in world RAS mm; corners and None as they are.

    A turned ROI counts as the upright box around it.
    """
    if roi is None or not hasattr(roi, "GetRASBounds"):
        return roi
    bounds = [0.0] * 6
    roi.GetRASBounds(bounds)
    return tuple(bounds[0::2]), tuple(bounds[1::2])
