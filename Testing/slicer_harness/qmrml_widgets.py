"""Stand-ins for the qMRML widgets that the panel uses; they work on the real MRML scene."""

from __future__ import annotations

import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from .properties import stored


class _WithScene:
    """``setMRMLScene`` and the observers that go with it."""

    def mrmlScene(self):
        return self.__dict__.get("_scene")

    def setMRMLScene(self, scene) -> None:
        previous = self.__dict__.get("_scene")
        if scene is previous:
            return
        for tag in self.__dict__.get("_scene_tags", []):
            previous.RemoveObserver(tag)
        self._scene, self._scene_tags = scene, []
        if scene is not None:
            self._observe(scene)
        if hasattr(self, "mrmlSceneChanged"):
            self.mrmlSceneChanged.emit(scene)

    def _observe(self, scene) -> None:
        """Add observers to ``self._scene_tags``."""


class qMRMLWidget(_WithScene, QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)


class qMRMLNodeComboBox(_WithScene, QtWidgets.QWidget):
    """A combo box of the scene's nodes of some classes, with "None" on top where that is allowed."""

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAddedByUser = Signal(object)
    nodeAdded = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeTypes = stored("QStringList", "nodeTypes", [])
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [])
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True)
    showHidden = stored(bool, "showHidden", False)
    noneEnabled = stored(bool, "noneEnabled", False)
    addEnabled = stored(bool, "addEnabled", True)
    removeEnabled = stored(bool, "removeEnabled", True)
    editEnabled = stored(bool, "editEnabled", False)
    renameEnabled = stored(bool, "renameEnabled", False)
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    baseName = stored(str, "baseName", "")
    noneDisplay = stored(str, "noneDisplay", "None")

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = QtWidgets.QComboBox()
        layout.addWidget(self._box)
        self._ids: list[str | None] = []
        self._current: str | None = None
        self._filling = False
        self._box.currentIndexChanged.connect(self._chosen)

    def _on_nodeTypes(self, _value) -> None:
        self._fill()

    _on_noneEnabled = _on_addEnabled = _on_showChildNodeTypes = _on_hideChildNodeTypes = _on_noneDisplay = _on_nodeTypes

    def _observe(self, scene) -> None:
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(_caller, _event, node):
            self._fill()
            if self._wanted(node):
                self.nodeAdded.emit(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removing(_caller, _event, node):
            if self._wanted(node):
                self.nodeAboutToBeRemoved.emit(node)

        def changed(_caller, _event):
            self._fill()

        events = (
            (scene.NodeAddedEvent, added),
            (scene.NodeAboutToBeRemovedEvent, removing),
            (scene.NodeRemovedEvent, changed),
            (scene.EndBatchProcessEvent, changed),
        )
        self._scene_tags = [scene.AddObserver(event, function) for event, function in events]
        self._fill()

    def _wanted(self, node) -> bool:
        if node is None or (node.GetHideFromEditors() and not self.showHidden):
            return False
        if any(node.IsA(hidden) for hidden in self.hideChildNodeTypes):
            return False
        kind = node.GetClassName()
        return any(kind == wanted or (self.showChildNodeTypes and node.IsA(wanted)) for wanted in self.nodeTypes)

    def _nodes(self) -> list:
        scene = self.mrmlScene()
        if scene is None:
            return []
        nodes = (scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes()))
        return [node for node in nodes if self._wanted(node)]

    def _fill(self) -> None:
        nodes = self._nodes()
        self._filling = True
        self._box.clear()
        self._ids = []
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay)
            self._ids.append(None)
        for node in nodes:
            self._box.addItem(node.GetName())
            self._ids.append(node.GetID())
        current = self._current
        if current not in self._ids:
            current = None if self.noneEnabled or not nodes else nodes[0].GetID()
        self._box.setCurrentIndex(self._ids.index(current) if current in self._ids else -1)
        self._filling = False
        self._become(current)

    def _become(self, node_id: str | None) -> None:
        if node_id != self._current:
            self._current = node_id
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(node_id or "")

    def _chosen(self, index: int) -> None:
        if not self._filling and index >= 0:
            self._become(self._ids[index])

    def currentNode(self):
        scene = self.mrmlScene()
        return scene.GetNodeByID(self._current) if scene is not None and self._current else None

    def setCurrentNode(self, node) -> None:
        self.setCurrentNodeID("" if node is None else node.GetID())

    def setCurrentNodeID(self, node_id: str) -> None:
        node_id = node_id if node_id and node_id in self._ids else None
        self._filling = True
        self._box.setCurrentIndex(self._ids.index(node_id) if node_id in self._ids else -1)
        self._filling = False
        self._become(node_id)

    currentNodeID = Property(str, lambda self: self._current or "", lambda self, value: self.setCurrentNodeID(value))

    def nodeCount(self) -> int:
        return len(self._nodes())


WIDGETS = {
    name: value for name, value in list(globals().items()) if name.startswith("qMRML") and isinstance(value, type)
}
