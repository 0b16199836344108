"""Scripted effects of the Segment Editor, driven on Slicer's own segment editor logic.

``qSlicerSegmentEditorScriptedEffect`` is a stand-in with the application's names; what it does to segments is done by
the real ``vtkSlicerSegmentEditorLogic`` (masking, undo, geometry). :class:`SegmentEditor` stands for the module's
widget:

    editor = SegmentEditor(segmentation_node, volume_node, segment_id)
    editor.activate(scripted_effect)          # as pressing its button does
    editor.click(slice_widget, ras)           # through the interactor of a view of ``window``
    editor.undo()
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import types
from pathlib import Path

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import QObject

from .properties import stored
from .pythonqt import slot_errors

_EVENTS = (
    "EnterEvent",
    "LeaveEvent",
    "MouseMoveEvent",
    "LeftButtonPressEvent",
    "LeftButtonReleaseEvent",
    "RightButtonPressEvent",
    "RightButtonReleaseEvent",
    "MiddleButtonPressEvent",
    "MiddleButtonReleaseEvent",
    "MouseWheelForwardEvent",
    "MouseWheelBackwardEvent",
    "KeyPressEvent",
    "KeyReleaseEvent",
)
_BEFORE_THE_VIEW = 10.0
_MODES = ("ModificationModeSet", "ModificationModeAdd", "ModificationModeRemove", "ModificationModeRemoveAll")


class qSlicerSegmentEditorAbstractEffect(QObject):
    """What an effect may call of the application; names and arguments are Slicer's."""

    ModificationModeSet, ModificationModeAdd, ModificationModeRemove, ModificationModeRemoveAll = range(4)
    NotConfirmed, ConfirmedWithoutDialog, ConfirmedWithDialog = range(3)
    name = stored(str, "name", "")
    title = stored(str, "title", "")
    perSegment = stored(bool, "perSegment", True)
    requireSegments = stored(bool, "requireSegments", False)
    showEffectCursorInSliceView = stored(bool, "showEffectCursorInSliceView", True)
    showEffectCursorInThreeDView = stored(bool, "showEffectCursorInThreeDView", False)

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._node, self._editor, self._active = None, None, False
        self._frame = QtWidgets.QFrame()
        QtWidgets.QFormLayout(self._frame)

    # Options

    def optionsFrame(self):
        return self._frame

    def optionsLayout(self):
        return self._frame.layout()

    def addOptionsWidget(self, widget) -> None:
        self._frame.layout().addRow(widget)

    def addLabeledOptionsWidget(self, label: str, widget):
        made = QtWidgets.QLabel(label)
        self._frame.layout().addRow(made, widget)
        return made

    # Parameters

    def parameterSetNode(self):
        return self._node

    def setParameterSetNode(self, node) -> None:
        self._node = node

    def scene(self):
        return None if self._node is None else self._node.GetScene()

    def parameter(self, name: str) -> str:
        if self._node is None:
            return ""
        value = self._node.GetAttribute(f"{self.name}.{name}")
        value = self._node.GetAttribute(name) if value is None else value
        if value is None:
            logging.error("Parameter named %s cannot be found for effect %s", name, self.name)
        return value or ""

    def integerParameter(self, name: str) -> int:
        return int(self.parameter(name) or 0)

    def doubleParameter(self, name: str) -> float:
        return float(self.parameter(name) or 0.0)

    def nodeReference(self, name: str):
        node = self._node.GetNodeReference(f"{self.name}.{name}")
        return self._node.GetNodeReference(name) if node is None else node

    def setParameter(self, name: str, value) -> None:
        self.setCommonParameter(f"{self.name}.{name}", value)

    def setCommonParameter(self, name: str, value) -> None:
        if self._node is None:
            logging.error("Invalid segment editor parameter set node set to effect %s", self.name)
            return
        text = _text(value)
        old = self._node.GetAttribute(name)
        if old == text or (old is None and not text):
            return
        disabled = self._node.GetDisableModifiedEvent()
        self._node.SetDisableModifiedEvent(1)
        self._node.SetAttribute(name, text)
        self._node.SetDisableModifiedEvent(disabled)
        self._node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    def setParameterDefault(self, name: str, value) -> None:
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def setCommonParameterDefault(self, name: str, value) -> None:
        if not self.commonParameterDefined(name):
            self.setCommonParameter(name, value)

    def parameterDefined(self, name: str) -> bool:
        return self.commonParameterDefined(f"{self.name}.{name}")

    def commonParameterDefined(self, name: str) -> bool:
        return self._node is not None and bool(self._node.GetAttribute(name))

    def setNodeReference(self, name: str, node) -> None:
        self.setCommonNodeReference(f"{self.name}.{name}", node)

    def setCommonNodeReference(self, name: str, node) -> None:
        self._node.SetNodeReferenceID(name, None if node is None else node.GetID())

    # Images and editing

    def _logic(self):
        if self._editor is None:
            raise RuntimeError("The effect is not in a Segment Editor: SegmentEditor.activate(effect) first.")
        return self._editor.logic

    def modifierLabelmap(self):
        return self._logic().GetModifierLabelmap()

    def defaultModifierLabelmap(self):
        self._logic().ResetModifierLabelmapToDefault()
        return self._logic().GetModifierLabelmap()

    def selectedSegmentLabelmap(self):
        self._logic().UpdateSelectedSegmentLabelmap()
        return self._logic().GetSelectedSegmentLabelmap()

    def maskLabelmap(self):
        self._logic().UpdateMaskLabelmap()
        return self._logic().GetMaskLabelmap()

    def referenceGeometryImage(self):
        self._logic().UpdateReferenceGeometryImage()
        return self._logic().GetReferenceGeometryImage()

    def sourceVolumeImageData(self):
        self._logic().UpdateAlignedSourceVolume()
        return self._logic().GetAlignedSourceVolume()

    def saveStateForUndo(self) -> None:
        self._logic().SaveStateForUndo()

    def modifySelectedSegmentByLabelmap(self, labelmap, mode, *more) -> None:
        node = self._node
        self.modifySegmentByLabelmap(
            node.GetSegmentationNode(), node.GetSelectedSegmentID() or "", labelmap, mode, *more
        )

    def modifySegmentByLabelmap(self, segmentation, segmentId, labelmap, mode, *more) -> None:
        extent = [more[0]] if more and not isinstance(more[0], bool) else []
        bypass = bool(more[-1]) if more and isinstance(more[-1], bool) else False
        self._logic().ModifySegmentByLabelmap(
            segmentation,
            segmentId,
            labelmap,
            getattr(slicer.vtkSlicerSegmentEditorLogic, _MODES[int(mode)]),
            *extent,
            self.perSegment,
            bypass,
        )

    def confirmCurrentSegmentVisible(self) -> int:
        return self.ConfirmedWithoutDialog

    # Views

    def renderWindow(self, viewWidget):
        return _view(viewWidget).renderWindow()

    def renderer(self, viewWidget):
        return _view(viewWidget).renderWindow().GetRenderers().GetFirstRenderer()

    def viewNode(self, viewWidget):
        return viewWidget.mrmlAbstractViewNode()

    def addActor2D(self, viewWidget, actor) -> None:
        self.renderer(viewWidget).AddActor2D(actor)

    def removeActor2D(self, viewWidget, actor) -> None:
        self.renderer(viewWidget).RemoveActor2D(actor)

    def addActor3D(self, viewWidget, actor) -> None:
        self.renderer(viewWidget).AddViewProp(actor)

    def removeActor3D(self, viewWidget, actor) -> None:
        self.renderer(viewWidget).RemoveActor(actor)

    def scheduleRender(self, viewWidget) -> None:
        _view(viewWidget).scheduleRender()

    def forceRender(self, viewWidget) -> None:
        _view(viewWidget).forceRender()

    def cursorOff(self, viewWidget) -> None:
        """The mouse pointer is no part of the harness."""

    cursorOn = cursorOff

    def xyToRas(self, xy, sliceWidget):
        ras = [0.0, 0.0, 0.0]
        logic = slicer.vtkSlicerSegmentEditorLogic
        logic.XyToRas([float(xy.x()), float(xy.y())], ras, sliceWidget.mrmlSliceNode())
        return QtGui.QVector3D(*ras)

    def xyzToRas(self, xyz, sliceWidget):
        ras = [0.0, 0.0, 0.0]
        slicer.vtkSlicerSegmentEditorLogic.XyzToRas([xyz.x(), xyz.y(), xyz.z()], ras, sliceWidget.mrmlSliceNode())
        return QtGui.QVector3D(*ras)

    def xyToIjk(self, xy, sliceWidget, image, parentTransform=None):
        ijk = [0, 0, 0]
        node = sliceWidget.mrmlSliceNode()
        slicer.vtkSlicerSegmentEditorLogic.XyToIjk([float(xy.x()), float(xy.y())], ijk, node, image, parentTransform)
        return QtGui.QVector3D(*ijk)

    def rasToXy(self, ras, sliceWidget):
        inverse = vtk.vtkMatrix4x4()
        inverse.DeepCopy(sliceWidget.mrmlSliceNode().GetXYToRAS())
        inverse.Invert()
        x, y = inverse.MultiplyPoint((ras.x(), ras.y(), ras.z(), 1.0))[:2]
        return QtCore.QPoint(int(x), int(y))

    def sliceSpacing(self, sliceWidget) -> float:
        return slicer.vtkSlicerSegmentEditorLogic.GetSliceSpacing(sliceWidget.mrmlSliceNode(), sliceWidget.sliceLogic())

    def segmentationDisplayableInView(self, viewNode) -> bool:
        return self._logic().IsSegmentationDisplayableInView(viewNode)

    # What the editor calls

    def active(self) -> bool:
        return self._active

    def selectEffect(self, name: str) -> None:
        if self._editor is not None and not name:
            self._editor.deactivate()

    def createCursor(self, viewWidget):
        return QtGui.QCursor()

    def helpText(self) -> str:
        return ""


