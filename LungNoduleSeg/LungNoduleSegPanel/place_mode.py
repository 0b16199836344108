"""Clicks in the views as points, through Slicer's own place mode."""

import qt
import slicer
import vtk

NAME = "Lung nodule clicks"
_ATTRIBUTE = "LungNoduleSeg.Clicks"
IN, OUT = "+", "-"
_COLORS = {IN: (0.2, 0.9, 0.3), OUT: (0.95, 0.25, 0.2)}


class PlaceMode:
    """While it is on, each point that is placed in a view is handed over, and shown as + or -.

    onPoint - onPoint(ras, point): position (x, y, z) in world RAS mm, and what stands for the point in mark and drop.
    onEnded - called when place mode ended by itself (the user chose another mouse mode).
    """

    def __init__(self, onPoint, onEnded):
        self._onPoint, self._onEnded = onPoint, onEnded
        self._observed = []
        self._node = None
        self._before = None
        self._switching = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._check)
        self.on = False

    def start(self):
        """Switch Slicer's mouse mode to placing points of this tool, until it is stopped."""
        if self.on:
            return
        selection, interaction = self._singletons()
        self._before = (
            selection.GetActivePlaceNodeClassName(),
            selection.GetActivePlaceNodeID(),
            interaction.GetPlaceModePersistence(),
        )
        self._node = self._makeNode()
        self._observe(self._node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._onDefined)
        self._observe(interaction, interaction.InteractionModeChangedEvent, self._onChanged)
        self._observe(selection, selection.ActivePlaceNodeIDChangedEvent, self._onChanged)
        selection.SetReferenceActivePlaceNodeClassName(self._node.GetClassName())
        selection.SetActivePlaceNodeID(self._node.GetID())
        self._switch(interaction, True)
        self.on = True

    def stop(self):
        """Back to the mouse mode for looking, unless something else is being placed; the points are removed."""
        if not self.on:
            return
        self.on = False
        for caller, tag in self._observed:
            caller.RemoveObserver(tag)
        self._observed = []
        selection, interaction = self._singletons()
        if selection is not None and self._node is not None and selection.GetActivePlaceNodeID() == self._node.GetID():
            self._switch(interaction, False)
            className, nodeId, persistence = self._before
            interaction.SetPlaceModePersistence(persistence)
            selection.SetReferenceActivePlaceNodeClassName(className)
            selection.SetActivePlaceNodeID(nodeId if nodeId and slicer.mrmlScene.GetNodeByID(nodeId) else None)
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = None

    def clear(self):
        """Forget the points that are shown: the next one belongs to another nodule."""
        if self._node is not None:
            self._node.SetLocked(False)
            self._node.RemoveAllControlPoints()

    def mark(self, point, kind):
        """Show a point as IN or OUT."""
        index = self._index(point)
        if index >= 0:
            self._node.SetNthControlPointLabel(index, kind)
            self._node.SetNthControlPointLocked(index, True)
            self._node.GetDisplayNode().SetSelectedColor(*_COLORS[kind])

    def drop(self, point):
        """Take a point away: it led to nothing."""
        index = self._index(point)
        if index >= 0:
            self._node.RemoveNthControlPoint(index)

    def _index(self, point):
        """Where a point is now, -1 where it is gone; the last one is none that was placed, but the mouse's."""
        return -1 if self._node is None else self._node.GetNthControlPointIndexByID(point)

    @staticmethod
    def _singletons():
        logic = slicer.app.applicationLogic()
        return logic.GetSelectionNode(), logic.GetInteractionNode()

    def _switch(self, interaction, on):
        self._switching = True
        try:
            if on:
                interaction.SwitchToPersistentPlaceMode()
            else:
                interaction.SwitchToViewTransformMode()
        finally:
            self._switching = False

    @staticmethod
    def _makeNode():
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsFiducialNode")
        node.UnRegister(None)
        node.SetName(NAME)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetAttribute(_ATTRIBUTE, "1")
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetGlyphScale(1.2)
        display.SetTextScale(3.0)
        display.SetSelectedColor(*_COLORS[IN])
        return node

    def _observe(self, caller, event, function):
        self._observed.append((caller, caller.AddObserver(event, function)))

    @vtk.calldata_type(vtk.VTK_INT)
    def _onDefined(self, caller, event, index):
        ras = [0.0, 0.0, 0.0]
        self._node.GetNthControlPointPositionWorld(index, ras)
        self._onPoint(tuple(ras), self._node.GetNthControlPointID(index))

    def _onChanged(self, caller, event):
        # Looked at a moment later: while nodules are added to the scene, their points are the active node for a while.
        if self.on and not self._switching:
            self._timer.start()

    def _check(self):
        if not self.on:
            return
        selection, interaction = self._singletons()
        placing = interaction.GetCurrentInteractionMode() == interaction.Place
        if not placing or selection.GetActivePlaceNodeID() != self._node.GetID():
            self.stop()
            self._onEnded()
