"""What the logic knows of the scene's nodes, and that it lets go of them: each holds a CT, which is large."""

import weakref

import slicer
import vtk


class SceneMemory:
    """The CT that was read last, the reviews of segmentations, and the last run on each CT.

    What belongs to a node goes when the node is removed from the scene, all of it when the scene is closed.

    onClose - called before the scene is closed.
    onRemoved - onRemoved(node): called when a node was removed, with what belongs to it forgotten.

    Both are methods of an object that has this one; it is not kept alive by being watched for.
    """

    def __init__(self, onClose, onRemoved):
        self._read = None  # (key, CT)
        self._reviews = {}
        self._results = {}
        self._watch(weakref.ref(self), weakref.WeakMethod(onClose), weakref.WeakMethod(onRemoved))

    def ct(self, ctNode):
        """See LungNoduleSegLogic.ct."""
        from LungNoduleSegLib.mrml import ct_from_volume
        from LungNoduleSegLib.mrml.geometry import volume_to_world

        if ctNode is None or ctNode.GetImageData() is None:
            return ct_from_volume(ctNode)  # says what is wrong
        key = (ctNode.GetID(), ctNode.GetImageData().GetMTime(), volume_to_world(ctNode).tobytes())
        if self._read is None or self._read[0] != key:
            self._read = key, ct_from_volume(ctNode)
        return self._read[1]

    def review(self, segmentationNode, ctNode):
        """The review of a segmentation on a CT; the same one as long as both stay the same."""
        from LungNoduleSegLib.mrml.review import NoduleReview

        key = segmentationNode.GetID()
        known = self._reviews.get(key)
        if known is None or known.segmentation_node is not segmentationNode or known.volume_node is not ctNode:
            if known is not None:
                known.close()
            known = self._reviews[key] = NoduleReview(segmentationNode, ctNode, ct=self.ct(ctNode))
        return known

    def result(self, ctNode):
        """The last run on a CT, at the threshold that is shown; None where there is none."""
        return None if ctNode is None else self._results.get(ctNode.GetID())

    def keepResult(self, ctNode, result):
        self._results[ctNode.GetID()] = result

    def forget(self, node):
        """Let go of what belongs to a node."""
        nodeId = node.GetID()
        self._results.pop(nodeId, None)
        if self._read is not None and self._read[0][0] == nodeId:
            self._read = None
        for key, review in list(self._reviews.items()):
            if review.segmentation_node is node or review.volume_node is node:
                review.close()
                del self._reviews[key]

    def clear(self):
        """Let go of everything."""
        for review in self._reviews.values():
            review.close()
        self._read, self._reviews, self._results = None, {}, {}

    def _watch(self, me, onClose, onRemoved):
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_caller, _event, node):
            memory, tell = me(), onRemoved()
            if memory is not None and node is not None:
                memory.forget(node)
                if tell is not None:
                    tell(node)

        def closing(_caller, _event):
            tell = onClose()
            if tell is not None:
                tell()

        scene = slicer.mrmlScene
        # A low priority: a panel lets go of the nodes before.
        tags = [
            scene.AddObserver(scene.NodeRemovedEvent, removed),
            scene.AddObserver(scene.StartCloseEvent, closing, -1.0),
        ]
        weakref.finalize(self, _stopWatching, scene, tags).atexit = False


def _stopWatching(scene, tags):
    for tag in tags:
        scene.RemoveObserver(tag)
