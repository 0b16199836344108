"""Stand-ins for the qMRML widgets that the panel uses; they work on the real MRML scene."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_widgets import ctkComboBox, ctkMenuButton
from .properties import stored

_RENAME, _EDIT, _CREATE, _CREATE_AS, _DELETE = "rename", "edit", "create", "create as", "delete"


class _WithScene:
    """``setMRMLScene`` and the observers that go with it."""

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


class _TellsScene(_WithScene):
    def mrmlScene(self):
        return self.__dict__.get("_scene")


class qMRMLWidget(_TellsScene, QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)


class qSlicerWidget(_WithScene, QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)


class qMRMLNodeComboBox(_TellsScene, QtWidgets.QWidget):
    """A combo box of the scene's nodes of some classes.

    On top "None" where that is allowed, below the nodes what can be done with them ("Create new ..."); disabled as long
    as there is no scene.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeActivated = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    nodeAdded = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
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
    interactionNodeSingletonTag = stored(str, "interactionNodeSingletonTag", "Singleton")
    baseName = stored(str, "baseName", "")
    noneDisplay = stored(str, "noneDisplay", "None")
    sizeAdjustPolicy = stored(int, "sizeAdjustPolicy", 0)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = ctkComboBox()
        self._box.elideMode = 2
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._box.setMinimumContentsLength(12)
        layout.addWidget(self._box)
        self._entries: list[tuple[str, str | None]] = []  # ("node", ID), ("node", None), (action, node type)
        self._current: str | None = None
        self._attributes: list[tuple[str, str, str | None]] = []
        self._labels: dict[str, str] = {}
        self._actions: list = []
        self._names: dict[str, tuple] = {}
        self._filling = False
        self._box.currentIndexChanged.connect(self._chosen)
        self.setEnabled(False)

    def setMRMLScene(self, scene) -> None:
        super().setMRMLScene(scene)
        self.setEnabled(scene is not None)
        if scene is None:
            self._fill()

    def _on_nodeTypes(self, _value) -> None:
        self._box.defaultText = f"Select a {self.nodeTypeLabel((self.nodeTypes or [''])[0])}"
        self._fill()

    def _on_noneEnabled(self, _value) -> None:
        self._fill()

    _on_addEnabled = _on_removeEnabled = _on_renameEnabled = _on_editEnabled = _on_showChildNodeTypes = _on_noneEnabled
    _on_hideChildNodeTypes = _on_showHidden = _on_noneDisplay = _on_noneEnabled

    def _observe(self, scene) -> None:
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(_caller, _event, node):
            if self._wanted(node):
                self._fill()
                self.nodeAdded.emit(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removing(_caller, _event, node):
            if self._wanted(node):
                self.nodeAboutToBeRemoved.emit(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_caller, _event, node):
            if node is None or ("node", node.GetID()) in self._entries:
                self._fill()

        def changed(_caller, _event):
            self._fill()

        events = (
            (scene.NodeAddedEvent, added),
            (scene.NodeAboutToBeRemovedEvent, removing),
            (scene.NodeRemovedEvent, removed),
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
        for wanted in self.nodeTypes:
            if kind == wanted or (self.showChildNodeTypes and node.IsA(wanted)):
                rules = [rule for rule in self._attributes if rule[0] == wanted]
                if all(self._has(node, name, value) for _type, name, value in rules):
                    return True
        return False

    @staticmethod
    def _has(node, name: str, value: str | None) -> bool:
        found = node.GetAttribute(name)
        return found is not None and (value is None or found == value)

    def _nodes(self) -> list:
        """The nodes that are offered, in the scene's order."""
        scene = self.mrmlScene()
        if scene is None:
            return []
        found = {}
        for kind in self.nodeTypes:
            nodes = scene.GetNodesByClass(kind)
            nodes.UnRegister(None)
            for number in range(nodes.GetNumberOfItems()):
                node = nodes.GetItemAsObject(number)
                if node.GetID() not in found and self._wanted(node):
                    found[node.GetID()] = node
        return list(found.values())

    def _fill(self) -> None:
        nodes = self._nodes()
        self._filling = True
        self._box.clear()
        self._entries = []
        if self.noneEnabled:
            self._entry(self.noneDisplay, "node", None)
        for node in nodes:
            self._entry(node.GetName() or "", "node", node.GetID())
        self._fill_actions()
        current = self._current
        ids = [node.GetID() for node in nodes]
        if current not in ids:
            current = None if self.noneEnabled or not nodes else ids[0]
        self._show(current)
        self._filling = False
        self._follow_names(nodes)
        self._become(current)

    def _fill_actions(self) -> None:
        if self.mrmlScene() is None:
            return
        kinds = list(self.nodeTypes)
        label = self.nodeTypeLabel(kinds[0] if len(kinds) == 1 else "")
        if not (self.addEnabled or self.removeEnabled or self.editEnabled or self.renameEnabled or self._actions):
            return
        self._box.insertSeparator(self._box.count)
        self._entries.append(("separator", None))
        if self.renameEnabled:
            self._entry(f"Rename current {label}", _RENAME, None)
        if self.editEnabled:
            self._entry(f"Edit current {label}", _EDIT, None)
        for kind in kinds if self.addEnabled else []:
            self._entry(f"Create new {self.nodeTypeLabel(kind)}", _CREATE, kind)
            if self.renameEnabled:
                self._entry(f"Create new {self.nodeTypeLabel(kind)} as...", _CREATE_AS, kind)
        if self.removeEnabled:
            self._entry(f"Delete current {label}", _DELETE, None)
        for action in self._actions:
            self._entry(str(action.property("text")), "user", action)

    def _entry(self, text: str, kind: str, value) -> None:
        self._box.addItem(text)
        self._entries.append((kind, value))

    def _show(self, node_id: str | None) -> None:
        entry = ("node", node_id)
        self._box.setCurrentIndex(self._entries.index(entry) if entry in self._entries else -1)

    def _follow_names(self, nodes) -> None:
        """A node's new name is shown, as in the application."""
        for node, tag, _name in self._names.values():
            node.RemoveObserver(tag)
        self._names = {}
        for node in nodes:
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._renamed)
            self._names[node.GetID()] = (node, tag, node.GetName())

    def _renamed(self, node, _event) -> None:
        known = self._names.get(node.GetID())
        entry = ("node", node.GetID())
        if known is None or known[2] == node.GetName() or entry not in self._entries:
            return
        self._names[node.GetID()] = (*known[:2], node.GetName())
        self._box.setItemText(self._entries.index(entry), node.GetName())
        if node.GetID() == self._current:
            self.currentNodeRenamed.emit(node.GetName())

    def _become(self, node_id: str | None) -> None:
        if node_id != self._current:
            self._current = node_id
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(node_id or "")

    def _chosen(self, index: int) -> None:
        """What a user chooses in the list."""
        if self._filling or index < 0:
            return
        kind, value = self._entries[index]
        if kind == "node":
            self._become(value)
            return
        self._filling = True
        self._show(self._current)
        self._filling = False
        if kind == _CREATE:
            node = self.addNode(value)
            if node is not None:
                self.setCurrentNode(node)
                self.nodeAddedByUserAction.emit(node)
        elif kind == _CREATE_AS:
            name = QtWidgets.QInputDialog.getText(self, f"Create new {self.nodeTypeLabel(value)} as...", "New name:")
            if name:
                node = self.addNode(value)
                node.SetName(name)
                self.setCurrentNode(node)
                self.nodeAddedByUserAction.emit(node)
        elif kind == _DELETE:
            self.removeCurrentNode()
        elif kind == _RENAME:
            self.renameCurrentNode()
        elif kind == _EDIT:
            self.editCurrentNode()
        elif kind == "user":
            value.trigger()

    def currentNode(self):
        scene = self.mrmlScene()
        return scene.GetNodeByID(self._current) if scene is not None and self._current else None

    def setCurrentNode(self, node) -> None:
        self.setCurrentNodeID("" if node is None else node if isinstance(node, str) else node.GetID())

    def setCurrentNodeID(self, node_id: str) -> None:
        node_id = node_id if node_id and ("node", node_id) in self._entries else None
        self._filling = True
        self._show(node_id)
        self._filling = False
        self._become(node_id)

    def setCurrentNodeIndex(self, index: int) -> None:
        nodes = self._nodes()
        self.setCurrentNode(nodes[index] if 0 <= index < len(nodes) else None)

    currentNodeID = Property(str, lambda self: self._current or "", lambda self, value: self.setCurrentNodeID(value))
    currentNodeId = Property(str, lambda self: self._current or "", lambda self, value: self.setCurrentNodeID(value))

    def addNode(self, nodeType: str | None = None):
        """What "Create new" does."""
        scene, kind = self.mrmlScene(), nodeType or (self.nodeTypes or [None])[0]
        if scene is None or kind is None:
            return None
        name = self.baseName or self.nodeTypeLabel(kind)
        node = scene.AddNewNodeByClass(kind, scene.GenerateUniqueName(name))
        for wanted, attribute, value in self._attributes:
            if wanted == kind:
                node.SetAttribute(attribute, value or "")
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node is not None:
            self.mrmlScene().RemoveNode(node)

    def editCurrentNode(self) -> None:
        if self.currentNode() is not None:
            self.nodeAboutToBeEdited.emit(self.currentNode())

    def renameCurrentNode(self) -> None:
        node = self.currentNode()
        if node is None:
            return
        label = self.nodeTypeLabel(node.GetClassName())
        name = QtWidgets.QInputDialog.getText(self, f"Rename {label}", "New name:", None, node.GetName())
        if name and name != node.GetName():
            node.SetName(name)

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int):
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def addAttribute(self, nodeType: str, attributeName: str, attributeValue=None) -> None:
        self._attributes.append((nodeType, attributeName, None if attributeValue is None else str(attributeValue)))
        self._fill()

    def removeAttribute(self, nodeType: str, attributeName: str) -> None:
        self._attributes = [rule for rule in self._attributes if rule[:2] != (nodeType, attributeName)]
        self._fill()

    def setNodeTypeLabel(self, label: str, nodeType: str) -> None:
        self._labels[nodeType] = label
        self._fill()

    def nodeTypeLabel(self, nodeType: str) -> str:
        """The label of a node class: set by hand, or what nodes of the class call themselves."""
        if nodeType not in self._labels:
            self._labels[nodeType] = _type_label(nodeType)
        return self._labels[nodeType]

    def addMenuAction(self, action) -> None:
        self._actions.append(action)
        self._fill()


