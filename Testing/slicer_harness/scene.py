"""Slicer's scene, application logic and module logics in a plain Python process, as the application sets them up."""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path

import slicer
import vtk  # slicer-core does not load the umbrella module itself
from vtkmodules.vtkCommonCore import vtkCollection

from .messages import message_log
from .terminologies import small_terminologies

# Terminologies first: the segmentation logic asks it for default terminology.
_LOGICS = {
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Data": "vtkSlicerDataModuleLogic",
}
_IN_SUBJECT_HIERARCHY = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
)
_GENERIC_COLORS = 64


class _CoreModule:
    """What ``slicer.modules.<name>`` offers for a module without widget."""

    path = ""

    def __init__(self, name: str, logic) -> None:
        self.name = name
        self._logic = logic

    def logic(self):
        return self._logic


def start_scene():
    """The scene of this process (``slicer.mrmlScene``), made on the first call."""
    if getattr(slicer, "mrmlScene", None) is not None:
        return slicer.mrmlScene
    message_log()
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetSliceLogics(vtkCollection())
    application.SetViewLogics(vtkCollection())
    slicer.mrmlScene, slicer._appLogic = scene, application
    _add_colors(scene, application)
    _add_singletons(scene)
    _add_remote_io(scene)
    _add_logics(scene, application)
    _keep_subject_hierarchy(scene)
    return scene


def _add_colors(scene, application) -> None:
    # Where the application's colour files would be: the folder must be there, although there are none.
    home = Path(tempfile.mkdtemp(prefix="slicer-home-"))
    (home / "share" / "ColorFiles").mkdir(parents=True)
    application.SetHomeDirectory(str(home))
    application.SetShareDirectory("share")
    logic = slicer.vtkSlicerColorLogic()
    logic.SetMRMLApplicationLogic(application)
    application.SetColorLogic(logic)
    logic.SetMRMLScene(scene)
    application.SetModuleLogic("Colors", logic)
    # The application reads this table from its share folder; display nodes of label maps look its ID up.
    table = slicer.vtkMRMLColorTableNode()
    table.SetTypeToUser()
    table.SetSingletonTag("FileGenericColors.txt")
    table.SetName("GenericColors")
    table.SetHideFromEditors(True)
    table.SetNumberOfColors(_GENERIC_COLORS)
    for i in range(_GENERIC_COLORS):
        table.SetColor(i, f"Segment_{i}", i * 37 % 256 / 255, i * 91 % 256 / 255, i * 151 % 256 / 255, float(i > 0))
    scene.AddNode(table)


def _add_singletons(scene) -> None:
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    if scene.GetFirstNodeByClass("vtkMRMLSelectionNode") is None:
        scene.AddNode(slicer.vtkMRMLSelectionNode())


def _add_remote_io(scene) -> None:
    """Reading an .mrb goes through the remote input/output logic."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.GetCacheManager().SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="slicer-cache-"))
    remote.SetMRMLScene(scene)
    remote.AddDataIOToScene()
    slicer._remoteIOLogic = remote  # must outlive the scene's use of it


def _add_logics(scene, application) -> None:
    modules = types.ModuleType("slicer.modules")
    sys.modules["slicer.modules"] = slicer.modules = modules
    terminologies = small_terminologies()
    for name, class_name in _LOGICS.items():
        logic = getattr(slicer, class_name)()
        if name == "Terminologies":
            logic.SetModuleShareDirectory(terminologies)
        logic.SetMRMLApplicationLogic(application)  # before the scene: setting the scene already uses it
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        setattr(modules, name.lower(), _CoreModule(name, logic))
    modules.colors = _CoreModule("Colors", application.GetColorLogic())


def _keep_subject_hierarchy(scene) -> None:
    """Add and remove subject hierarchy items with their nodes; in the application a Qt plugin does it."""

    def wanted(node) -> bool:
        return node is not None and any(node.IsA(name) for name in _IN_SUBJECT_HIERARCHY)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(_caller, _event, node):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if hierarchy is None or scene.IsBatchProcessing() or not wanted(node) or node.GetHideFromEditors():
            return
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def removing(_caller, _event, node):
        # An item that outlives its segmentation makes the next one log "DataNodeCache inconsistency".
        hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")  # unlike the other call, makes none
        if hierarchy is not None and wanted(node) and (item := hierarchy.GetItemByDataNode(node)):
            hierarchy.RemoveItem(item, False, False)

    def closed(_caller, _event):
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    scene.AddObserver(scene.NodeAddedEvent, added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removing)
    scene.AddObserver(scene.EndCloseEvent, closed)
