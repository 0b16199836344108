"""Slicer's own self test: a made CT with nodules of known voxels through the logic into the scene."""

import numpy as np
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from .installation import missingPackages
from .logic import LungNoduleSegLogic
from .parameters import DEFAULT_MODEL


class LungNoduleSegTest(ScriptedLoadableModuleTest):
    """Runs in the application (Reload and Test), and without it in the project's own tests."""

    def setUp(self):
        slicer.mrmlScene.Clear(False)

    def runTest(self):
        for test in (
            self.test_NodulesReachTheScene,
            self.test_ReviewUndoAndRedo,
            self.test_AnotherThreshold,
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
        return LungNoduleSegLogic(loadSegmenter=lambda model, device: ThresholdSegmenter(model))

    def test_NodulesReachTheScene(self):
        ctNode, labels = self.makeCt()
        events = []
        outcome = self.makeLogic().process(ctNode, threshold=0.0, onEvent=events.append)
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

    def test_ReviewUndoAndRedo(self):
        ctNode, _labels = self.makeCt()
        nodes = (outcome := self.makeLogic().process(ctNode, threshold=0.0)).nodes
        review, segmentId = outcome.review, nodes.segment_ids[0]
        review.accept([segmentId])
        self.assertEqual(review.row(segmentId).status, "accepted")
        review.delete([nodes.segment_ids[1]])
        self.assertEqual(nodes.points.GetNumberOfControlPoints(), 1)
        review.undo()
        self.assertEqual(nodes.table.GetNumberOfRows(), 2)
        review.undo()
        self.assertEqual(review.row(segmentId).status, "pending")
        review.redo()
        self.assertEqual(review.row(segmentId).status, "accepted")
        self.delayDisplay("Review, undo and redo")

    def test_AnotherThreshold(self):
        ctNode, _labels = self.makeCt()
        logic = self.makeLogic()
        outcome = logic.process(ctNode, threshold=0.5)
        self.assertEqual([row.nodule.label for row in outcome.review.rows], [1])
        logic.setThreshold(ctNode, 0.0, segmentationNode=outcome.nodes.segmentation)
        self.assertEqual(len(outcome.review.rows), 2)
        self.delayDisplay("Another threshold")

    def test_CancelChangesNothing(self):
        ctNode, _labels = self.makeCt()
        logic = self.makeLogic()
        before = slicer.mrmlScene.GetNumberOfNodes()
        outcome = logic.process(ctNode, onEvent=lambda event: logic.cancel())
        self.assertIsNone(outcome.nodes)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.delayDisplay("Cancel changes nothing")

    def test_RealModel(self):
        """A click with the shipped model on the made CT, in a process of its own; left out, with a message, where
        packages or weights are not there."""
        logic = LungNoduleSegLogic()
        missing = missingPackages()
        reason = ", ".join(missing) + " not installed" if missing else logic.reasonModelCannotRun(DEFAULT_MODEL)
        if reason:
            self.delayDisplay(f"Real model left out: {reason}")
            return
        ctNode, labels = self.makeCt()
        try:
            segmentId = logic.click(ctNode, [self.centreOf(ctNode, labels == 1)], device="cpu")
            segmentation = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
            mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentId, ctNode) != 0
            self.assertTrue((mask & (labels == 1)).any())
        finally:
            logic.close()
        self.delayDisplay("Real model")

    def centreOf(self, ctNode, mask):
        matrix = vtk.vtkMatrix4x4()
        ctNode.GetIJKToRASMatrix(matrix)
        k, j, i = np.argwhere(mask).mean(axis=0)
        return matrix.MultiplyPoint((i, j, k, 1.0))[:3]


class ThresholdSegmenter:
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
            diameter = equivalent_diameter_mm(component.voxels * ct.voxel_volume_mm3)
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