def _type_label(class_name: str) -> str:
    made = getattr(slicer, class_name, None)
    if not class_name or made is None:
        return "Node"
    try:
        node = made()
    except TypeError:  # an abstract class
        return "Node"
    return node.GetTypeDisplayName() if hasattr(node, "GetTypeDisplayName") else node.GetNodeTagName()


class qMRMLSegmentationShow3DButton(ctkMenuButton):
    """Shows the segmentation in 3D while it is checked."""

    locked = stored(bool, "locked", False)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.setText("Show 3D")
        self.setCheckable(True)
        self._node = None
        self.toggled.connect(self._toggled)

    def setSegmentationNode(self, node) -> None:
        self._node = node
        self.setEnabled(node is not None)
        shown = node is not None and node.GetSegmentation().ContainsRepresentation("Closed surface")
        self.blockSignals(True)
        self.setChecked(shown)
        self.blockSignals(False)

    def segmentationNode(self):
        return self._node

    def setLocked(self, locked: bool) -> None:
        self.locked = locked

    def _toggled(self, on: bool) -> None:
        if self._node is None or self.locked:
            return
        if on:
            self._node.CreateClosedSurfaceRepresentation()
        else:
            self._node.RemoveClosedSurfaceRepresentation()


WIDGETS = {
    name: value
    for name, value in list(globals().items())
    if name.startswith(("qMRML", "qSlicer")) and isinstance(value, type)
}