class qSlicerSegmentEditorScriptedEffect(qSlicerSegmentEditorAbstractEffect):
    """An effect whose work is done by a Python class, found as the application finds it.

    The folder's name becomes the name of a module, the file's name the name of the class.
    """

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._python, self._source = None, ""

    def setPythonSource(self, source: str) -> bool:
        if not source.endswith((".py", ".pyc")):
            return False
        path = Path(source)
        module_name, class_name = path.parent.name, path.name.partition(".")[0]
        if not class_name.endswith("Effect"):
            class_name += "Effect"
        module = sys.modules.get(module_name)
        if getattr(module, class_name, None) is None:
            spec = importlib.util.spec_from_file_location(module_name, path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            spec.loader.exec_module(module)
        found = getattr(module, class_name, None)
        if found is None:
            raise RuntimeError(f"Failed to load segment editor scripted effect: {class_name} was not found in {source}")
        self._python, self._source = found(self), source
        setattr(slicer, module_name, self._python)
        return True

    def pythonSource(self) -> str:
        return self._source

    def self(self):
        return self._python

    def _call(self, name: str, *arguments):
        function = getattr(self._python, name, None)
        return None if function is None else function(*arguments)

    def activate(self) -> None:
        self._active = True
        self.updateGUIFromMRML()
        self._call("activate")

    def deactivate(self) -> None:
        self._active = False
        self._call("deactivate")

    def updateGUIFromMRML(self) -> None:
        self._call("updateGUIFromMRML")

    def updateMRMLFromGUI(self) -> None:
        self._call("updateMRMLFromGUI")

    def cleanup(self) -> None:
        self._call("cleanup")

    def helpText(self) -> str:
        return self._call("helpText") or ""

    def createCursor(self, viewWidget):
        return self._call("createCursor", viewWidget) or super().createCursor(viewWidget)


class qSlicerSegmentEditorEffectFactory(QObject):
    """The effects that are registered; the Segment Editor makes copies of them."""

    _instance = None

    @staticmethod
    def instance():
        cls = qSlicerSegmentEditorEffectFactory
        if cls._instance is None:
            cls._instance = cls()
            cls._instance._effects = []
        return cls._instance

    def registerEffect(self, effect) -> bool:
        if not effect.name:
            raise ValueError("An effect needs a name.")
        if any(known.name == effect.name for known in self._effects):
            logging.warning("Effect %s has already been registered", effect.name)
            return False
        self._effects.append(effect)
        return True

    def registeredEffects(self) -> list:
        return list(self._effects)


class AbstractScriptedSegmentEditorEffect:
    """Base class of the Python side of an effect."""

    def __init__(self, scriptedEffect):
        self.scriptedEffect = scriptedEffect

    def register(self):
        slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(self.scriptedEffect)

    def cleanup(self):
        pass

    def rasToXy(self, ras, viewWidget):
        point = self.scriptedEffect.rasToXy(QtGui.QVector3D(*(float(value) for value in ras)), viewWidget)
        return [point.x(), point.y()]

    def xyToRas(self, xy, viewWidget):
        return self._list(self.scriptedEffect.xyToRas(QtCore.QPoint(xy[0], xy[1]), viewWidget))

    def xyzToRas(self, xyz, viewWidget):
        return self._list(self.scriptedEffect.xyzToRas(QtGui.QVector3D(*(float(value) for value in xyz)), viewWidget))

    def xyToIjk(self, xy, viewWidget, image, parentTransformNode=None):
        vector = self.scriptedEffect.xyToIjk(QtCore.QPoint(xy[0], xy[1]), viewWidget, image, parentTransformNode)
        return [int(value) for value in self._list(vector)]

    @staticmethod
    def _list(vector):
        return [vector.x(), vector.y(), vector.z()]


class SegmentEditor:
    """The Segment Editor with one effect: its parameter node, Slicer's own logic, the views' events."""

    def __init__(self, segmentation_node, volume_node, segment_id: str | None = None) -> None:
        scene = slicer.mrmlScene
        self.node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.node.SetAndObserveSegmentationNode(segmentation_node)
        self.node.SetAndObserveSourceVolumeNode(volume_node)
        segmentation = segmentation_node.GetSegmentation()
        if segment_id is None and segmentation.GetNumberOfSegments():
            segment_id = segmentation.GetNthSegmentID(0)
        self.node.SetSelectedSegmentID(segment_id)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLApplicationLogic(slicer._appLogic)
        self.logic.SetMRMLScene(scene)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetSegmentationNode(segmentation_node)
        self.logic.SetSourceVolumeNode(volume_node)
        self.effect = None
        self._observed: list = []

    def activate(self, effect) -> None:
        """Press the effect's button."""
        self.deactivate()
        self.effect = effect
        effect._editor = self
        effect.setParameterSetNode(self.node)
        effect._call("setMRMLDefaults")
        if not getattr(effect, "_options_made", False):
            effect._call("setupOptionsFrame")
            effect._options_made = True
        self.node.SetActiveEffectName(effect.name)
        effect.activate()
        manager = slicer.app.layoutManager()
        for name in manager.sliceViewNames() if manager is not None else ():
            self._observe(manager.sliceWidget(name))

    def deactivate(self) -> None:
        """Leave the effect, as pressing "None" does."""
        for interactor, tag in self._observed:
            interactor.RemoveObserver(tag)
        self._observed = []
        if self.effect is not None:
            self.effect.deactivate()
            self.node.SetActiveEffectName("")
            self.effect = None

    def _observe(self, widget) -> None:
        interactor = _view(widget).interactor()
        for event in _EVENTS:
            tags: list = []

            def deliver(caller, name, widget=widget, tags=tags):
                number = vtk.vtkCommand.GetEventIdFromString(name)
                try:
                    taken = self.effect._call("processInteractionEvents", caller, number, widget)
                except Exception as error:
                    slot_errors.append((name, error))
                    raise
                if taken:
                    caller.GetCommand(tags[0]).AbortFlagOn()

            tags.append(interactor.AddObserver(event, deliver, _BEFORE_THE_VIEW))
            self._observed.append((interactor, tags[0]))

    def click(self, widget, ras, shift: bool = False, ctrl: bool = False) -> None:
        """A click in a slice view of ``window``, at a point in RAS mm."""
        widget.harness_view.click(ras, shift=shift, ctrl=ctrl)

    def undo(self) -> None:
        self.logic.Undo()

    def redo(self) -> None:
        self.logic.Redo()

    def close(self) -> None:
        self.deactivate()
        slicer.mrmlScene.RemoveNode(self.node)


def _text(value) -> str:
    if not isinstance(value, (int, float, str)):
        raise TypeError(f"An effect's parameter is text, int or float, not {type(value).__name__}.")
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else str(int(value))


def _view(widget):
    return widget.sliceView() if hasattr(widget, "sliceView") else widget.threeDView()


def install() -> None:
    """Make the effect classes known under the application's names."""
    classes = (
        qSlicerSegmentEditorAbstractEffect,
        qSlicerSegmentEditorScriptedEffect,
        qSlicerSegmentEditorEffectFactory,
    )
    effects = types.ModuleType("qSlicerSegmentationsEditorEffectsPythonQt", __doc__)
    for cls in classes:
        setattr(effects, cls.__name__, cls)
        setattr(slicer, cls.__name__, cls)
    sys.modules["qSlicerSegmentationsEditorEffectsPythonQt"] = effects
    base = types.ModuleType("SegmentEditorEffects", AbstractScriptedSegmentEditorEffect.__doc__)
    base.AbstractScriptedSegmentEditorEffect = AbstractScriptedSegmentEditorEffect
    base.__all__ = ["AbstractScriptedSegmentEditorEffect"]
    sys.modules["SegmentEditorEffects"] = base
