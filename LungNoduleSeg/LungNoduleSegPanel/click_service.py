"""What a click means: which points go to the network, and where its answer goes."""

import slicer
from slicer.i18n import tr as _

from . import settings
from .clicks import ClickQueue, InProcessWorker
from .installation import environmentFor


class ClickService:
    """Clicks for the logic.

    logic - LungNoduleSegLogic: ct(node), review(segmentation, node), interpreter(), reasonModelCannotRun(model).
    """

    def __init__(self, logic):
        self._logic = logic
        self._queue = ClickQueue(self._startWorker)
        self._trails = {}
        self._python = None  # the choice of Python that the worker was started with

    @property
    def log(self):
        return self._queue.log

    def warmUp(self, ctNode, model, device):
        self._leaveOtherPython()
        self._queue.warmUp(self._logic.ct(ctNode), model, device)

    def close(self):
        """End the worker and forget which points made which segment."""
        self._queue.close()
        self._trails = {}

    def click(self, ctNode, positive, negative, segmentId, segmentationNode, model, device, onDone):
        """See LungNoduleSegLogic.click; returns a PendingClick."""
        points = _asPoints(positive), _asPoints(negative)
        self._leaveOtherPython()

        def prepare():
            self._check(model)
            ct = self._logic.ct(ctNode)
            if segmentId is None:
                return ct, model, device, *points, None
            trail = self._trail(segmentationNode, ctNode, segmentId, model)
            if trail is not None:
                return ct, model, device, trail[0] + points[0], trail[1] + points[1], None
            return ct, model, device, *points, self._logic.review(segmentationNode, ctNode).mask(segmentId)

        def publish(result):
            return self._publish(result, ctNode, segmentationNode, segmentId, points, model)

        return self._queue.add(prepare, publish, onDone)

    def clickMask(self, ctNode, positive, negative, base, model, device, onDone):
        """See LungNoduleSegLogic.clickMask."""
        self._leaveOtherPython()

        def prepare():
            self._check(model)
            return self._logic.ct(ctNode), model, device, _asPoints(positive), _asPoints(negative), base

        def publish(result):
            from LungNoduleSegLib.client.exchange import Base

            pending.mask = Base(result.candidates[0].offset_kji, result.candidates[0].mask)
            return None, None, " ".join(result.warnings)

        pending = self._queue.add(prepare, publish, onDone)
        return pending

    def _check(self, model):
        reason = self._logic.reasonModelCannotRun(model)
        if reason:
            raise RuntimeError(reason)

    def _publish(self, result, ctNode, segmentationNode, segmentId, points, model):
        if not slicer.mrmlScene.IsNodePresent(ctNode):
            raise RuntimeError(_("The CT was removed from the scene; the click cannot be shown."))
        if segmentationNode is not None and not slicer.mrmlScene.IsNodePresent(segmentationNode):
            segmentationNode = None  # removed since the click
            if segmentId is not None:
                raise RuntimeError(_("The nodules were removed from the scene. Click again to begin with new ones."))
        if segmentId is None:
            segmentId, review = self._add(result, ctNode, segmentationNode)
            trail = points
        else:
            review = self._logic.review(segmentationNode, ctNode)
            old = self._trail(segmentationNode, ctNode, segmentId, model)
            review.replace(segmentId, result, text=_("Click"))
            trail = None if old is None else (old[0] + points[0], old[1] + points[1])
        row = review.row(segmentId)
        if trail is not None:
            self._trails[segmentId] = (*trail, model, _fingerprint(row))
        message = " ".join([_("{name} segmented.").format(name=row.name), *result.warnings])
        return segmentId, review.segmentation_node, message

    def _add(self, result, ctNode, segmentationNode):
        from LungNoduleSegLib.mrml.publishing import empty_segmentation
        from LungNoduleSegLib.mrml.transaction import SceneTransaction

        with SceneTransaction(slicer.mrmlScene):
            if segmentationNode is None:
                segmentationNode = empty_segmentation(ctNode)
            review = self._logic.review(segmentationNode, ctNode)
            segmentIds = review.add(result, text=_("Click"), replace_untouched=False)
            if not segmentIds:
                raise RuntimeError(_("This nodule is in the list already. Select it to add to it or to cut."))
        return segmentIds[0], review

    def _trail(self, segmentationNode, ctNode, segmentId, model):
        """Points that made a segment, as long as it still is what they made of it with this model; else None."""
        positive, negative, usedModel, fingerprint = self._trails.get(segmentId, ((), (), None, None))
        row = self._logic.review(segmentationNode, ctNode).row(segmentId)
        same = row is not None and usedModel == model and fingerprint == _fingerprint(row)
        return (list(positive), list(negative)) if same else None

    def _leaveOtherPython(self):
        """End the worker where the user has chosen another Python since; not while a click is being answered."""
        if self._queue.warm and not self._queue.busy and self._python != settings.interpreterPath():
            self._queue.close()

    def _startWorker(self):
        self._python = settings.interpreterPath()
        if self._logic.loadSegmenter is not None:
            return InProcessWorker(self._logic.loadSegmenter)
        from LungNoduleSegLib.client.worker import ClickWorker

        interpreter = self._logic.interpreter()
        return ClickWorker(interpreter, environment=environmentFor(interpreter))


def _asPoints(points):
    return [tuple(map(float, point)) for point in points]


def _fingerprint(row):
    """Changes with every edit of the voxels."""
    return row.nodule.volume_mm3, row.nodule.centroid_ras
